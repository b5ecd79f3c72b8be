"""Matrices of exact fractions, for weights that are given and for groups that act on them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

FractionArray = npt.NDArray[np.object_]
"""Exact numbers, `fractions.Fraction`, in an array of objects."""

# Steps that make a random invertible matrix, for each of its entries: enough that none stays as it was.
STEPS_PER_ENTRY = 2


def exact(values: Any) -> FractionArray:
    """Integers, decimals or texts such as `1/3` as exact fractions; a decimal is what it is written as."""
    given = np.asarray(values, dtype=object)
    made = np.empty(given.shape, dtype=object)
    for place, value in np.ndenumerate(given):
        made[place] = Fraction(str(value))
    return made


def matrix_product(*matrices: FractionArray) -> FractionArray:
    """The product of matrices of integers and fractions, exact, a hundred times as fast as NumPy's of objects."""
    import flint  # an extra: settings and figures work without it

    made = [flint.fmpq_mat(matrix.shape[0], matrix.shape[1], [
        flint.fmpq(int(value.numerator), int(value.denominator)) for value in matrix.ravel().tolist()])
        for matrix in matrices]
    # From the right, where the narrow matrices are.
    result = reduce(lambda right, left: left * right, reversed(made))
    flat = [Fraction(int(value.p), int(value.q)) for value in result.entries()]
    return np.array(flat, dtype=object).reshape(result.nrows(), result.ncols())


def echelon(matrix: FractionArray) -> tuple[FractionArray, list[int]]:
    """The rows that are not zero of the reduced row echelon form, and the columns of their leading ones."""
    rows, pivots = matrix.copy(), list[int]()
    for column in range(rows.shape[1]):
        top = len(pivots)
        found = next((i for i in range(top, len(rows)) if rows[i, column]), None)
        if found is None:
            continue
        rows[[top, found]] = rows[[found, top]]
        rows[top] = rows[top] / rows[top, column]
        for i in range(len(rows)):
            if i != top:
                rows[i] = rows[i] - rows[i, column] * rows[top]
        pivots.append(column)
    return rows[:len(pivots)], pivots


def random_invertible(size: int, generator: np.random.Generator) -> tuple[FractionArray, FractionArray]:
    """A random matrix and its inverse, exact: additions of rows after rescalings by powers of 2.

    Powers of 2 have inverses in every field.
    """
    scales = [Fraction(2) ** int(e) for e in generator.choice([-2, -1, 1, 2], size)]
    matrix, inverse = _diagonal(scales), _diagonal([1 / scale for scale in scales])
    for _ in range(STEPS_PER_ENTRY * size * size if size > 1 else 0):
        i, j = generator.choice(size, 2, replace=False)
        factor = int(generator.integers(-1, 2))
        matrix[i] += factor * matrix[j]
        inverse[:, j] -= factor * inverse[:, i]
    return matrix, inverse


def _diagonal(entries: Sequence[Fraction]) -> FractionArray:
    made = np.full((len(entries), len(entries)), Fraction(0), dtype=object)
    for i, entry in enumerate(entries):
        made[i, i] = entry
    return made
