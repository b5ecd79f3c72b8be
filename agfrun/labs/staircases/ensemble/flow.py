"""Gradient flow of many members at once: what `FlowCoordinates` is to one network, with a leading dimension B."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.linearization import SMALLEST_BY_TRIANGLES, Solver, lapack_of_members, step_matrix


class EnsembleLinearization(Protocol):
    """The Jacobians of B members at one point each."""

    def solver(self, steps: Tensor) -> tuple[Solver, Tensor]:
        """Solver (I - step * J) x = b for every member.

        Args:
            steps: step of each member, (B,).

        Returns:
            The map b (B, n) to x (B, n), and which members have no such solution (B,): where their matrix has no
            factorization, x means nothing.
        """


class EnsembleFlow(ABC):
    """B members with n coordinates each whose velocity is the gradient flow; no member sees another.

    Attributes:
        description: how it is computed, for the manifest.
        isometric: as that of `FlowCoordinates`; gradient descent in y is then that of the parameters.
    """

    description: str = ""
    isometric: bool = False

    @abstractmethod
    def encode(self, neurons: Tensor) -> Tensor:
        """Neurons (B, K, D) to coordinates (B, n)."""

    @abstractmethod
    def decode(self, y: Tensor) -> Tensor:
        """Coordinates (B, n) to neurons (B, K, D)."""

    def scaled(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Neurons as (B, K, D) times exp of log factors (B, K), or None where these are all zero."""
        return self.decode(y), None

    @abstractmethod
    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Paper losses (B,) and dy/dt (B, n)."""

    @abstractmethod
    def linearization(self, y: Tensor) -> EnsembleLinearization:
        """The Jacobians of the velocity at y (B, n)."""

    @abstractmethod
    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """Root mean square over a member's neurons of the error relative to the neuron's norm, (B,)."""

    @abstractmethod
    def select(self, members: Tensor) -> EnsembleFlow:
        """The flow of chosen members (C,), which may repeat, in their order."""

    def outworn(self, y: Tensor) -> Tensor | None:
        """Which members are to be `renewed` (B,); None if members of this flow never are."""
        return None

    def renewed(self, y: Tensor, members: list[int]) -> Tensor:
        """The same neurons, some members in coordinates better suited from here on (see `FlowCoordinates.renewed`)."""
        return y


class DenseEnsembleLinearization:
    """Jacobians as matrices.

    Args:
        jacobian: (B, n, n).
        symmetric: whether all of them are.
    """

    def __init__(self, jacobian: Tensor, symmetric: bool) -> None:
        self.jacobian = jacobian
        self.symmetric = symmetric

    def solver(self, steps: Tensor) -> tuple[Solver, Tensor]:
        """By Cholesky factorization where the Jacobians are symmetric, else by LU."""
        matrix = step_matrix(self.jacobian, steps[:, None, None])
        if matrix.device.type == "cpu" and matrix.shape[-1] >= SMALLEST_BY_TRIANGLES:
            return lapack_of_members(matrix, self.symmetric)
        if self.symmetric:
            factor, failed = torch.linalg.cholesky_ex(matrix)
            return lambda right: torch.cholesky_solve(right[..., None], factor)[..., 0], failed != 0
        lower_upper, pivots, failed = torch.linalg.lu_factor_ex(matrix)
        return lambda right: torch.linalg.lu_solve(lower_upper, pivots, right[..., None])[..., 0], failed != 0
