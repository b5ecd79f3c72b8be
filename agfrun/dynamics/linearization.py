"""The linear part of a step: what an implicit method knows of the flow's Jacobian, ready to be solved with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

Solver = Callable[[Tensor], Tensor]


class Linearization(Protocol):
    """A matrix J that stands for the Jacobian of the velocity at one point."""

    def solver(self, step: float) -> Solver | None:
        """The map b -> (I - step * J)^-1 b for vectors (n,), or None if a factorization fails.

        For a symmetric J that is where I - step * J is not positive definite: the step is longer than an
        e-fold of what grows fastest.
        """


class DenseLinearization:
    """The whole Jacobian (n, n), by Cholesky or LU decomposition."""

    def __init__(self, jacobian: Tensor, symmetric: bool) -> None:
        self.jacobian = jacobian
        self.symmetric = symmetric

    def solver(self, step: float) -> Solver | None:
        """See `Linearization.solver`."""
        matrix = step_matrix(self.jacobian, step)
        return cholesky_solver(matrix) if self.symmetric else lu_solver(matrix)


def step_matrix(jacobian: Tensor, step: float | Tensor) -> Tensor:
    """I - step * J for J (..., n, n); a tensor of steps has the shape (..., 1, 1)."""
    matrix = jacobian * -step
    matrix.diagonal(dim1=-2, dim2=-1).add_(1.0)
    return matrix


def cholesky_solver(matrix: Tensor) -> Solver | None:
    """Solves with a symmetric matrix (n, n), or None if it is not positive definite."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool(failed):
        return None
    return lambda right: torch.cholesky_solve(right[:, None], factor)[:, 0]


def lu_solver(matrix: Tensor) -> Solver | None:
    """Solves with a matrix (n, n), or None if it is singular."""
    factor, pivots, failed = torch.linalg.lu_factor_ex(matrix)
    if bool(failed):
        return None
    return lambda right: torch.linalg.lu_solve(factor, pivots, right[:, None])[:, 0]
