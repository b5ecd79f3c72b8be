"""Diagonal linear networks on regression data."""
