"""Figures of sweeps, drawn from the gathered tables alone: drop times, agreement, heat maps over the swept keys."""
