"""Degree and critical points of matrices of bounded rank, also of symmetric ones, by their conormal varieties.

The number of critical points of the distance to a generic point, for a generic inner product, is the sum of the polar
degrees (Draisma, Horobet, Ottaviani, Sturmfels & Thomas, Found. Comput. Math. 16 (2016), Theorem 5.4), and these are
the bidegrees of the conormal variety: pairs of a matrix A of rank at most r and a matrix B with A B = 0, B A = 0. It is
the image of P(S (x) T) x P(S' (x) T') over the Grassmannians of the image of A (S, with quotient dual to S') and of
its rows (T), so that a bidegree is the integral of a product of Segre classes there. Torus localization makes it a sum
over coordinate subspaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, combinations_with_replacement, product
from math import comb, prod

POLAR = "sum of polar degrees (Draisma et al. 2016, Theorem 5.4)"
# Coordinate subspaces that are summed over; beyond, a closed form is given up.
MOST_SUBSPACES = 20_000


@lru_cache(maxsize=256)
def polar_degrees(rows: int, columns: int, rank: int) -> tuple[int, ...] | None:
    """Polar degrees of the rows x columns matrices of rank at most `rank`, below both; None where it takes too long.

    The first is the degree; their sum is the number of critical points.
    """
    if comb(rows, rank) * comb(columns, rank) > MOST_SUBSPACES:
        return None
    return _integrals(_of_matrices(rows, columns, rank), rank * (rows + columns - 2 * rank))


@lru_cache(maxsize=256)
def symmetric_polar_degrees(size: int, rank: int) -> tuple[int, ...] | None:
    """The same for symmetric matrices of a size, of rank at most `rank` below it."""
    if comb(size, rank) > MOST_SUBSPACES:
        return None
    return _integrals(_of_symmetric(size, rank), rank * (size - rank))


FixedPoint = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Torus weights of the bundle of A, of the bundle of B, and of the tangent space, at a coordinate subspace."""


def _integrals(points: Iterator[FixedPoint], dimension: int) -> tuple[int, ...]:
    """The integrals of s_(n - k)(A) s_k(B) over the base of dimension n, for k = 0, ..., n."""
    totals = [Fraction(0)] * (dimension + 1)
    for first, second, tangent in points:
        a, b = _segre(first, dimension), _segre(second, dimension)
        below = prod(tangent)
        for k in range(dimension + 1):
            totals[k] += Fraction(a[dimension - k] * b[k], below)
    assert all(total.denominator == 1 for total in totals)
    return tuple(map(int, totals))


def _segre(weights: Sequence[int], order: int) -> list[int]:
    """Coefficients of 1 / prod (1 + w h) up to an order."""
    found = [1] + [0] * order
    for weight in weights:
        for k in range(1, order + 1):
            found[k] -= weight * found[k - 1]
    return found


def _of_matrices(rows: int, columns: int, rank: int) -> Iterator[FixedPoint]:
    left, right = _characters(rows, 1), _characters(columns, 3)
    for chosen, others in product(combinations(left, rank), combinations(right, rank)):
        rest, remaining = [s for s in left if s not in chosen], [t for t in right if t not in others]
        yield ([s + t for s, t in product(chosen, others)], [-s - t for s, t in product(rest, remaining)],
               [*(q - s for s, q in product(chosen, rest)), *(q - t for t, q in product(others, remaining))])


def _of_symmetric(size: int, rank: int) -> Iterator[FixedPoint]:
    characters = _characters(size, 1)
    for chosen in combinations(characters, rank):
        rest = [s for s in characters if s not in chosen]
        yield ([s + t for s, t in combinations_with_replacement(chosen, 2)],
               [-s - t for s, t in combinations_with_replacement(rest, 2)],
               [q - s for s, q in product(chosen, rest)])


def _characters(size: int, base: int) -> list[int]:
    """Distinct integers: any will do, since the sum does not depend on them."""
    return [base + 2 * i * i + i for i in range(size)]
