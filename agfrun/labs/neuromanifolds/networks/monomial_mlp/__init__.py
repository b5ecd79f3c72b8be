"""Fully connected networks with the activation z^r, without biases."""
