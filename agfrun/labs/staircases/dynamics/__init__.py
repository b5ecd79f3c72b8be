"""Training: gradient flow and gradient descent of one network."""
