"""Fully connected linear networks on linear maps."""
