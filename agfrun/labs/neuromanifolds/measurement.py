"""The dimension of any polynomial network, measured: ranks of its Jacobian modulo primes until they agree.

The dimension is the generic rank of the derivative of W -> f_W (Kileel, Trager & Bruna, arXiv:1905.12207). The
coefficients of f are never expanded: a tangent vector is a tuple of polynomials, and as many random evaluations as
there are dimensions, each of a random combination of the outputs at a random input, tell all tangent vectors apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, combine_rows, project_rows, rank
from agfrun.labs.neuromanifolds.counts import Counts, ModularRank
from agfrun.labs.neuromanifolds.evaluation import Evaluations, random_weights
from agfrun.labs.neuromanifolds.precision import PreciseRank, precise_rank

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig

Step = Callable[[int, Callable[[], ModularRank]], ModularRank]

# Terms with which a parameter enters the first, cheap compression.
SPARSE_TERMS = 3


@dataclass(frozen=True)
class Measurement:
    """A measured dimension and what it compares to.

    Attributes:
        counts: what is known of the architecture without measuring.
        ranks: one for each prime, in the order in which they were taken; of a network that is no polynomial the one
            in many digits.
    """

    counts: Counts
    ranks: tuple[ModularRank | PreciseRank, ...]

    @property
    def dimension(self) -> int:
        """Dimension of the neuromanifold: the largest rank found."""
        return max(found.rank for found in self.ranks)

    @property
    def proved(self) -> bool:
        """Whether the dimension is certain: a rank modulo a prime never exceeds it, and this one equals the bound."""
        lower = max(found.proved_rank if isinstance(found, PreciseRank) else found.rank for found in self.ranks)
        return lower == self.counts.bound

    @property
    def unanimous(self) -> bool:
        """Whether all primes gave the same rank."""
        return len({found.rank for found in self.ranks}) == 1

    @property
    def defect(self) -> int:
        """How far the dimension falls short of the expected one."""
        return self.counts.expected - self.dimension

    @property
    def filling(self) -> bool | None:
        """Whether the functions fill the ambient space up to closure and a set of measure zero; None: not known."""
        return None if self.counts.ambient is None else self.dimension == self.counts.ambient

    @property
    def fibre_dimension(self) -> int:
        """Dimension of the weights that give the same function as generic weights do."""
        return self.counts.parameters - self.dimension


def measure(network: NetworkConfig, seed: int = 0, primes: Sequence[int] = PRIMES, at_least: int = 1,
            step: Step = lambda _, take: take()) -> Measurement:
    """Measure the dimension; the same arguments give the same result. Softmax takes `precise_rank` in place of primes.

    The first prime is tried with a sparse compression of the Jacobian. If the rank equals the proved upper bound, this
    is the dimension. If not, a second prime and a dense projection must agree, and further primes are tried until two
    ranks agree on the largest value, or none is left.

    Args:
        network: the architecture.
        seed: of the random weights and evaluations, which each prime draws for itself.
        primes: below 2^23, tried in this order.
        at_least: so many primes are tried even where the first rank meets the bound.
        step: is given each prime and what takes its rank, and returns what that returns: the place to remember it.

    Raises:
        ValueError: the degree of the outputs reaches a prime, where polynomials modulo it are no longer told apart
            by their values.
    """
    counts = network.counts()
    if not network.polynomial:
        return Measurement(counts, (precise_rank(network, seed),))
    if counts.output_degree >= min(primes):
        raise ValueError(f"the outputs' degree {counts.output_degree} is not below the prime {min(primes)}")
    ranks: list[ModularRank] = []
    for prime in primes:
        compression = "dense" if ranks else "sparse"
        ranks.append(step(prime, lambda p=prime, c=compression: modular_rank(  # type: ignore[misc]
            network, p, seed, counts.evaluations, c)))
        values = [found.rank for found in ranks]
        agreed = max(values) == counts.bound or values.count(max(values)) > 1
        if agreed and len(ranks) >= at_least:
            break
    return Measurement(counts, tuple(ranks))


def modular_rank(network: NetworkConfig, prime: int, seed: int, rows: int, compression: str) -> ModularRank:
    """Rank of a network's Jacobian at random weights modulo a prime, on so many random evaluations.

    Args:
        network: the architecture.
        prime: the modulus.
        seed: with the prime it decides what is drawn, so that a rank does not depend on those taken before.
        rows: random evaluations.
        compression: `sparse` or `dense`, of the weights to as many combinations of them as there are rows.
    """
    started = time.perf_counter()
    generator = np.random.default_rng((seed, prime))
    field = PrimeField(prime)
    weights = random_weights(network, field, generator)
    matrix = Evaluations.draw(network, field, generator, rows).jacobian(weights)
    matrix = matrix[_needed(network, weights)]
    columns = len(matrix)
    if columns <= rows:
        compression = "none"
    elif compression == "sparse":
        matrix = combine_rows(matrix, rows, SPARSE_TERMS, prime, generator)
    else:
        matrix = project_rows(matrix, rows, prime, generator)
    found = rank(matrix, prime)
    return ModularRank(prime, found, rows, columns, compression, time.perf_counter() - started)


def _needed(network: NetworkConfig, weights: Mapping[str, AnyArray]) -> npt.NDArray[np.bool_]:
    """Which weights it takes to span all tangent vectors."""
    fixed = network.gauge()
    return np.concatenate([~fixed[name].reshape(-1) if name in fixed else np.ones(entries.size, dtype=bool)
                           for name, entries in weights.items()])
