"""The flow of quadratic neurons through the network's output, for compiled steps (see `output` and `coordinates`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agfrun.labs.staircases.compiled import kernels
from agfrun.labs.staircases.compiled.algebra import (
    cholesky_factorize,
    cholesky_solve,
    error_of_neurons,
    step_matrix,
)
from agfrun.labs.staircases.compiled.compiler import compiled, implements
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray


class TemplateKernel(NamedTuple):
    """K neurons (u, v, w) of r + r + q numbers each, row by row; names are those of `output.OutputLoss`.

    Attributes:
        within: F without the products across, (m - r^2, g - r^2).
        turned: its transpose.
        across: its diagonal on these, (r^2,).
        target: (g, q).
        first, second: members of each product of two entries of (u, v), (m,).
        place: where the product of two entries is, (2r, 2r).
        rank: r.
    """

    within: FloatArray
    turned: FloatArray
    across: FloatArray
    target: FloatArray
    first: IntArray
    second: IntArray
    place: IntArray
    rank: int


@compiled
def _turned(rows: FloatArray) -> FloatArray:
    """The transpose: what is done to all neurons lies side by side."""
    columns = np.empty((rows.shape[1], rows.shape[0]))
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            columns[k, i] = rows[i, k]
    return columns


@compiled
def _answers(kernel: Any, columns: FloatArray) -> FloatArray:
    """Coordinates of the squares of neurons (2r + q, K), (g, K)."""
    count, rank = columns.shape[1], kernel.rank
    own, inside = kernel.within.shape
    products, answers = np.empty((own, count)), np.empty((inside + rank * rank, count))
    for m in range(own):
        one, two = kernel.first[m], kernel.second[m]
        for i in range(count):
            products[m, i] = columns[one, i] * columns[two, i]
    np.dot(kernel.turned, products, answers[:inside])
    for a in range(rank):
        for b in range(rank):
            entry = a * rank + b
            for i in range(count):
                answers[inside + entry, i] = columns[a, i] * columns[rank + b, i] * kernel.across[entry]
    return answers


@compiled
def _rest(kernel: Any, answers: FloatArray, columns: FloatArray) -> FloatArray:
    """What is left of the target, (g, q)."""
    rest = answers @ columns[2 * kernel.rank :].T
    for row in range(rest.shape[0]):
        for column in range(rest.shape[1]):
            rest[row, column] = kernel.target[row, column] - rest[row, column]
    return rest


@implements(kernels.loss_and_velocity, TemplateKernel)
def loss_and_velocity(kernel: Any, y: FloatArray, velocity: FloatArray) -> float:
    """See `kernels.loss_and_velocity`."""
    rank, inputs, (own, inside) = kernel.rank, 2 * kernel.rank, kernel.within.shape
    rows = y.reshape(-1, inputs + kernel.target.shape[1])
    columns, count = _turned(rows), rows.shape[0]
    answers = _answers(kernel, columns)
    rest = _rest(kernel, answers, columns)
    moved = np.zeros(columns.shape)
    np.dot(rest.T, answers, moved[inputs:])
    along = rest @ columns[inputs:]
    by_products = kernel.within @ along[:inside]
    for m in range(own):
        one, two = kernel.first[m], kernel.second[m]
        for i in range(count):
            moved[one, i] += by_products[m, i] * columns[two, i]
        for i in range(count):
            moved[two, i] += by_products[m, i] * columns[one, i]
    for a in range(rank):
        for b in range(rank):
            entry = a * rank + b
            for i in range(count):
                slope = along[inside + entry, i] * kernel.across[entry]
                moved[a, i] += slope * columns[rank + b, i]
                moved[rank + b, i] += slope * columns[a, i]
    velocities = velocity.reshape(rows.shape)
    for i in range(count):
        for k in range(rows.shape[1]):
            velocities[i, k] = moved[k, i]
    return 0.5 * _sum_of_squares(rest)


@compiled
def _sum_of_squares(matrix: FloatArray) -> float:
    """Column by column, several at a time."""
    sums = np.zeros(matrix.shape[1])
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            sums[column] += matrix[row, column] * matrix[row, column]
    total = 0.0
    for column in range(matrix.shape[1]):
        total += sums[column]
    return total


@implements(kernels.jacobian, TemplateKernel)
def jacobian(kernel: Any, y: FloatArray, matrix: FloatArray) -> None:
    """Minus the Hessian on (u, v) and the output weights on the template, and below it that on any other weight.

    The output weights off the template are taken on their own, without what couples them to (u, v).
    """
    rank, inputs, (own, inside) = kernel.rank, 2 * kernel.rank, kernel.within.shape
    neurons = y.reshape(-1, inputs + kernel.target.shape[1])
    count, width, size = neurons.shape[0], 3 * rank, neurons.shape[0] * 3 * rank
    columns, output = _turned(neurons), np.ascontiguousarray(neurons[:, inputs:])
    answers = _answers(kernel, columns)
    rest = _rest(kernel, answers, columns)
    slopes = np.zeros((count * inputs, answers.shape[0]))
    for i in range(count):
        for a in range(inputs):
            for b in range(inputs):
                m, factor = kernel.place[a, b], neurons[i, b] * (2.0 if a == b else 1.0)
                if m < own:
                    for g in range(inside):
                        slopes[i * inputs + a, g] += factor * kernel.within[m, g]
                else:
                    slopes[i * inputs + a, inside + m - own] += factor * kernel.across[m - own]
    straight, mixed, coupling = slopes @ slopes.T, slopes @ answers, answers.T @ answers
    steep = slopes @ np.ascontiguousarray(rest[:, :rank])
    weights = output @ output.T
    bends = _bends(kernel, output, rest)
    for i in range(count):
        for j in range(count):
            row, column = i * width, j * width
            for a in range(inputs):
                for b in range(inputs):
                    matrix[row + a, column + b] = -weights[i, j] * straight[i * inputs + a, j * inputs + b]
                for c in range(rank):
                    value = -mixed[i * inputs + a, j] * output[i, c]
                    matrix[row + a, column + inputs + c] = value
                    matrix[column + inputs + c, row + a] = value
            for c in range(rank):
                for other in range(rank):
                    matrix[row + inputs + c, column + inputs + other] = -coupling[i, j] if c == other else 0.0
            matrix[size + i, j] = -coupling[i, j]
    # Only within a neuron does the residual meet a second derivative of what it answers.
    for i in range(count):
        row = i * width
        for a in range(inputs):
            for b in range(inputs):
                matrix[row + a, row + b] += bends[i, kernel.place[a, b]] * (2.0 if a == b else 1.0)
            for c in range(rank):
                matrix[row + a, row + inputs + c] += steep[i * inputs + a, c]
                matrix[row + inputs + c, row + a] += steep[i * inputs + a, c]


@compiled
def _bends(kernel: Any, output: FloatArray, rest: FloatArray) -> FloatArray:
    """Derivative of each neuron's utility by each product, (K, m)."""
    own, inside = kernel.within.shape
    along = output @ rest.T
    bends = np.empty((output.shape[0], kernel.first.shape[0]))
    alone = np.ascontiguousarray(along[:, :inside]) @ kernel.within.T
    for i in range(output.shape[0]):
        for m in range(own):
            bends[i, m] = alone[i, m]
        for m in range(kernel.across.shape[0]):
            bends[i, own + m] = along[i, inside + m] * kernel.across[m]
    return bends


@implements(kernels.relative_error, TemplateKernel)
def relative_error(kernel: Any, error: FloatArray, y: FloatArray, y_new: FloatArray) -> float:
    """See `kernels.relative_error`."""
    return error_of_neurons(error, y, y_new, 2 * kernel.rank + kernel.target.shape[1])


@implements(kernels.matrix_shape, TemplateKernel)
def matrix_shape(kernel: Any, y: FloatArray) -> tuple[int, int]:
    """The block on the template, and below it that of one other output weight."""
    count = y.shape[0] // (2 * kernel.rank + kernel.target.shape[1])
    return count * 3 * kernel.rank + count, count * 3 * kernel.rank


@implements(kernels.outworn, TemplateKernel)
def outworn(kernel: Any, y: FloatArray) -> bool:
    """Never."""
    return False


@implements(kernels.factorize, TemplateKernel)
def factorize(kernel: Any, matrix: FloatArray, step: float, factor: FloatArray, pivots: IntArray) -> bool:
    """Both blocks."""
    size = matrix.shape[1]
    count = matrix.shape[0] - size
    coupling = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            coupling[i, j] = -step * matrix[size + i, j]
        coupling[i, i] += 1.0
    if not cholesky_factorize(coupling):
        return False
    for i in range(count):
        for j in range(count):
            factor[size + i, j] = coupling[i, j]
    step_matrix(matrix[:size], step, factor[:size])
    return cholesky_factorize(factor[:size])


@implements(kernels.solve, TemplateKernel)
def solve(kernel: Any, factor: FloatArray, pivots: IntArray, right: FloatArray) -> None:
    """See `coordinates.solve_template`."""
    size, width = factor.shape[1], 3 * kernel.rank
    count = factor.shape[0] - size
    rows = right.reshape(count, -1)
    known = np.empty(size)
    for i in range(count):
        for k in range(width):
            known[i * width + k] = rows[i, k]
    cholesky_solve(factor[:size], known)
    for i in range(count):
        for k in range(width):
            rows[i, k] = known[i * width + k]
    others = rows.shape[1] - width
    for i in range(count):
        for j in range(i):
            for k in range(others):
                rows[i, width + k] -= factor[size + i, j] * rows[j, width + k]
        for k in range(others):
            rows[i, width + k] /= factor[size + i, i]
    for i in range(count - 1, -1, -1):
        for k in range(others):
            rows[i, width + k] /= factor[size + i, i]
        for j in range(i):
            for k in range(others):
                rows[j, width + k] -= factor[size + i, j] * rows[i, width + k]
