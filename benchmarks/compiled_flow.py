"""The compiled parts of a flow, called one at a time: for solvers that want them, and to time them."""

from __future__ import annotations

from typing import Any

import numpy as np

from agfrun.labs.staircases.compiled import kernels
from agfrun.labs.staircases.compiled.compiler import compiled
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from benchmarks.reference import Array


class CompiledFlow:
    """A kernel's functions for points y (n,).

    Attributes:
        shape: of the matrix that the kernel writes.
        dense: whether that is the whole Jacobian, (n, n).
    """

    def __init__(self, kernel: Any, size: int) -> None:
        self.kernel, self.size = kernel, size
        self.shape: tuple[int, int] = _shape(kernel, np.zeros(size))
        self.dense = self.shape == (size, size)
        self.pivots = np.empty(size, np.int64)

    def loss_and_velocity(self, y: Array, times: int = 1) -> tuple[float, Array]:
        """The paper loss and dy/dt (n,); found `times` times, to time it."""
        velocity = np.empty(self.size)
        return float(_loss_and_velocity(self.kernel, y, velocity, times)), velocity

    def jacobian(self, y: Array, times: int = 1) -> Array:
        """What the kernel writes of the derivative of the velocity."""
        matrix = np.empty(self.shape)
        _jacobian(self.kernel, y, matrix, times)
        return matrix

    def factorized(self, matrix: Array, step: float, times: int = 1) -> Array:
        """Factors of I - step * matrix.

        Raises:
            ValueError: there are none.
        """
        factor = np.empty(self.shape)
        if not _factorize(self.kernel, matrix, step, factor, self.pivots, times):
            raise ValueError(f"I - {step:g} J cannot be factorized")
        return factor

    def solved(self, factor: Array, right: Array, times: int = 1) -> Array:
        """The solution for a right side (n,)."""
        result = np.empty(self.size)
        _solve(self.kernel, factor, self.pivots, right, result, times)
        return result


def compiled_flow(coordinates: FlowCoordinates, size: int) -> CompiledFlow | None:
    """The flow of `size` unknowns as machine code; None where it is not written out."""
    kernel = coordinates.kernel()
    return None if kernel is None else CompiledFlow(kernel, size)


@compiled
def _shape(kernel: Any, y: Array) -> tuple[int, int]:
    return kernels.matrix_shape(kernel, y)


@compiled
def _loss_and_velocity(kernel: Any, y: Array, velocity: Array, times: int) -> float:
    loss = 0.0
    for _ in range(times):
        loss = kernels.loss_and_velocity(kernel, y, velocity)
    return loss


@compiled
def _jacobian(kernel: Any, y: Array, matrix: Array, times: int) -> None:
    for _ in range(times):
        kernels.jacobian(kernel, y, matrix)


@compiled
def _factorize(kernel: Any, matrix: Array, step: float, factor: Array, pivots: Any, times: int) -> bool:
    done = False
    for _ in range(times):
        done = kernels.factorize(kernel, matrix, step, factor, pivots)
    return done


@compiled
def _solve(kernel: Any, factor: Array, pivots: Any, right: Array, result: Array, times: int) -> None:
    for _ in range(times):
        result[:] = right
        kernels.solve(kernel, factor, pivots, result)
