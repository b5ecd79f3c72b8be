"""Loss staircases: training from a small initialization beside its prediction by Alternating Gradient Flows."""

QUESTION = "which feature does a network learn next, when, and how far does the loss fall?"
FIRST_COMMAND = "agfrun model=quadratic_modadd"

CHOICES = ("networks",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper.claims",)
"""Packages whose modules register claims of papers, for `agfrun.study.paper_claim`."""
