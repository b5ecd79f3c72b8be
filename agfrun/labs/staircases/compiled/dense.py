"""What the step loop asks of a matrix, for kernels that write the whole Jacobian (n, n) of n / K numbers a neuron."""

from __future__ import annotations

from typing import Any

from agfrun.labs.staircases.compiled import kernels
from agfrun.labs.staircases.compiled.algebra import (
    cholesky_factorize,
    cholesky_solve,
    lu_factorize,
    lu_solve,
    step_matrix,
)
from agfrun.labs.staircases.compiled.compiler import compiled, implements
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray


def dense(kind: type, symmetric: bool) -> None:
    """Register what kernels of a type do with their matrices."""

    @implements(kernels.matrix_shape, kind)
    def matrix_shape(kernel: Any, y: FloatArray) -> tuple[int, int]:
        return y.shape[0], y.shape[0]

    @implements(kernels.product, kind)
    def product(kernel: Any, matrix: FloatArray, vector: FloatArray, result: FloatArray) -> None:
        dense_product(matrix, vector, result)

    @implements(kernels.shift, kind)
    def shift(kernel: Any, matrix: FloatArray, growth: FloatArray) -> None:
        size = matrix.shape[0] // growth.shape[0]
        for k in range(matrix.shape[0]):
            matrix[k, k] -= growth[k // size]

    @implements(kernels.relaxation, kind)
    def relaxation(kernel: Any, matrix: FloatArray, rates: FloatArray) -> None:
        largest_row_sums(matrix, rates)

    if symmetric:
        @implements(kernels.factorize, kind)
        def factorize(kernel: Any, matrix: FloatArray, step: float, factor: FloatArray, pivots: IntArray) -> bool:
            step_matrix(matrix, step, factor)
            return cholesky_factorize(factor)

        @implements(kernels.solve, kind)
        def solve(kernel: Any, factor: FloatArray, pivots: IntArray, right: FloatArray) -> None:
            cholesky_solve(factor, right)
    else:
        @implements(kernels.factorize, kind)
        def factorize_any(kernel: Any, matrix: FloatArray, step: float, factor: FloatArray, pivots: IntArray) -> bool:
            step_matrix(matrix, step, factor)
            return lu_factorize(factor, pivots)

        @implements(kernels.solve, kind)
        def solve_any(kernel: Any, factor: FloatArray, pivots: IntArray, right: FloatArray) -> None:
            lu_solve(factor, pivots, right)


@compiled
def dense_product(matrix: FloatArray, vector: FloatArray, result: FloatArray) -> None:
    """Write matrix @ vector."""
    for i in range(matrix.shape[0]):
        total = 0.0
        for k in range(matrix.shape[1]):
            total += matrix[i, k] * vector[k]
        result[i] = total


@compiled
def largest_row_sums(matrix: FloatArray, sums: FloatArray) -> None:
    """Write the largest row sum of absolute values in each of K equal blocks on the diagonal of a matrix, (K,)."""
    size = matrix.shape[0] // sums.shape[0]
    for i in range(sums.shape[0]):
        sums[i] = 0.0
        for row in range(i * size, (i + 1) * size):
            total = 0.0
            for column in range(i * size, (i + 1) * size):
                total += abs(matrix[row, column])
            sums[i] = max(sums[i], total)
