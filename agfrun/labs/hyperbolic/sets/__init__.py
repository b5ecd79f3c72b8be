"""Labelled sets of points that can be chosen as `data=NAME`."""
