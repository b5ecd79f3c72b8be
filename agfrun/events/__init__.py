"""Plateaus, drops, activations and acquisitions found on a trajectory. Never looks at a prediction."""
