"""Small dense linear algebra for compiled code, row by row as the matrices lie in memory."""

from __future__ import annotations

import math

import numpy as np

from agfrun.labs.staircases.compiled.compiler import compiled
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray

# Up to this size a factorization that is written out is quicker than starting LAPACK's.
LARGEST_WRITTEN_OUT = 48


@compiled
def step_matrix(matrix: FloatArray, step: float, result: FloatArray) -> None:
    """Write I - step * matrix."""
    size = matrix.shape[0]
    for row in range(size):
        for column in range(size):
            result[row, column] = -step * matrix[row, column]
        result[row, row] += 1.0


@compiled
def lu_factorize(matrix: FloatArray, pivots: IntArray) -> bool:
    """L U with row pivots in place of a matrix; False if it is singular or not finite."""
    size = matrix.shape[0]
    for k in range(size):
        place, best = k, abs(matrix[k, k])
        for i in range(k + 1, size):
            if abs(matrix[i, k]) > best:
                place, best = i, abs(matrix[i, k])
        pivots[k] = place
        if not 0 < best < np.inf:
            return False
        if place != k:
            for j in range(size):
                matrix[k, j], matrix[place, j] = matrix[place, j], matrix[k, j]
        for i in range(k + 1, size):
            matrix[i, k] /= matrix[k, k]
            part = matrix[i, k]
            for j in range(k + 1, size):
                matrix[i, j] -= part * matrix[k, j]
    return True


@compiled
def lu_solve(factor: FloatArray, pivots: IntArray, right: FloatArray) -> None:
    """Solve with the factors of `lu_factorize`, in place."""
    size = factor.shape[0]
    for k in range(size):
        place = pivots[k]
        if place != k:
            right[k], right[place] = right[place], right[k]
    for i in range(1, size):
        known = 0.0
        for j in range(i):
            known += factor[i, j] * right[j]
        right[i] -= known
    for i in range(size - 1, -1, -1):
        known = 0.0
        for j in range(i + 1, size):
            known += factor[i, j] * right[j]
        right[i] = (right[i] - known) / factor[i, i]


@compiled
def cholesky_factorize(matrix: FloatArray) -> bool:
    """L of L L^T in place of the lower triangle of a symmetric matrix; False if it is not positive definite."""
    size = matrix.shape[0]
    if size > LARGEST_WRITTEN_OUT:
        try:
            lower = np.linalg.cholesky(matrix)
        except Exception:  # noqa: BLE001 - the only kind that compiled code can name
            return False
        for i in range(size):
            for j in range(i + 1):
                matrix[i, j] = lower[i, j]
        return True
    for i in range(size):
        for j in range(i):
            known = 0.0
            for k in range(j):
                known += matrix[i, k] * matrix[j, k]
            matrix[i, j] = (matrix[i, j] - known) / matrix[j, j]
        known = 0.0
        for k in range(i):
            known += matrix[i, k] * matrix[i, k]
        rest = matrix[i, i] - known
        if not 0 < rest < np.inf:
            return False
        matrix[i, i] = math.sqrt(rest)
    return True


@compiled
def cholesky_solve(factor: FloatArray, right: FloatArray) -> None:
    """Solve with the factor of `cholesky_factorize`, in place; both passes go along its rows."""
    size = factor.shape[0]
    for i in range(size):
        known = 0.0
        for j in range(i):
            known += factor[i, j] * right[j]
        right[i] = (right[i] - known) / factor[i, i]
    for i in range(size - 1, -1, -1):
        value = right[i] / factor[i, i]
        right[i] = value
        for j in range(i):
            right[j] -= value * factor[i, j]


@compiled
def error_of_neurons(error: FloatArray, y: FloatArray, y_new: FloatArray, size: int) -> float:
    """Root mean square of ||error_i|| / max(||y_i||, ||y_new_i||) over neurons of `size` numbers each."""
    total = 0.0
    count = y.shape[0] // size
    for start in range(0, y.shape[0], size):
        off, before, after = 0.0, 0.0, 0.0
        for k in range(start, start + size):
            off += error[k] * error[k]
            before += y[k] * y[k]
            after += y_new[k] * y_new[k]
        total += off / max(before, after)
    return math.sqrt(total / count)
