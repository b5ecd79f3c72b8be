"""Claims of the paper, each decided by experiments."""
