"""Hyperbolic: are two sets of points of hyperbolic space aligned?

The hyperbolic Delaunay graph of points in any model and any dimension, and the share of its edges that do not join two
sets (Medbouhi, Marchetti, Polianskii, Kravberg, Poklukar, Varava & Kragic, "Hyperbolic Delaunay Geometric Alignment",
arXiv:2404.08608).

>>> from agfrun.labs.hyperbolic import alignment, delaunay
>>> delaunay([[0, 0], [0.5, 0], [-0.4, 0.3], [-0.1, -0.6]], model="poincare").edges.tolist()
[[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]

What a notebook or a training loop needs is exported here by name, and imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use

if TYPE_CHECKING:
    from agfrun.labs.hyperbolic.config import HyperbolicConfig, Labelled, SetsConfig
    from agfrun.labs.hyperbolic.geometry.alignment import Alignment, alignment, null_moments
    from agfrun.labs.hyperbolic.geometry.components import Component, components, precision_and_recall
    from agfrun.labs.hyperbolic.geometry.delaunay import Graph, delaunay
    from agfrun.labs.hyperbolic.geometry.distances import SetDistances, set_distances
    from agfrun.labs.hyperbolic.geometry.hydra import geodesic_distances, hydra
    from agfrun.labs.hyperbolic.geometry.points import (
        MODELS,
        Points,
        PointsError,
        at_distance,
        distances,
        points_of,
    )
    from agfrun.labs.hyperbolic.vae.facets import soft_alignment

QUESTION = "is this embedding aligned? Hyperbolic Delaunay graphs and the HyperDGA score in any dimension"
FIRST_COMMAND = "agfrun study=alignment"

CHOICES = ("sets",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper_claims",)
"""Modules that register claims of papers, for `agfrun.study.paper_claim`."""

__all__ = [
    "MODELS", "Alignment", "Component", "Graph", "HyperbolicConfig", "Labelled", "Points", "PointsError",
    "SetDistances", "SetsConfig", "alignment", "at_distance", "components", "delaunay", "distances",
    "geodesic_distances", "hydra", "null_moments", "points_of", "precision_and_recall", "set_distances",
    "soft_alignment",
]

__getattr__ = imported_on_first_use(__name__, {
    ".config": "HyperbolicConfig Labelled SetsConfig",
    ".geometry.alignment": "Alignment alignment null_moments",
    ".geometry.components": "Component components precision_and_recall",
    ".geometry.delaunay": "Graph delaunay",
    ".geometry.distances": "SetDistances set_distances",
    ".geometry.hydra": "geodesic_distances hydra",
    ".geometry.points": "MODELS Points PointsError at_distance distances points_of",
    ".vae.facets": "soft_alignment",
})
