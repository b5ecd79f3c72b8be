"""The weights that share one function: symmetries put to the test, and what gradient flow conserves for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.derivatives import flat
from agfrun.labs.neuromanifolds.arithmetic.elements import Element
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, product, rank
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray
from agfrun.labs.neuromanifolds.counts import SPARE_ROWS
from agfrun.labs.neuromanifolds.evaluation import Arrays, Evaluations, random_weights

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig
    from agfrun.labs.neuromanifolds.symmetry import Generator, Symmetry

# Random elements of a group that are applied.
ACTIONS = 3


@dataclass(frozen=True)
class TestedSymmetry:
    """A symmetry at random weights modulo a prime.

    Attributes:
        name, formula: of the symmetry.
        unchanged: whether random elements of the group left all values as they were.
        tangent: whether all generators lie in the kernel of the Jacobian.
        orbit_dimension: of the orbit of generic weights under it.
    """

    name: str
    formula: str
    unchanged: bool
    tangent: bool
    orbit_dimension: int


@dataclass(frozen=True)
class Conserved:
    """What gradient flow of any loss conserves.

    Attributes:
        symmetry, generator: where it comes from.
        quantity: in words.
        exact: whether the generator's field is the gradient of the quantity, and orthogonal to gradients of every loss.
    """

    symmetry: str
    generator: str
    quantity: str
    exact: bool


@dataclass(frozen=True)
class Fibre:
    """The fibre of generic weights.

    Attributes:
        dimension: of the neuromanifold, from elsewhere.
        parameters: number of weights.
        orbit_dimension: of generic weights under all known symmetries together.
        symmetries, conserved: each put to the test.
    """

    dimension: int
    parameters: int
    orbit_dimension: int
    symmetries: tuple[TestedSymmetry, ...]
    conserved: tuple[Conserved, ...]

    @property
    def fibre_dimension(self) -> int:
        """Dimension of the weights with one generic function."""
        return self.parameters - self.dimension

    @property
    def unexplained(self) -> int:
        """Dimensions of the fibre that no known symmetry gives."""
        return self.fibre_dimension - self.orbit_dimension


def generic_fibre(network: NetworkConfig, dimension: int, seed: int, prime: int = PRIMES[0]) -> Fibre:
    """Put all known symmetries to the test at random weights; nothing is rounded.

    Args:
        network: the architecture.
        dimension: of its neuromanifold.
        seed: of weights, inputs and group elements.
        prime: everything is computed modulo it.
    """
    field, generator = PrimeField(prime), np.random.default_rng((seed, prime))
    evaluations = Evaluations.draw(network, field, generator, dimension + SPARE_ROWS)
    weights, others = (random_weights(network, field, generator) for _ in range(2))
    jacobian = evaluations.jacobian(weights)
    tested, conserved, all_fields = [], [], [np.zeros((0, len(jacobian)), dtype=np.int64)]
    for symmetry in network.symmetries():
        found = list(symmetry.generators(elements(weights, field)))
        fields = velocities(found, weights)
        tested.append(TestedSymmetry(
            symmetry.name, symmetry.formula, _unchanged(symmetry, evaluations, weights, generator),
            not product(fields, jacobian, prime).any(), rank(fields, prime) if len(fields) else 0))
        twins = velocities(list(symmetry.generators(elements(others, field))), others)
        conserved += [Conserved(symmetry.name, one.label, one.conserved,
                                not product(own[None], jacobian, prime).any()
                                and _symmetric(own, twin, weights, others, prime))
                      for one, own, twin in zip(found, fields, twins, strict=True) if one.conserved]
        all_fields.append(fields)
    together = np.concatenate(all_fields)
    return Fibre(dimension, network.parameters(), rank(together, prime) if len(together) else 0, tuple(tested),
                 tuple(conserved))


def rank_at(network: NetworkConfig, weights: Mapping[str, FractionArray], dimension: int, seed: int) -> int:
    """Rank of the Jacobian at given weights: over the rationals, but for a chance of some parts in a million.

    Args:
        network, weights: the network and its weights, exact.
        dimension: of the neuromanifold, which the rank cannot exceed.
        seed: of the evaluations.
    """
    found = []
    for prime in PRIMES[:2]:
        field = PrimeField(prime)
        drawn = Evaluations.draw(network, field, np.random.default_rng((seed, prime)), dimension + SPARE_ROWS)
        found.append(rank(drawn.jacobian({name: field.array(entries) for name, entries in weights.items()}), prime))
    return max(found)


def elements(weights: Arrays, field: PrimeField) -> dict[str, Element]:
    """Weights as elements that all evaluations share."""
    return {name: Element(field, entries[None]) for name, entries in weights.items()}


def velocities(generators: list[Generator], weights: Arrays) -> AnyArray:
    """The vector fields of generators at weights, (generators, P)."""
    rows = [flat({name: one.velocity[name].data[0] if name in one.velocity else np.zeros_like(entries)
                  for name, entries in weights.items()}) for one in generators]
    return np.stack(rows) if rows else np.zeros((0, len(flat(weights))), dtype=np.int64)


def _unchanged(symmetry: Symmetry, evaluations: Evaluations, weights: Arrays, generator: np.random.Generator) -> bool:
    field = evaluations.field
    assert isinstance(field, PrimeField)
    values = evaluations.values(weights)
    for _ in range(ACTIONS):
        moved = symmetry.act(elements(weights, field), generator)
        if (evaluations.values({name: moved[name].data[0] for name in weights}) != values).any():
            return False
    return True


def _symmetric(field: AnyArray, twin: AnyArray, weights: Arrays, others: Arrays, prime: int) -> bool:
    """Whether a linear vector field X is symmetric, <X W, V> = <W, X V> at random W and V: then it is a gradient."""
    across = product(field[None], flat(others)[:, None], prime)
    return bool((across == product(twin[None], flat(weights)[:, None], prime)).all())
