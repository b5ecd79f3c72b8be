"""Figures of a run, drawn from its tables: each function takes tidy frames and returns a Figure."""
