"""Measures of paths and of series of runs: distances, rates, sharpness; the space of a search."""
