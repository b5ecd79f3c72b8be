"""Loss staircases: training from a small initialization beside its prediction by Alternating Gradient Flows."""
CHOICES = ("networks",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
