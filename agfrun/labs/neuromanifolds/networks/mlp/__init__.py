"""Fully connected networks with polynomial activations, without biases."""
