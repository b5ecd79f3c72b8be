"""The linear part of a step: what an implicit method knows of the flow's Jacobian, ready to be solved with.

On the CPU factorizations and solves are LAPACK's, called through SciPy: torch copies the whole factor for every right
side, which takes longer than the solve, and starts each call 5 to 10 microseconds later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

Solver = Callable[[Tensor], Tensor]
# The same for arrays.
ArraySolver = Callable[[FloatArray], FloatArray]
# From this size on two triangular solves with a vector are quicker than the one routine for many right sides.
SMALLEST_BY_TRIANGLES = 64


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
    """Solves with a symmetric matrix (n, n), which is used up, or None if it is not positive definite."""
    if matrix.device.type == "cpu":
        solve = lapack_cholesky(matrix.numpy())
        return None if solve is None else _on_tensors(solve)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool(failed):
        return None
    return lambda right: torch.cholesky_solve(right[:, None], factor)[:, 0]


def lu_solver(matrix: Tensor) -> Solver | None:
    """Solves with a matrix (n, n), which is used up, or None if it is singular."""
    if matrix.device.type == "cpu":
        solve = lapack_lu(matrix.numpy())
        return None if solve is None else _on_tensors(solve)
    factor, pivots, failed = torch.linalg.lu_factor_ex(matrix)
    if bool(failed):
        return None
    return lambda right: torch.linalg.lu_solve(factor, pivots, right[:, None])[:, 0]


def lapack_cholesky(matrix: FloatArray) -> ArraySolver | None:
    """`cholesky_solver` for a matrix in rows and right sides (n,) or (n, m)."""
    lapack = _routines(matrix.dtype.char)
    # Rows transposed are LAPACK's columns, without a copy. It reads one triangle only: clean=0 leaves the other.
    factor, failed = lapack["potrf"](matrix.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        return None

    def solve(right: FloatArray) -> FloatArray:
        if right.ndim == 1 and len(right) >= SMALLEST_BY_TRIANGLES:
            # L y = b, then L^T x = y.
            half = lapack["trsv"](factor, right, lower=1)
            return lapack["trsv"](factor, half, lower=1, trans=1, overwrite_x=1)  # type: ignore[no-any-return]
        return lapack["potrs"](factor, right, lower=1)[0]  # type: ignore[no-any-return]

    return solve


def lapack_lu(matrix: FloatArray) -> ArraySolver | None:
    """`lu_solver` for a matrix in rows and right sides (n,) or (n, m)."""
    lapack = _routines(matrix.dtype.char)
    factor, pivots, failed = lapack["getrf"](matrix.T, overwrite_a=1)
    if failed:
        return None
    return lambda right: lapack["getrs"](factor, pivots, right, trans=1)[0]  # rows are LAPACK's columns


def lapack_of_members(matrices: Tensor, symmetric: bool) -> tuple[Solver, Tensor]:
    """Solves with matrices (B, n, n) on the CPU, which are used up, member by member.

    From `SMALLEST_BY_TRIANGLES` on that is several times quicker than torch's solves of all members at once, which
    copy all factors for every right side; below, starting so many calls is what takes time.

    Returns:
        The map of right sides (B, n), and whose factorization has failed (B,): what is solved with it means nothing.
    """
    factorize = lapack_cholesky if symmetric else lapack_lu
    solvers = [factorize(matrix) for matrix in matrices.numpy()]

    def solve(right: Tensor) -> Tensor:
        result = np.empty_like(right.numpy())
        for solver, given, found in zip(solvers, right.numpy(), result, strict=True):
            found[:] = given if solver is None else solver(given)
        return torch.from_numpy(result)

    return solve, torch.tensor([solver is None for solver in solvers])


def _on_tensors(solve: ArraySolver) -> Solver:
    return lambda right: torch.from_numpy(solve(right.numpy()))


@lru_cache(maxsize=4)
def _routines(kind: str) -> dict[str, Any]:
    """Routines of BLAS and LAPACK for a type of numbers, by name."""
    from scipy.linalg import get_blas_funcs, get_lapack_funcs

    names = ("potrf", "potrs", "getrf", "getrs")
    return dict(zip(names, get_lapack_funcs(names, dtype=kind), strict=True)) | {
        "trsv": get_blas_funcs("trsv", dtype=kind)}
