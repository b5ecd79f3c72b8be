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

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig, NeuromanifoldConfig
    from agfrun.labs.neuromanifolds.counts import ClosedForm, Counts, ModularRank
    from agfrun.labs.neuromanifolds.measurement import Measurement, measure
    from agfrun.labs.neuromanifolds.networks.monomial_mlp.network import MonomialMlpConfig, dimension
    from agfrun.labs.neuromanifolds.networks.monomial_mlp.theory import (
        ambient_dimension,
        closed_form,
        dimension_bound,
        expected_dimension,
        sufficient_degree,
    )
    from agfrun.labs.neuromanifolds.prime_field import PRIMES, power, product, random_elements, rank

QUESTION = "what functions can a network be? Dimensions of function spaces, exactly"
FIRST_COMMAND = "agfrun study=dimension 'model.widths=[2,2,1]' model.degree=2"

CHOICES = ("networks",)
"""Packages whose modules register the choices of this laboratory, for `agfrun.study.registry`."""
PAPER_CLAIMS = ("paper_claims",)
"""Modules that register claims of papers, for `agfrun.study.paper_claim`."""

_HOME = {name: f"{__name__}.{module}" for module, names in {
    "config": "NetworkConfig NeuromanifoldConfig",
    "counts": "ClosedForm Counts ModularRank",
    "measurement": "Measurement measure",
    "networks.monomial_mlp.network": "MonomialMlpConfig dimension",
    "networks.monomial_mlp.theory": "ambient_dimension closed_form dimension_bound expected_dimension "
                                    "sufficient_degree",
    "prime_field": "PRIMES power product random_elements rank",
}.items() for name in names.split()}

__all__ = [
    "PRIMES", "ClosedForm", "Counts", "Measurement", "ModularRank", "MonomialMlpConfig", "NetworkConfig",
    "NeuromanifoldConfig", "ambient_dimension", "closed_form", "dimension", "dimension_bound", "expected_dimension",
    "measure", "power", "product", "random_elements", "rank", "sufficient_degree",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
