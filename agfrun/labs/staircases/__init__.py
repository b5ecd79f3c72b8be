"""Loss staircases: training from a small initialization beside its prediction by Alternating Gradient Flows.

What another laboratory may read is exported here by name, and imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use

if TYPE_CHECKING:
    from agfrun.labs.staircases.config import RunConfig
    from agfrun.labs.staircases.networks.base import Architecture
    from agfrun.labs.staircases.run.pipeline import prepare, trained
    from agfrun.labs.staircases.run.problem import build_architecture
    from agfrun.labs.staircases.run.tables import EVENTS, LOSS
    from agfrun.labs.staircases.studies.compare import CompareConfig

QUESTION = "which feature does a network learn next, when, and how far does the loss fall?"
FIRST_COMMAND = "agfrun model=quadratic_modadd"

CHOICES = ("networks", "trainers")
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper.claims",)
"""Packages whose modules register claims of papers, for `agfrun.study.paper_claim`."""

__all__ = ["EVENTS", "LOSS", "Architecture", "CompareConfig", "RunConfig", "build_architecture", "prepare", "trained"]

__getattr__ = imported_on_first_use(__name__, {
    ".config": "RunConfig",
    ".networks.base": "Architecture",
    ".run.pipeline": "prepare trained",
    ".run.problem": "build_architecture",
    ".run.tables": "EVENTS LOSS",
    ".studies.compare": "CompareConfig",
})
