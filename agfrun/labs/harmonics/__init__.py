"""Harmonics: networks that are invariant to a finite group have its Fourier transform for weights.

A network that does not change its outputs when a group permutes its inputs, and whose weights are orthogonal, has the
group's irreducible unitary representations for weights, and the group's multiplication table can be read from them
(Marchetti, Hillar, Kragic & Sanborn, "Harmonics of Learning", arXiv:2312.08550).

>>> from agfrun.labs.harmonics import Slots, fit, named_group  # doctest: +SKIP
>>> table = named_group("D4")  # doctest: +SKIP
>>> slots = Slots((1, 1, 1, 1, 2))  # doctest: +SKIP
>>> fit(slots, table, slots.initial(12, np.random.default_rng(0))).certified  # doctest: +SKIP
True

What a notebook needs is exported here by name, and imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use

if TYPE_CHECKING:
    from agfrun.groups import (
        catalogue,
        character_table,
        find_isomorphism,
        identify,
        irreps,
        named_group,
        permutation_group,
    )
    from agfrun.labs.harmonics.config import HarmonicsConfig, Symmetries, SymmetryConfig
    from agfrun.labs.harmonics.data.group import GroupConfig
    from agfrun.labs.harmonics.data.permutations import PermutationsConfig
    from agfrun.labs.harmonics.network.fit import CERTIFICATE, Fit, fit, fit_by_adam, sampled_pairs
    from agfrun.labs.harmonics.network.layout import Slots, possible_dimensions
    from agfrun.labs.harmonics.network.losses import Orthogonality, PopulationLoss, SampleLoss, TotalLoss
    from agfrun.labs.harmonics.recovery import read_table, representations_of, robust_radius, weights_of

QUESTION = "what does a network learn that is invariant to a group? Its irreps and its multiplication table"
FIRST_COMMAND = "agfrun study=invariant_network data.group=D4"

CHOICES = ("data",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper_claims",)
"""Modules that register claims of papers, for `agfrun.study.paper_claim`."""

__all__ = [
    "CERTIFICATE", "Fit", "GroupConfig", "HarmonicsConfig", "Orthogonality", "PermutationsConfig", "PopulationLoss",
    "SampleLoss", "Slots", "Symmetries", "SymmetryConfig", "TotalLoss", "catalogue", "character_table",
    "find_isomorphism", "fit", "fit_by_adam", "identify", "irreps", "named_group", "permutation_group",
    "possible_dimensions", "read_table", "representations_of", "robust_radius", "sampled_pairs", "weights_of",
]

__getattr__ = imported_on_first_use(__name__, {
    "agfrun.groups": "catalogue character_table find_isomorphism identify irreps named_group permutation_group",
    ".config": "HarmonicsConfig Symmetries SymmetryConfig",
    ".data.group": "GroupConfig",
    ".data.permutations": "PermutationsConfig",
    ".network.fit": "CERTIFICATE Fit fit fit_by_adam sampled_pairs",
    ".network.layout": "Slots possible_dimensions",
    ".network.losses": "Orthogonality PopulationLoss SampleLoss TotalLoss",
    ".recovery": "read_table representations_of robust_radius weights_of",
})
