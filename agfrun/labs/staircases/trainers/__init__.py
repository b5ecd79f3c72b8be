"""Trainers beside gradient flow and gradient descent."""
