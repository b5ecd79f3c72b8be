"""What coordinates read of a network, and no more: a flow can be integrated of anything that has it.

Networks depend on coordinates, which they choose; coordinates on these protocols, and on no network.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor


class LossLandscape(Protocol):
    """The paper loss as a function of neurons (K, D), whose indices in the network are `index` (K,) or all in order."""

    def loss_and_gradient(self, neurons: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss, a scalar, and its gradient (K, D)."""

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Hessian of the loss, (K * D, K * D)."""


class UtilityLandscape(Protocol):
    """Homogeneous neurons by their utility, which unit directions have however small the neurons along them are.

    Attributes:
        homogeneity_degree: kappa, the degree of the utility in a neuron's parameters.
    """

    homogeneity_degree: int

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> Any:
        """What is left of the target once neurons (K, D) have answered; opaque to the caller."""

    def loss(self, residual: Any) -> Tensor:
        """Paper loss of a residual, a scalar."""

    def utility_gradient(self, neurons: Tensor, residual: Any, index: Tensor | None = None) -> Tensor:
        """Gradient of each neuron's utility with the residual held fixed, (K, D)."""
