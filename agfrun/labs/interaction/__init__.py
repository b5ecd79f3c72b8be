"""Interaction: where an agent is, and where the object that it pushes, learned from images and actions alone.

An agent moves by known actions; an object that it touches jumps elsewhere. A representation in which the agent moves by
its actions, which tells all states apart, and in which the object moves if and only if it lies on the agent's path, is
the true state up to one translation (Reichlin, Marchetti, Yin, Varava & Kragic, Learning Geometric Representations of
Objects via Interaction, ECML-PKDD 2023).

>>> from agfrun.labs.interaction import isometry_error, mixture
>>> error = isometry_error(agent, thing, agent_code, thing_code)  # doctest: +SKIP

What a notebook or own data need is exported here by name, and imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use

if TYPE_CHECKING:
    from agfrun.labs.interaction.geometry import foot_of_point, segments_apart
    from agfrun.labs.interaction.method import Interaction, Places
    from agfrun.labs.interaction.metrics import constant_error, isometry_error, translation_r2
    from agfrun.labs.interaction.splits import mixture, otsu, otsu_threshold
    from agfrun.labs.interaction.worlds.world import Transitions

QUESTION = "where am I, and where is the thing that I push? From images and actions alone"
FIRST_COMMAND = "agfrun study=interaction"

CHOICES = ("worlds",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper_claims",)
"""Modules that register claims of papers, for `agfrun.study.paper_claim`."""

__all__ = [
    "Interaction", "Places", "Transitions", "constant_error", "foot_of_point", "isometry_error", "mixture", "otsu",
    "otsu_threshold", "segments_apart", "translation_r2",
]

__getattr__ = imported_on_first_use(__name__, {
    ".geometry": "foot_of_point segments_apart",
    ".method": "Interaction Places",
    ".metrics": "constant_error isometry_error translation_r2",
    ".splits": "mixture otsu otsu_threshold",
    ".worlds.world": "Transitions",
})
