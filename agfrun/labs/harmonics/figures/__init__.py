"""Figures of the studies, drawn from saved tables and arrays."""
