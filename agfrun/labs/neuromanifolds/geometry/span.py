"""The linear span of all functions of a network, and as many evaluations as tell its elements apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, independent_columns
from agfrun.labs.neuromanifolds.counts import SPARE_ROWS
from agfrun.labs.neuromanifolds.evaluation import Evaluations, random_weights
from agfrun.study.errors import UsageError

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig

# Evaluations to begin with where nobody has counted the ambient space.
_FIRST = 64
# Beyond, the Hessians of as many evaluations take hours.
LARGEST_SPAN = 4000


def check_span(network: NetworkConfig, seed: int) -> None:
    """Measure a span that may be too large, before anything is written.

    Raises:
        UsageError: it has more than `LARGEST_SPAN` dimensions.
    """
    ambient = network.ambient()
    if ambient is None or ambient > LARGEST_SPAN:
        spanning_evaluations(network, PrimeField(max(PRIMES)), np.random.default_rng(seed))


def spanning_evaluations(network: NetworkConfig, field: PrimeField, generator: np.random.Generator) -> Evaluations:
    """N independent evaluations, N the dimension of the span of all functions: coordinates of that space.

    N is measured, for many monomials of the outputs' form may be missing. Tangent vectors at all weights and one
    function span what all functions span: each is a difference of functions in the limit, and adds up to one.

    Raises:
        UsageError: the span has more than `LARGEST_SPAN` dimensions.
    """
    ambient = network.ambient()
    size = _FIRST if ambient is None else min(_FIRST, ambient + SPARE_ROWS)
    while True:
        drawn = Evaluations.draw(network, field, generator, size)
        places = _independent(drawn, field, generator)
        if len(places) < size:
            return drawn.chosen(places)
        if size > LARGEST_SPAN:
            raise UsageError(f"model={network.name} {network.architecture()}: its functions span a space of more than "
                             f"{LARGEST_SPAN} dimensions, too many for this study")
        size *= 2


def _independent(drawn: Evaluations, field: PrimeField, generator: np.random.Generator) -> AnyArray:
    """Places of evaluations that are independent on all functions.

    Random tangent spaces are added until a further one lies in the span of those before: then all do, and no number of
    them has to be guessed (a few tangent spaces may overlap more than dimensions say, as secant varieties do).
    """
    def tangents() -> AnyArray:
        return drawn.jacobian(random_weights(drawn.network, field, generator))

    rows = [drawn.values(random_weights(drawn.network, field, generator))[None], tangents()]
    places = independent_columns(np.concatenate(rows), field.prime)
    while len(places) < len(drawn):
        # As many again as there are, but one by itself would be enough to find out.
        rows += [tangents() for _ in range(len(rows) - 1)]
        before, places = places, independent_columns(np.concatenate(rows), field.prime)
        if len(places) == len(before):
            break
    return places
