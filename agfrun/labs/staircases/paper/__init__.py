"""The AGF paper: its claims and its figures."""
