"""Claims of the paper, checked from a run's own data: one file an architecture, general ones in `general.py`."""
