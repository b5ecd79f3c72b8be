"""Quadratic networks on modular addition."""
