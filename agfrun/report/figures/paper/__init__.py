"""The figures of the AGF paper, drawn from the tables that their studies have saved."""
