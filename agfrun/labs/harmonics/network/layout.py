"""How the weights of all slots lie in one array, and what is asked of them.

The network has slots i of dimensions d_i with sum d_i^2 = n, weights W_i[g] in C^(d_i x d_i) for each of n places, and
outputs phi_i(x) = y_i y_i^dagger, y_i = sum_g x[g] W_i[g]; of dimension 1 it is a power spectrum (Marchetti, Hillar,
Kragic & Sanborn, Harmonics of Learning, arXiv:2312.08550). W_i[0] is the identity matrix throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

ComplexArray = npt.NDArray[np.complex128]
RealArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Slots:
    """The slots' dimensions, ascending; weights of R networks are an array (R, n, n) of rows vec W_1[g], vec W_2[g] ...

    Attributes:
        dimensions: d_i, ascending, with sum of squares n.
    """

    dimensions: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number n of places."""
        return sum(d * d for d in self.dimensions)

    @cached_property
    def column_dimensions(self) -> IntArray:
        """The dimension of the slot of each of the n columns."""
        return np.repeat(self.dimensions, [d * d for d in self.dimensions])

    @cached_property
    def identity_row(self) -> ComplexArray:
        """What the first row of the weights is: identity matrices."""
        return np.concatenate([np.eye(d).ravel() for d in self.dimensions]).astype(complex)

    def groups(self) -> Iterator[tuple[int, slice]]:
        """Each dimension that occurs, and the columns of its slots."""
        start = 0
        for d in sorted(set(self.dimensions)):
            width = self.dimensions.count(d) * d * d
            yield d, slice(start, start + width)
            start += width

    def blocks(self, weights: ComplexArray) -> list[ComplexArray]:
        """The slots of one network (n, n), each (n, d, d)."""
        edges = np.cumsum([d * d for d in self.dimensions])[:-1]
        parts = np.split(weights, edges, axis=1)
        return [part.reshape(-1, d, d) for part, d in zip(parts, self.dimensions, strict=True)]

    def joined(self, blocks: Sequence[ComplexArray]) -> ComplexArray:
        """The array (n, n) of one network's slots; inverse of `blocks`."""
        return np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)

    def initial(self, restarts: int, generator: np.random.Generator) -> ComplexArray:
        """Real and imaginary parts uniform in (-1/d, 1/d), as published; the first row is that of identities.

        One restart after another is drawn: more of them begin with the same.
        """
        parts = generator.uniform(-1, 1, (restarts, self.size, self.size, 2))
        weights: ComplexArray = parts.view(np.complex128)[..., 0] / self.column_dimensions
        weights[:, 0] = self.identity_row
        return weights


def possible_dimensions(n: int) -> list[tuple[int, ...]]:
    """All multisets that could be irrep dimensions of a group of order n, fewest ones last.

    Their squares sum to n, each divides n, and the number of ones, the order of the abelianization, divides n.
    """
    allowed = [d for d in range(2, n) if n % d == 0 and d * d < n]

    def choices(rest: int, smallest: int) -> Iterator[tuple[int, ...]]:
        yield ()
        for d in allowed:
            if d >= smallest and d * d <= rest:
                yield from ((d, *more) for more in choices(rest - d * d, d))

    found = []
    for larger in choices(n, 2):
        ones = n - sum(d * d for d in larger)
        if ones >= 1 and n % ones == 0:
            found.append((1,) * ones + larger)
    return sorted(found, key=lambda one: (-one.count(1), one))
