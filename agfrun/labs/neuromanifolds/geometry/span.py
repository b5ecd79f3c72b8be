"""The linear span of all functions of a network, and as many evaluations as tell its elements apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import independent_columns
from agfrun.labs.neuromanifolds.counts import SPARE_ROWS
from agfrun.labs.neuromanifolds.evaluation import Evaluations, random_weights
from agfrun.study.errors import UsageError

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig

# Evaluations to begin with where nobody has counted the ambient space.
_FIRST = 64
# Beyond, the Hessians of as many evaluations take hours.
LARGEST_SPAN = 4000


def spanning_evaluations(network: NetworkConfig, field: PrimeField, generator: np.random.Generator) -> Evaluations:
    """N independent evaluations, N the dimension of the span of all functions: coordinates of that space.

    N is measured, as the rank of the values of random networks: many monomials of the outputs' form may be missing.

    Raises:
        UsageError: the span has more than `LARGEST_SPAN` dimensions.
    """
    ambient = network.ambient()
    size = _FIRST if ambient is None else min(_FIRST, ambient + SPARE_ROWS)
    drawn = Evaluations.draw(network, field, generator, size)
    while True:
        table = np.stack([drawn.values(random_weights(network, field, generator)) for _ in range(size)])
        places = independent_columns(table, field.prime)
        if len(places) < size:
            return drawn.chosen(places)
        if size > LARGEST_SPAN:
            raise UsageError(f"model={network.name} {network.architecture()}: its functions span a space of more than "
                             f"{LARGEST_SPAN} dimensions, too many for this study")
        size *= 2
        drawn = Evaluations.draw(network, field, generator, size)
