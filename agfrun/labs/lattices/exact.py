"""Lattice reduction in integers: LLL without any rounding, and certificates of what other methods give."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import numpy as np

from agfrun.labs.lattices.bases import determinant
from agfrun.study.errors import UsageError

NOT_INSTALLED = "python-flint is not installed; pip install 'agfrun[lattices]'"
Matrix = list[list[int]]


def product(left: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> Matrix:
    """The product of two matrices of integers, exactly."""
    columns = list(zip(*right, strict=True))
    return [[sum(map(int.__mul__, row, column)) for column in columns] for row in left]


def is_unimodular(transform: Any) -> bool:
    """Whether the determinant of a matrix of integers is 1 or -1, exactly."""
    return abs(determinant(_integers(transform))) == 1


def same_lattice(basis: Any, other: Any) -> bool:
    """Whether two integer bases (rows) span the same lattice: their Hermite normal forms are equal.

    Raises:
        UsageError: python-flint is not installed.
    """
    if find_spec("flint") is None:
        raise UsageError(NOT_INSTALLED)
    import flint  # an extra, asked for in the line above

    return bool(flint.fmpz_mat(_integers(basis)).hnf() == flint.fmpz_mat(_integers(other)).hnf())


def exact_lll(basis: Sequence[Sequence[int]], delta: float = 0.99) -> tuple[Matrix, Matrix]:
    """LLL in integers alone (H. Cohen, A Course in Computational Algebraic Number Theory, algorithm 2.6.7).

    Args:
        basis: rows of integers of any size.
        delta: above 1/4, at most 1; taken as the fraction that the decimal number says.

    Returns:
        The reduced basis, and the unimodular matrix that makes it of the given one.
    """
    b, n, share = [list(map(int, row)) for row in basis], len(basis), Fraction(str(delta))
    u = [[int(i == j) for j in range(n)] for i in range(n)]
    # d[k + 1] is the Gram determinant of the first k + 1 rows, lam[k][j] = d[j + 1] mu_kj.
    d, lam = [1] + [0] * n, [[0] * n for _ in range(n)]

    def orthogonalize(k: int) -> None:
        for j in range(k + 1):
            value = sum(map(int.__mul__, b[k], b[j]))
            for i in range(j):
                value = (d[i + 1] * value - lam[k][i] * lam[j][i]) // d[i]
            if j < k:
                lam[k][j] = value
            else:
                d[k + 1] = value

    def size_reduce(k: int, j: int) -> None:
        if 2 * abs(lam[k][j]) <= d[j + 1]:
            return
        q = (2 * lam[k][j] + d[j + 1]) // (2 * d[j + 1])
        for matrix in (b, u):
            matrix[k] = [x - q * y for x, y in zip(matrix[k], matrix[j], strict=True)]
        lam[k][j] -= q * d[j + 1]
        for i in range(j):
            lam[k][i] -= q * lam[j][i]

    orthogonalize(0)
    k = known = 1
    while k < n:
        if k == known:
            orthogonalize(k)
            known += 1
        size_reduce(k, k - 1)
        if d[k + 1] * d[k - 1] >= share * d[k] ** 2 - lam[k][k - 1] ** 2:
            for j in range(k - 2, -1, -1):
                size_reduce(k, j)
            k += 1
            continue
        for matrix in (b, u):
            matrix[k], matrix[k - 1] = matrix[k - 1], matrix[k]
        known = k = max(1, k - 1)
        orthogonalize(k - 1)
    return b, u


def is_lll_reduced(basis: Any, delta: float, eta: float = 0.51) -> bool:
    """Whether rows of integers are LLL-reduced, decided in rational numbers."""
    rows = _integers(basis)
    share, largest = Fraction(str(delta)), Fraction(str(eta))
    mu: list[list[Fraction]] = []
    lengths: list[Fraction] = []
    for row in rows:
        found: list[Fraction] = []
        for j in range(len(mu)):
            inner = Fraction(sum(map(int.__mul__, row, rows[j])))
            found.append((inner - sum((found[i] * mu[j][i] * lengths[i] for i in range(j)), Fraction(0))) / lengths[j])
        mu.append(found)
        lengths.append(sum(map(int.__mul__, row, row)) - sum((m * m * x for m, x in zip(found, lengths, strict=True)),
                                                             Fraction(0)))
    return all(abs(m) <= largest for row in mu for m in row) and all(
        lengths[k] >= (share - mu[k][k - 1] ** 2) * lengths[k - 1] for k in range(1, len(rows)))


def _integers(matrix: Any) -> Matrix:
    return [[int(entry) for entry in row] for row in (matrix.tolist() if isinstance(matrix, np.ndarray) else matrix)]
