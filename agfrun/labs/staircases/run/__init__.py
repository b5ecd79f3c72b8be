"""A run: build, predict, train, compare."""
