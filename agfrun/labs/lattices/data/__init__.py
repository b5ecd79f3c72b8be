"""Lattices to be reduced: random ones, and the user's own."""
