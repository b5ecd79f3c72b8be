"""Stitching: parts of networks that fit together without training.

The encoder of one network and the head of another, trained apart, work together if both see a sample through its
similarities to anchors, the same samples for all networks (Moschella et al., arXiv:2209.15430). Here with a transform
that has exactly the invariances that activations leave free, and with topological densification (Garcia-Castellanos,
Marchetti, Kragic & Scolamiero, arXiv:2409.10967).

>>> from agfrun.labs.stitching import robust
>>> relative = robust(latents, anchors)  # doctest: +SKIP

What a notebook or own data need is exported here by name, and imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use

if TYPE_CHECKING:
    from agfrun.labs.stitching.alignment import ALIGNERS, affine, canonical, procrustes
    from agfrun.labs.stitching.intertwiners import ACTIVATIONS, Activation, Intertwiner, act_on_all, draw
    from agfrun.labs.stitching.matrix import linear_head, same_and_stitched, stitch_latents, stitching_matrix
    from agfrun.labs.stitching.similarity import linear_cka
    from agfrun.labs.stitching.topology import densification, h0_deaths, placed_densification, share_near
    from agfrun.labs.stitching.transforms import TRANSFORMS, absolute, batch_robust, cosine, robust

QUESTION = "do parts of networks that were trained apart fit together? Relative representations"
FIRST_COMMAND = "agfrun study=stitching 'data.languages=[en,fr]' study.seeds=1"

CHOICES = ("datasets",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper_claims",)
"""Modules that register claims of papers, for `agfrun.study.paper_claim`."""

__all__ = [
    "ACTIVATIONS", "ALIGNERS", "TRANSFORMS", "Activation", "Intertwiner", "absolute", "act_on_all", "affine",
    "batch_robust", "canonical", "cosine", "densification", "draw", "h0_deaths", "linear_cka", "linear_head",
    "placed_densification", "procrustes", "robust", "same_and_stitched", "share_near", "stitch_latents",
    "stitching_matrix",
]

__getattr__ = imported_on_first_use(__name__, {
    ".alignment": "ALIGNERS affine canonical procrustes",
    ".intertwiners": "ACTIVATIONS Activation Intertwiner act_on_all draw",
    ".matrix": "linear_head same_and_stitched stitch_latents stitching_matrix",
    ".similarity": "linear_cka",
    ".topology": "densification h0_deaths placed_densification share_near",
    ".transforms": "TRANSFORMS absolute batch_robust cosine robust",
})
