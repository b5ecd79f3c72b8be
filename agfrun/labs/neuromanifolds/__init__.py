"""Neuromanifolds: the spaces of functions that a network architecture parametrizes, measured in exact arithmetic.

A network with a polynomial activation parametrizes a semi-algebraic set of functions, its neuromanifold. Its
dimension is the generic rank of the parametrization's Jacobian, an integer that arithmetic modulo a prime settles
without rounding (Marchetti, Shahverdi, Mereta, Trager & Kohn, "Algebra Unveils Deep Learning", arXiv:2501.18915).

>>> from agfrun.labs.neuromanifolds import dimension
>>> dimension([3, 5, 1], degree=4)  # doctest: +SKIP
14

What a notebook or a network from outside needs is exported here by name, and imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.arithmetic.elements import Element, concatenate, einsum, stack
    from agfrun.labs.neuromanifolds.arithmetic.fields import Field, Floats, Multiprecision, PrimeField
    from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, rank
    from agfrun.labs.neuromanifolds.config import NetworkConfig, NeuromanifoldConfig
    from agfrun.labs.neuromanifolds.counts import ClosedForm, Counts, Invariants, Known, ModularRank
    from agfrun.labs.neuromanifolds.degeneracy import Degeneracy, minors
    from agfrun.labs.neuromanifolds.evaluation import Evaluations, random_weights
    from agfrun.labs.neuromanifolds.fibre import Identifiability
    from agfrun.labs.neuromanifolds.geometry.fibres import Fibre, generic_fibre, rank_at
    from agfrun.labs.neuromanifolds.geometry.perturbation import Perturbed, perturbed_targets
    from agfrun.labs.neuromanifolds.geometry.span import spanning_evaluations
    from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks, measure_strata
    from agfrun.labs.neuromanifolds.landscape.counting import Count, count_functions
    from agfrun.labs.neuromanifolds.landscape.equations import Equations
    from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
    from agfrun.labs.neuromanifolds.landscape.loss import Loss
    from agfrun.labs.neuromanifolds.landscape.real_points import RealPoint, real_points
    from agfrun.labs.neuromanifolds.measurement import Measurement, measure
    from agfrun.labs.neuromanifolds.networks.attention.network import LightningAttentionConfig, SoftmaxAttentionConfig
    from agfrun.labs.neuromanifolds.networks.cnn.network import PolynomialCnnConfig
    from agfrun.labs.neuromanifolds.networks.linear.network import TwoLayerLinearConfig
    from agfrun.labs.neuromanifolds.networks.mlp.network import MonomialMlpConfig, PolynomialMlpConfig, dimension
    from agfrun.labs.neuromanifolds.networks.mlp.theory import (
        ambient_dimension,
        closed_form,
        dimension_bound,
        expected_dimension,
        sufficient_degree,
    )
    from agfrun.labs.neuromanifolds.stratum import Stratum
    from agfrun.labs.neuromanifolds.symmetry import Generator, Symmetry

QUESTION = "what functions can a network be? Dimensions, fibres, singular points, critical points, exactly"
FIRST_COMMAND = "agfrun study=dimension 'model.widths=[2,2,1]' model.degree=2"

CHOICES = ("networks",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper_claims",)
"""Modules that register claims of papers, for `agfrun.study.paper_claim`."""

__all__ = [
    "PRIMES", "ClosedForm", "Count", "Counts", "Degeneracy", "Element", "Equations", "Evaluations", "Expansion",
    "Fibre", "Field", "Floats", "Generator", "Identifiability", "Invariants", "Known", "LightningAttentionConfig",
    "Loss", "Measurement", "ModularRank", "MonomialMlpConfig", "Multiprecision", "NetworkConfig", "NeuromanifoldConfig",
    "Perturbed", "PolynomialCnnConfig", "PolynomialMlpConfig", "PrimeField", "RealPoint", "SoftmaxAttentionConfig",
    "Stratum", "StratumRanks", "Symmetry", "TwoLayerLinearConfig", "ambient_dimension", "closed_form", "concatenate",
    "count_functions", "dimension", "dimension_bound", "einsum", "expected_dimension", "generic_fibre", "measure",
    "measure_strata", "minors", "perturbed_targets", "random_weights", "rank", "rank_at", "real_points",
    "spanning_evaluations", "stack", "sufficient_degree",
]

__getattr__ = imported_on_first_use(__name__, {
    ".arithmetic.elements": "Element concatenate einsum stack",
    ".arithmetic.fields": "Field Floats Multiprecision PrimeField",
    ".arithmetic.prime_field": "PRIMES rank",
    ".config": "NetworkConfig NeuromanifoldConfig",
    ".counts": "ClosedForm Counts Invariants Known ModularRank",
    ".evaluation": "Evaluations random_weights",
    ".degeneracy": "Degeneracy minors",
    ".fibre": "Identifiability",
    ".geometry.fibres": "Fibre generic_fibre rank_at",
    ".geometry.perturbation": "Perturbed perturbed_targets",
    ".geometry.span": "spanning_evaluations",
    ".geometry.strata": "StratumRanks measure_strata",
    ".landscape.counting": "Count count_functions",
    ".landscape.equations": "Equations",
    ".landscape.expansion": "Expansion",
    ".landscape.loss": "Loss",
    ".landscape.real_points": "RealPoint real_points",
    ".measurement": "Measurement measure",
    ".networks.attention.network": "LightningAttentionConfig SoftmaxAttentionConfig",
    ".networks.cnn.network": "PolynomialCnnConfig",
    ".networks.linear.network": "TwoLayerLinearConfig",
    ".networks.mlp.network": "MonomialMlpConfig PolynomialMlpConfig dimension",
    ".networks.mlp.theory": "ambient_dimension closed_form dimension_bound expected_dimension sufficient_degree",
    ".stratum": "Stratum",
    ".symmetry": "Generator Symmetry",
})
