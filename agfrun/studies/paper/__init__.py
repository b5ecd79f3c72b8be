"""The figures of the AGF paper, each a study: what is run, and what is kept of it."""
