"""The flow of diagonal linear networks, one number a neuron, written out for compiled steps (see `coordinates`)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from agfrun.labs.staircases.compiled import kernels
from agfrun.labs.staircases.compiled.compiler import compiled, implements
from agfrun.labs.staircases.compiled.dense import dense
from agfrun.labs.staircases.dynamics.trajectory import FloatArray


class HyperbolicKernel(NamedTuple):
    """Products of L layers of K neurons.

    Attributes:
        inputs, targets: rows that leave the same errors as the samples do, (m, K) and (m,).
        samples: their number n.
        sums, differences: (r + w)_0 and (r - w)_0 over the factor, (K,).
        excess: what the squares of the other layers are above r^2, without the factor, (K, L - 2).
        log_factor: logarithm of the factor of all neurons.
    """

    inputs: FloatArray
    targets: FloatArray
    samples: float
    sums: FloatArray
    differences: FloatArray
    excess: FloatArray
    log_factor: float


class PowerKernel(NamedTuple):
    """Powers u^L of one parameter, u = u_0 e^y; see `HyperbolicKernel`.

    Attributes:
        start: u_0 over the factor, (K,).
        depth: L.
    """

    inputs: FloatArray
    targets: FloatArray
    samples: float
    start: FloatArray
    depth: int
    log_factor: float


class LayersKernel(NamedTuple):
    """K neurons of D layers, row by row, whose products to a power are the coefficients: for gradient descent.

    Attributes:
        inputs, columns, targets: rows that leave the same errors as the samples do, (m, K), transposed, and (m,).
        samples: their number n.
        width: D.
        power: 1, or L for powers of one parameter.
    """

    inputs: FloatArray
    columns: FloatArray
    targets: FloatArray
    samples: float
    width: int
    power: int


def fewest_rows(inputs: FloatArray, targets: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rows (m, K) and targets (m,), m at most K + 1, with the same ||targets - inputs beta|| for all beta."""
    if len(inputs) <= inputs.shape[1] + 1:
        return np.ascontiguousarray(inputs), np.ascontiguousarray(targets)
    triangle = np.asarray(np.linalg.qr(np.column_stack([inputs, targets]), mode="r"))
    return np.ascontiguousarray(triangle[:, :-1]), np.ascontiguousarray(triangle[:, -1])


@compiled
def _hyperbolic_point(kernel: Any, y: FloatArray, place: int) -> tuple[float, float, float, float]:
    """Coefficient of a neuron, its slope by y, the speed, and its slope."""
    plus, minus = kernel.sums[place], kernel.differences[place]
    # A branch that starts at zero stays there, even once the exponential overflows.
    if plus != 0:
        plus *= math.exp(y[place] + kernel.log_factor)
    if minus != 0:
        minus *= math.exp(kernel.log_factor - y[place])
    smallest, second = 0.5 * (plus + minus), 0.5 * (plus - minus)
    pair, square = smallest * second, smallest * smallest
    speed, others = 1.0, kernel.excess.shape[1]
    factor = math.exp(2 * kernel.log_factor)
    for layer in range(others):
        speed *= math.sqrt(square + kernel.excess[place, layer] * factor)
    acceleration = 0.0
    for layer in range(others):
        own = math.sqrt(square + kernel.excess[place, layer] * factor)
        # d(layer)/dy = pair / layer; layers vanish only if the pair does.
        part = pair / own if own > 0 else pair
        for other in range(others):
            if other != layer:
                part *= math.sqrt(square + kernel.excess[place, other] * factor)
        acceleration += part
    return pair * speed, (square + second * second) * speed + pair * acceleration, speed, acceleration


@compiled
def _power_point(kernel: Any, y: FloatArray, place: int) -> tuple[float, float, float, float]:
    """See `_hyperbolic_point`."""
    value = kernel.start[place] * math.exp(y[place] + kernel.log_factor)
    coefficient, speed = value**kernel.depth, kernel.depth * value ** (kernel.depth - 2)
    return coefficient, kernel.depth * coefficient, speed, (kernel.depth - 2) * speed


@compiled
def _errors(kernel: Any, coefficients: FloatArray, errors: FloatArray) -> float:
    """Write what coefficients leave of the targets; the loss."""
    loss = 0.0
    for row in range(errors.shape[0]):
        left = kernel.targets[row]
        for k in range(coefficients.shape[0]):
            left -= kernel.inputs[row, k] * coefficients[k]
        errors[row] = left
        loss += left * left
    mean: float = loss / kernel.samples
    return 0.5 * mean


def _register(kind: type, point: Any) -> None:
    """What the step loop needs, for kernels whose neurons are where `point` says."""

    @implements(kernels.loss_and_velocity, kind)
    def loss_and_velocity(kernel: Any, y: FloatArray, velocity: FloatArray) -> float:
        size, rows = y.shape[0], kernel.targets.shape[0]
        coefficients, errors = np.empty(size), np.empty(rows)
        for k in range(size):
            coefficients[k], _, velocity[k], _ = point(kernel, y, k)
        loss = _errors(kernel, coefficients, errors)
        for k in range(size):
            drive = 0.0
            for row in range(rows):
                drive += kernel.inputs[row, k] * errors[row]
            velocity[k] *= drive / kernel.samples
        return loss

    @implements(kernels.jacobian, kind)
    def jacobian(kernel: Any, y: FloatArray, matrix: FloatArray) -> None:
        size, rows = y.shape[0], kernel.targets.shape[0]
        coefficients, errors, slopes = np.empty(size), np.empty(rows), np.empty(size)
        for k in range(size):
            coefficients[k], slopes[k], _, _ = point(kernel, y, k)
        _errors(kernel, coefficients, errors)
        for i in range(size):
            _, _, speed, acceleration = point(kernel, y, i)
            drive = 0.0
            for row in range(rows):
                drive += kernel.inputs[row, i] * errors[row]
            for j in range(size):
                product = 0.0
                for row in range(rows):
                    product += kernel.inputs[row, i] * kernel.inputs[row, j]
                matrix[i, j] = -product / kernel.samples * slopes[j] * speed
            matrix[i, i] += drive / kernel.samples * acceleration

    @implements(kernels.relative_error, kind)
    def relative_error(kernel: Any, error: FloatArray, y: FloatArray, y_new: FloatArray) -> float:
        total = 0.0
        for k in range(error.shape[0]):
            total += error[k] * error[k]
        return math.sqrt(total / error.shape[0])

    @implements(kernels.outworn, kind)
    def outworn(kernel: Any, y: FloatArray) -> bool:
        return False

    dense(kind, symmetric=False)


_register(HyperbolicKernel, _hyperbolic_point)
_register(PowerKernel, _power_point)


@implements(kernels.loss_and_velocity, LayersKernel)
def loss_and_layers_velocity(kernel: Any, y: FloatArray, velocity: FloatArray) -> float:
    """See `kernels.loss_and_velocity`; sums go along memory, so that they are of several numbers at a time."""
    width, power, rows = kernel.width, kernel.power, kernel.targets.shape[0]
    size = y.shape[0] // width
    products, errors, drives = np.empty(size), kernel.targets.copy(), np.zeros(size)
    for k in range(size):
        products[k] = 1.0
        for layer in range(k * width, (k + 1) * width):
            products[k] *= y[layer]
        coefficient = products[k] if power == 1 else products[k] ** power
        for row in range(rows):
            errors[row] -= kernel.columns[k, row] * coefficient
    loss = 0.0
    for row in range(rows):
        loss += errors[row] * errors[row]
        error = errors[row] / kernel.samples
        for k in range(size):
            drives[k] += kernel.inputs[row, k] * error
    for k in range(size):
        drive = drives[k] if power == 1 else drives[k] * power * products[k] ** (power - 1)
        for layer in range(k * width, (k + 1) * width):
            others = 1.0
            for other in range(k * width, (k + 1) * width):
                if other != layer:
                    others *= y[other]
            velocity[layer] = drive * others
    mean: float = loss / kernel.samples
    return 0.5 * mean
