"""Ranks of networks that are no polynomials, from singular values of many digits.

Modulo a prime there is no exponential. In ordinary floats the singular values of deep networks with softmax fall below
the rounding before they end, and a rank is read off wherever one looks. Here the Jacobian is computed in real numbers
of hundreds of digits with error bounds (Arb). Its singular values are the square roots of the eigenvalues of its Gram
matrix, of which half the digits are left. The rank is where they drop by `GAP` digits or more, down to what rounding
leaves of zeros. Columns are not normalized, and there is one random point: both can only manufacture rank.

That the rank is no smaller is proved besides: a minor of random combinations of rows and columns is an interval, and
if that excludes 0, the Jacobian there, and at almost all weights, has at least its size as rank.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Multiprecision
from agfrun.labs.neuromanifolds.evaluation import Evaluations, random_weights

if TYPE_CHECKING:
    import flint

    from agfrun.labs.neuromanifolds.config import NetworkConfig

# Decimal digits of all numbers.
DIGITS = 300
# Digits by which singular values have to drop where the rank is, and by which zeros may exceed half of all digits.
GAP = 40
SLACK = 30
# Of the numbers that rows and columns are combined with.
LARGEST_FACTOR = 9


@dataclass(frozen=True)
class PreciseRank:
    """A rank from singular values of many digits.

    Attributes:
        rank: number of singular values above the largest drop.
        last: decimal logarithm of the smallest singular value that counts, the largest one's being 0.
        next: that of the largest that does not count: what rounding leaves of zero, or where zeros would be.
        proved_rank: a proved lower bound on the generic rank: `rank`, or 0 where the proof did not succeed.
        digits: decimal digits of all numbers.
        rows: random evaluations, more of them than there can be dimensions.
        columns: weights by which is differentiated.
        seconds: wall time.
    """

    rank: int
    last: float
    next: float
    proved_rank: int
    digits: int
    rows: int
    columns: int
    seconds: float = field(default=0.0, compare=False)

    @property
    def gap(self) -> float:
        """Decimal digits by which singular values drop after the last that counts."""
        return self.last - self.next

    @property
    def decided(self) -> bool:
        """Whether the drop is wide enough, and what is below it is as small as zeros are after rounding."""
        return self.gap >= GAP and self.next <= SLACK - self.digits / 2


def precise_rank(network: NetworkConfig, seed: int, digits: int = DIGITS) -> PreciseRank:
    """Rank of a network's Jacobian at one random point; the same arguments give the same result.

    Args:
        network: the architecture, polynomial or not.
        seed: of weights, inputs and combinations of outputs.
        digits: of all numbers, at least 100 for there to be a gap of `GAP` digits in any but shallow networks.

    Raises:
        UsageError: python-flint is not installed.
    """
    started = time.perf_counter()
    jacobian = precise_jacobian(network, seed, digits, network.counts().evaluations)
    logs = [*singular_logarithms(jacobian), -digits / 2]
    drops = [before - after for before, after in zip(logs, logs[1:], strict=False)]
    found = int(np.argmax(drops)) + 1
    proved = found if _has_minor(jacobian, found, np.random.default_rng(seed)) else 0
    return PreciseRank(found, logs[found - 1], logs[found], proved, digits, len(jacobian.T), len(jacobian),
                       time.perf_counter() - started)


def precise_jacobian(network: NetworkConfig, seed: int, digits: int, rows: int) -> AnyArray:
    """Derivatives of random evaluations at random weights, (P, rows), with error bounds.

    Args:
        network: the architecture.
        seed: it decides what is drawn, which is the same at any number of digits.
        digits: of all numbers.
        rows: number of evaluations.
    """
    generator, numbers = np.random.default_rng(seed), Multiprecision(digits)
    drawn = Evaluations.draw(network, numbers, generator, rows)
    return drawn.jacobian(random_weights(network, numbers, generator))


def singular_logarithms(matrix: AnyArray) -> list[float]:
    """Decimal logarithms of a matrix's singular values over the largest of them, falling.

    Half the digits of the entries are left; a zero is about 10^-(digits / 2), or minus infinity.
    """
    import flint  # an extra; entries of `Multiprecision` show that it is there

    # The smaller Gram matrix has no zeros of its own.
    tall = flint.arb_mat(matrix.tolist() if len(matrix) >= len(matrix.T) else matrix.T.tolist())
    found = flint.acb_mat(tall.transpose() * tall).eig(algorithm="approx")
    logs = sorted((_logarithm(value.real) / 2 for value in found), reverse=True)
    return [one - logs[0] for one in logs]


def _logarithm(value: flint.arb) -> float:
    """The decimal logarithm of the size of a number without its error bound."""
    middle = abs(value.mid())
    return float(middle.log().mid()) / math.log(10) if middle > 0 else -math.inf


def _has_minor(matrix: AnyArray, size: int, generator: np.random.Generator) -> bool:
    """Whether a minor of this size, of random combinations of rows and columns, is certainly not 0."""
    import flint  # an extra; entries of `Multiprecision` show that it is there

    left = generator.integers(-LARGEST_FACTOR, LARGEST_FACTOR + 1, (size, len(matrix))).tolist()
    right = generator.integers(-LARGEST_FACTOR, LARGEST_FACTOR + 1, (len(matrix.T), size)).tolist()
    minor = (flint.arb_mat(left) * flint.arb_mat(matrix.tolist()) * flint.arb_mat(right)).det()
    return not minor.contains(0)
