"""Figures of this laboratory, drawn from tables alone."""
