"""Alternating Gradient Flows: the prediction."""
