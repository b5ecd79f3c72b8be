"""A basis under reduction: its rows, their Gram matrix, the dual basis, the unimodular matrix so far.

Rows are basis vectors. The move (j, i, a) adds a times row i to row j; the dual basis then loses a times row j of its
rows in row i. Gram matrices are computed anew from the rows that change: entries of integer bases below 2^26 in size
have exact ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agfrun.labs.lattices.kernels.compiler import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@compiled
def gram_row(basis: FloatArray, gram: FloatArray, j: int) -> None:
    """Write row and column j of the Gram matrix of a basis."""
    n = basis.shape[0]
    for k in range(n):
        total = 0.0
        for c in range(basis.shape[1]):
            total += basis[j, c] * basis[k, c]
        gram[j, k] = total
        gram[k, j] = total


@compiled
def gram_of(basis: FloatArray, gram: FloatArray) -> None:
    """Write the Gram matrix of a basis."""
    for j in range(basis.shape[0]):
        gram_row(basis, gram, j)


@compiled
def add_row(matrix: FloatArray, j: int, i: int, a: float) -> None:
    """Row j += a row i."""
    for c in range(matrix.shape[1]):
        matrix[j, c] += a * matrix[i, c]


@compiled
def add_integer_row(matrix: IntArray, j: int, i: int, a: float) -> None:
    """The same of integers, exactly."""
    whole = np.int64(a)
    for c in range(matrix.shape[1]):
        matrix[j, c] += whole * matrix[i, c]


@compiled
def swap_rows(matrix: npt.NDArray[np.generic], i: int, j: int) -> None:
    """Exchange two rows."""
    for c in range(matrix.shape[1]):
        kept = matrix[i, c]
        matrix[i, c] = matrix[j, c]
        matrix[j, c] = kept


@compiled
def half_log_diagonal(gram: FloatArray) -> float:
    """Half the sum of the logarithms of the diagonal: log of the product of the lengths."""
    total = 0.0
    for k in range(gram.shape[0]):
        total += np.log(gram[k, k])
    return 0.5 * total
