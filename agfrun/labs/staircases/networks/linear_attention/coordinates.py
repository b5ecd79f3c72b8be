"""Coordinates for the gradient flow of restricted attention heads: their parameters along the eigenvectors."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from agfrun.labs.staircases.arrays import native
from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates, plain
from agfrun.labs.staircases.dynamics.landscape import LossLandscape
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegression
from agfrun.labs.staircases.networks.linear_attention.heads import HeadLayout


class HeadCoordinates(EuclideanCoordinates):
    """Restricted heads (v, K, Q) along the eigenvectors of the inputs' covariance."""

    def __init__(self, landscape: LossLandscape, data: InContextRegression, layout: HeadLayout, neurons: Tensor,
                 index: Tensor | None) -> None:
        super().__init__(landscape, neurons, index)
        self.data, self.layout = data, layout

    def encode(self, neurons: Tensor) -> Tensor:
        """See `FlowCoordinates.encode`."""
        return super().encode(neurons @ self.layout.axes)

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        return super().decode(y) @ self.layout.axes.T

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowCoordinates.loss_and_velocity`."""
        loss, velocity = super().loss_and_velocity(y)
        return loss, self.encode(velocity.view(self.shape))

    def jacobian(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.jacobian`."""
        count, size = self.shape
        blocks = super().jacobian(y).view(count, size, count, size).permute(0, 2, 1, 3)
        turned = self.layout.axes.T @ blocks @ self.layout.axes
        return turned.permute(0, 2, 1, 3).reshape(count * size, count * size)

    def kernel(self) -> Any | None:
        """See `FlowCoordinates.kernel`."""
        if not plain(self.layout.axes):
            return None
        from agfrun.labs.staircases.networks.linear_attention.kernel import HeadsKernel  # Numba

        data = self.data
        weights = data.second_moment[:, None] * data.eigenvalues
        return HeadsKernel(native(data.optimal_coefficients.contiguous()), native(weights.contiguous()),
                           float(data.minimal_losses.sum()), self.layout.head_dim)
