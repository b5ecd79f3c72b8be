"""Figures of the studies of lattices."""
