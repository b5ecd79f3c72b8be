"""What a run leaves for its reader: tables, figures and the terminal's summary, from plain results."""
