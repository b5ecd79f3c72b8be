"""What the compiled step loop asks of a flow; each network's kernel implements it for its own type.

A kernel is a `NamedTuple` of arrays. Numba chooses the implementation by its type when the loop is compiled for it.
"""

from __future__ import annotations

from typing import Any

from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray

# These are never called as they are: `compiler.implements` says what stands in their place.


def loss_and_velocity(kernel: Any, y: FloatArray, velocity: FloatArray) -> float:
    """The paper loss at y (n,); writes dy/dt into `velocity`."""
    raise NotImplementedError


def jacobian(kernel: Any, y: FloatArray, matrix: FloatArray) -> None:
    """Write the derivative of the velocity by y, or what of it matters to an implicit step."""
    raise NotImplementedError


def outworn(kernel: Any, y: FloatArray) -> bool:
    """Whether `FlowCoordinates.renewed` would change the coordinates."""
    raise NotImplementedError


def relative_error(kernel: Any, error: FloatArray, y: FloatArray, y_new: FloatArray) -> float:
    """Root mean square over neurons of the error relative to each neuron's norm."""
    raise NotImplementedError


def matrix_shape(kernel: Any, y: FloatArray) -> tuple[int, int]:
    """Rows and columns of the array that `jacobian` writes, and of that which `factorize` does."""
    raise NotImplementedError


def factorize(kernel: Any, matrix: FloatArray, step: float, factor: FloatArray, pivots: IntArray) -> bool:
    """Factorize I - step * matrix into `factor`; False if it cannot be done."""
    raise NotImplementedError


def solve(kernel: Any, factor: FloatArray, pivots: IntArray, right: FloatArray) -> None:
    """Solve with what `factorize` found, in place."""
    raise NotImplementedError


def product(kernel: Any, matrix: FloatArray, vector: FloatArray, result: FloatArray) -> None:
    """Write the product of what `jacobian` wrote with a vector (n,)."""
    raise NotImplementedError


def shift(kernel: Any, matrix: FloatArray, growth: FloatArray) -> None:
    """Subtract from what `jacobian` wrote a number for each neuron (K,) on its part of the diagonal."""
    raise NotImplementedError


def relaxation(kernel: Any, matrix: FloatArray, rates: FloatArray) -> None:
    """Write a bound of how fast each neuron relaxes on its own, (K,): the largest row sum of its block."""
    raise NotImplementedError
