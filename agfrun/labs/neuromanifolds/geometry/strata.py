"""What is exact about a stratum of weights: ranks, the union of tangent spaces, and the functions it is critical for.

The formulas for exposedness are derived in docs/neuromanifolds.md. With J the derivative of W -> f_W in N coordinates
of the span, n = u - f a residual with J^T n = 0 and H the Hessian of half the loss |f_W - u|^2, differentiating
J^T (u - f) = 0 gives J^T du = H dW. So the targets u near by that have a critical point near by within the stratum,
of tangent space T, make a space of dimension

    (N - rank J) + dim H {v in T : H v in im J^T},

and the stratum is critically exposed if this is N (Shahverdi, Marchetti & Kohn, arXiv:2505.11846, section 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, kernel, product, rank
from agfrun.labs.neuromanifolds.evaluation import Evaluations
from agfrun.labs.neuromanifolds.geometry.span import spanning_evaluations
from agfrun.study.errors import UsageError

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig
    from agfrun.labs.neuromanifolds.stratum import Stratum

MOST_FIBRE_POINTS = 36


@dataclass(frozen=True)
class StratumRanks:
    """Integers of one stratum, at a random point of it.

    Attributes:
        span: N, the dimension of the span of all functions.
        rank: of the Jacobian.
        stratum_dimension: of the functions of the stratum.
        union_rank: dimension of the sum of the tangent spaces at weights with one function; None: not asked for.
        exposed_dimension: of the targets that have a critical point in the stratum; None: not asked for.
    """

    span: int
    rank: int
    stratum_dimension: int
    union_rank: int | None = None
    exposed_dimension: int | None = None

    @property
    def exposed(self) -> bool:
        """Whether an open set of targets has a critical point in the stratum."""
        return self.exposed_dimension == self.span


def measure_strata(network: NetworkConfig, seed: int, what: str, primes: Sequence[int] = PRIMES
                   ) -> list[tuple[Stratum, StratumRanks]]:
    """All strata of a network.

    Args:
        network: with strata.
        seed: of the random points.
        what: `union` or `exposed`: which of the two dear numbers.
        primes: the integers of two must agree.

    Raises:
        UsageError: no two of the primes agree, or the span is too large.
    """
    strata = network.strata()
    found = agreed_strata(lambda prime: modulo(network, strata, seed, what, prime), primes)
    return list(zip(strata, found, strict=True))


def agreed_strata(taken: Callable[[int], list[StratumRanks]], primes: Sequence[int]) -> list[StratumRanks]:
    """Integers on which two primes agree, each prime taken when it is needed.

    Raises:
        UsageError: no two agree.
    """
    found: list[list[StratumRanks]] = []
    for prime in primes:
        found.append(taken(prime))
        if found.count(found[-1]) > 1:
            return found[-1]
    raise UsageError(f"ranks modulo {', '.join(map(str, primes))} disagree; take another seed")


def modulo(network: NetworkConfig, strata: Sequence[Stratum], seed: int, what: str, prime: int) -> list[StratumRanks]:
    """The integers of all strata, modulo one prime."""
    field = PrimeField(prime)
    generator = np.random.default_rng((seed, prime))
    evaluations = spanning_evaluations(network, field, generator)
    return [ranks_at(stratum, evaluations, generator, what) for stratum in strata]


def ranks_at(stratum: Stratum, evaluations: Evaluations, generator: np.random.Generator, what: str) -> StratumRanks:
    """The integers of one stratum in coordinates that span all functions; `what` as for `measure_strata`."""
    field = evaluations.field
    assert isinstance(field, PrimeField)
    weights = stratum.point(field, generator)
    tangent = stratum.tangent(weights, field)
    jacobian = evaluations.jacobian(weights)
    own = rank(jacobian, field.prime)
    within = rank(product(tangent.T, jacobian, field.prime), field.prime)
    ranks = StratumRanks(len(evaluations), own, within)
    if what == "union":
        return replace(ranks, union_rank=_union(stratum, evaluations, generator, weights, jacobian))
    moved = _moved(evaluations, generator, weights, jacobian, tangent)
    return replace(ranks, exposed_dimension=ranks.span - own + moved)


def _union(stratum: Stratum, evaluations: Evaluations, generator: np.random.Generator, weights: dict[str, np.ndarray],
           jacobian: np.ndarray) -> int:
    """Rank of the Jacobians at several weights of one function, with the same evaluations."""
    field = evaluations.field
    assert isinstance(field, PrimeField)
    values = evaluations.values(weights)
    blocks = [jacobian]
    for other in islice(stratum.fibre(weights, field, generator), MOST_FIBRE_POINTS):
        assert (evaluations.values(other) == values).all(), f"{stratum.words}: other weights, another function"
        blocks.append(evaluations.jacobian(other))
    return rank(np.concatenate(blocks), field.prime)


def _moved(evaluations: Evaluations, generator: np.random.Generator, weights: dict[str, np.ndarray],
           jacobian: np.ndarray, tangent: np.ndarray) -> int:
    """Dim H {v in T : H v in im J^T} at a random residual that is orthogonal to all tangent vectors."""
    field = evaluations.field
    assert isinstance(field, PrimeField)
    prime = field.prime
    normals = kernel(jacobian, prime)
    residual = product(normals, field.random(generator, (normals.shape[1], 1)), prime)[:, 0]
    curved = evaluations.hessian_product(weights, residual, tangent)
    gauss_newton = product(jacobian, product(jacobian.T, tangent, prime), prime)
    hessian = (gauss_newton - curved) % prime
    # H v lies in the column space of J iff all that is orthogonal to that is orthogonal to it.
    orthogonal = kernel(jacobian.T, prime)
    allowed = kernel(product(orthogonal.T, hessian, prime), prime)
    return rank(product(hessian, allowed, prime), prime)
