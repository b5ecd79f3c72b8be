"""Figures of sweeps of runs."""
