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

    def loss_and_velocity(self, y: Array) -> tuple[float, Array]:
        """The paper loss and dy/dt (n,)."""
        velocity = np.empty(self.size)
        return float(_loss_and_velocity(self.kernel, y, velocity)), velocity

    def jacobian(self, y: Array) -> Array:
        """What the kernel writes of the derivative of the velocity."""
        matrix = np.empty(self.shape)
        _jacobian(self.kernel, y, matrix)
        return matrix

    def factorized(self, matrix: Array, step: float) -> Array:
        """Factors of I - step * matrix.

        Raises:
            ValueError: there are none.
        """
        factor = np.empty(self.shape)
        if not _factorize(self.kernel, matrix, step, factor, self.pivots):
            raise ValueError(f"I - {step:g} J cannot be factorized")
        return factor

    def solved(self, factor: Array, right: Array) -> Array:
        """The solution for a right side (n,)."""
        result = right.copy()
        _solve(self.kernel, factor, self.pivots, result)
        return result


def compiled_flow(coordinates: FlowCoordinates, size: int) -> CompiledFlow | None:
    """The flow of `size` unknowns as machine code; None where it is not written out."""
    kernel = coordinates.kernel()
    return None if kernel is None else CompiledFlow(kernel, size)


@compiled
def _shape(kernel: Any, y: Array) -> tuple[int, int]:
    return kernels.matrix_shape(kernel, y)


@compiled
def _loss_and_velocity(kernel: Any, y: Array, velocity: Array) -> float:
    return kernels.loss_and_velocity(kernel, y, velocity)


@compiled
def _jacobian(kernel: Any, y: Array, matrix: Array) -> None:
    kernels.jacobian(kernel, y, matrix)


@compiled
def _factorize(kernel: Any, matrix: Array, step: float, factor: Array, pivots: Any) -> bool:
    return kernels.factorize(kernel, matrix, step, factor, pivots)


@compiled
def _solve(kernel: Any, factor: Array, pivots: Any, right: Array) -> None:
    kernels.solve(kernel, factor, pivots, right)
