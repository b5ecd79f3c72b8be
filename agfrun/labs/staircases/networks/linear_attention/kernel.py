"""The flow of restricted attention heads along the eigenvectors, written out for compiled steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agfrun.labs.staircases.compiled import kernels
from agfrun.labs.staircases.compiled.algebra import error_of_neurons
from agfrun.labs.staircases.compiled.compiler import compiled, implements
from agfrun.labs.staircases.compiled.dense import dense
from agfrun.labs.staircases.dynamics.trajectory import FloatArray


class HeadsKernel(NamedTuple):
    """H heads (v, K, Q) of rank r, 1 + 2 r D numbers each, row by row.

    Attributes:
        optimum: the coefficients of the best map, on its diagonal, (D,).
        weights: Q_b lambda_j, by which entry (b, j) of what is missing is weighed, (D, D).
        minimum: loss of the best map.
        head_dim: r.
    """

    optimum: FloatArray
    weights: FloatArray
    minimum: float
    head_dim: int

    @property
    def width(self) -> int:
        """Numbers of a head."""
        return 1 + 2 * self.head_dim * len(self.optimum)


@compiled
def _drive(kernel: Any, y: FloatArray, drive: FloatArray) -> float:
    """Write -dL/dM, (D, D); the loss."""
    dimension, rank = kernel.optimum.shape[0], kernel.head_dim
    block = rank * dimension
    for b in range(dimension):
        for j in range(dimension):
            drive[b, j] = 0.0
        drive[b, b] = kernel.optimum[b]
    for start in range(0, y.shape[0], 1 + 2 * block):
        value = y[start]
        for row in range(rank):
            keys, queries = start + 1 + row * dimension, start + 1 + block + row * dimension
            for b in range(dimension):
                part = value * y[keys + b]
                for j in range(dimension):
                    drive[b, j] -= part * y[queries + j]
    loss = 0.0
    for b in range(dimension):
        for j in range(dimension):
            missing = drive[b, j]
            drive[b, j] *= kernel.weights[b, j]
            loss += missing * drive[b, j]
    total: float = kernel.minimum + 0.5 * loss
    return total


@implements(kernels.loss_and_velocity, HeadsKernel)
def loss_and_velocity(kernel: Any, y: FloatArray, velocity: FloatArray) -> float:
    """See `kernels.loss_and_velocity`."""
    dimension, rank = kernel.optimum.shape[0], kernel.head_dim
    block = rank * dimension
    drive = np.empty((dimension, dimension))
    loss = _drive(kernel, y, drive)
    for start in range(0, y.shape[0], 1 + 2 * block):
        value, utility = y[start], 0.0
        for row in range(rank):
            keys, queries = start + 1 + row * dimension, start + 1 + block + row * dimension
            for j in range(dimension):
                velocity[queries + j] = 0.0
            for b in range(dimension):
                along, key = 0.0, y[keys + b]
                for j in range(dimension):
                    along += drive[b, j] * y[queries + j]
                    velocity[queries + j] += value * key * drive[b, j]
                velocity[keys + b] = value * along
                utility += key * along
        velocity[start] = utility
    return loss


@implements(kernels.jacobian, HeadsKernel)
def jacobian(kernel: Any, y: FloatArray, matrix: FloatArray) -> None:
    """-(dM/dy)^T diag(weights) dM/dy + <drive, d^2 M / dy^2>."""
    dimension, rank = kernel.optimum.shape[0], kernel.head_dim
    block, size = rank * dimension, y.shape[0]
    head = 1 + 2 * block
    drive = np.empty((dimension, dimension))
    _drive(kernel, y, drive)
    slopes, weighed = np.zeros((size, dimension * dimension)), np.empty((size, dimension * dimension))
    for start in range(0, size, head):
        value = y[start]
        for row in range(rank):
            keys, queries = start + 1 + row * dimension, start + 1 + block + row * dimension
            for b in range(dimension):
                for j in range(dimension):
                    entry = b * dimension + j
                    slopes[start, entry] += y[keys + b] * y[queries + j]
                    slopes[keys + b, entry] = value * y[queries + j]
                    slopes[queries + j, entry] = value * y[keys + b]
    for i in range(size):
        for b in range(dimension):
            for j in range(dimension):
                entry = b * dimension + j
                weighed[i, entry] = slopes[i, entry] * kernel.weights[b, j]
    for i in range(size):
        for k in range(i + 1):
            product = 0.0
            for entry in range(dimension * dimension):
                product += weighed[i, entry] * slopes[k, entry]
            matrix[i, k] = matrix[k, i] = -product
    for start in range(0, size, head):
        value = y[start]
        for row in range(rank):
            keys, queries = start + 1 + row * dimension, start + 1 + block + row * dimension
            for b in range(dimension):
                by_key, by_query = 0.0, 0.0
                for j in range(dimension):
                    by_key += drive[b, j] * y[queries + j]
                    by_query += drive[j, b] * y[keys + j]
                    matrix[keys + b, queries + j] += value * drive[b, j]
                    matrix[queries + j, keys + b] += value * drive[b, j]
                matrix[start, keys + b] += by_key
                matrix[keys + b, start] += by_key
                matrix[start, queries + b] += by_query
                matrix[queries + b, start] += by_query


@implements(kernels.relative_error, HeadsKernel)
def relative_error(kernel: Any, error: FloatArray, y: FloatArray, y_new: FloatArray) -> float:
    """See `kernels.relative_error`."""
    return error_of_neurons(error, y, y_new, 1 + 2 * kernel.head_dim * kernel.optimum.shape[0])


@implements(kernels.outworn, HeadsKernel)
def outworn(kernel: Any, y: FloatArray) -> bool:
    """Never."""
    return False


dense(HeadsKernel, symmetric=True)
