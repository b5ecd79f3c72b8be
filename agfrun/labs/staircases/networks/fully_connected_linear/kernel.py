"""The flow of fully connected linear networks in independent mixtures of their neurons, for compiled steps."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from agfrun.labs.staircases.compiled import kernels
from agfrun.labs.staircases.compiled.algebra import error_of_neurons
from agfrun.labs.staircases.compiled.compiler import compiled, implements
from agfrun.labs.staircases.compiled.dense import dense
from agfrun.labs.staircases.dynamics.trajectory import FloatArray


class MixturesKernel(NamedTuple):
    """K neurons (w, a) of d + c numbers each, row by row.

    Attributes:
        target: B F, the whitened map, (c, r).
        factor: F with F F^T = Sigma_xx, (d, r).
        covariance: Sigma_xx, (d, d).
        noise: loss of the best map.
        largest_cosine: of two neurons; beyond it these are mixed anew.
    """

    target: FloatArray
    factor: FloatArray
    covariance: FloatArray
    noise: float
    largest_cosine: float


@compiled
def _correlation(kernel: Any, y: FloatArray, correlation: FloatArray) -> float:
    """Write (B - A W) Sigma_xx, (c, d); the loss."""
    outputs, inputs = correlation.shape
    neurons = y.reshape(-1, inputs + outputs)
    product = np.ascontiguousarray(neurons[:, inputs:].T) @ np.ascontiguousarray(neurons[:, :inputs])
    whitened = product @ kernel.factor
    loss = 0.0
    for row in range(outputs):
        for column in range(whitened.shape[1]):
            whitened[row, column] = kernel.target[row, column] - whitened[row, column]
            loss += whitened[row, column] * whitened[row, column]
    np.dot(whitened, kernel.factor.T, correlation)
    total: float = 0.5 * loss + kernel.noise
    return total


@implements(kernels.loss_and_velocity, MixturesKernel)
def loss_and_velocity(kernel: Any, y: FloatArray, velocity: FloatArray) -> float:
    """See `kernels.loss_and_velocity`."""
    outputs, inputs = kernel.target.shape[0], kernel.factor.shape[0]
    size = inputs + outputs
    correlation = np.empty((outputs, inputs))
    loss = _correlation(kernel, y, correlation)
    for start in range(0, y.shape[0], size):
        for x in range(inputs):
            velocity[start + x] = 0.0
        for o in range(outputs):
            weight, along = y[start + inputs + o], 0.0
            for x in range(inputs):
                velocity[start + x] += weight * correlation[o, x]
                along += correlation[o, x] * y[start + x]
            velocity[start + inputs + o] = along
    return loss


@implements(kernels.jacobian, MixturesKernel)
def jacobian(kernel: Any, y: FloatArray, matrix: FloatArray) -> None:
    """Minus the Hessian: (A^T A) x Sigma_xx, (W Sigma_xx W^T) x 1 and a_i (Sigma_xx w_j)^T - delta_ij G."""
    outputs, inputs = kernel.target.shape[0], kernel.factor.shape[0]
    size = inputs + outputs
    correlation = np.empty((outputs, inputs))
    _correlation(kernel, y, correlation)
    neurons = y.reshape(-1, size)
    count = neurons.shape[0]
    outer = np.ascontiguousarray(neurons[:, inputs:])
    # W Sigma_xx W^T as a Gram matrix: positive semi-definite in spite of rounding.
    whitened = np.ascontiguousarray(neurons[:, :inputs]) @ kernel.factor
    inner_products, outer_products = whitened @ whitened.T, outer @ outer.T
    weighed = whitened @ kernel.factor.T
    for i in range(count):
        for j in range(count):
            row, column = i * size, j * size
            for x in range(inputs):
                for z in range(inputs):
                    matrix[row + x, column + z] = -outer_products[i, j] * kernel.covariance[x, z]
                for o in range(outputs):
                    mixed = -outer[i, o] * weighed[j, x]
                    if i == j:
                        mixed += correlation[o, x]
                    matrix[row + x, column + inputs + o] = mixed
                    matrix[column + inputs + o, row + x] = mixed
            for o in range(outputs):
                for q in range(outputs):
                    matrix[row + inputs + o, column + inputs + q] = -inner_products[i, j] if o == q else 0.0


@implements(kernels.outworn, MixturesKernel)
def outworn(kernel: Any, y: FloatArray) -> bool:
    """Whether two mixtures have come near one another; see `coordinates.IndependentNeurons.outworn`."""
    size = kernel.target.shape[0] + kernel.factor.shape[0]
    neurons = y.reshape(-1, size)
    products = neurons @ neurons.T
    for i in range(len(neurons)):
        for j in range(i):
            if abs(products[i, j]) >= kernel.largest_cosine * math.sqrt(products[i, i]) * math.sqrt(products[j, j]):
                return True
    return False


@implements(kernels.relative_error, MixturesKernel)
def relative_error(kernel: Any, error: FloatArray, y: FloatArray, y_new: FloatArray) -> float:
    """See `kernels.relative_error`."""
    return error_of_neurons(error, y, y_new, kernel.target.shape[0] + kernel.factor.shape[0])


dense(MixturesKernel, symmetric=True)
