"""Training of many networks as one tensor program."""
