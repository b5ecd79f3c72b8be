"""Directions and log norms: coordinates for neurons too small for floating-point numbers.

With theta = exp(l) d, |d| = 1 and a utility of degree 2 the flow is regular at any norm,

    d d / dt = (I - d d^T) grad U(d; r),    d l / dt = 2 U(d; r),

with the residual r of the true neurons exp(l) d, to which one below the smallest float contributes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.landscape import UtilityLandscape


def directions_and_log_norms(neurons: Tensor) -> tuple[Tensor, Tensor]:
    """Unit directions (..., D) and logarithms of norms (...), also of neurons whose squares underflow.

    A neuron at the origin has direction zero and the log norm of the smallest normal number.
    """
    largest = neurons.abs().amax(-1).clamp(min=torch.finfo(neurons.dtype).tiny)
    # Over the largest entry no square overflows, and none that counts underflows.
    shares = neurons / largest[..., None]
    norms = torch.linalg.vector_norm(shares, dim=-1)
    log_norms = largest.log() + torch.where(norms > 0, norms, torch.ones_like(norms)).log()
    return shares / norms.clamp(min=torch.finfo(norms.dtype).tiny)[..., None], log_norms


class PolarCoordinates(FlowCoordinates):
    """y = (direction, log norm) of each neuron, for a network of homogeneity degree 2.

    Args:
        neurons: reference neurons, (K, D); those meant are `neurons * exp(log_factor)`.

    Raises:
        ValueError: another degree, at which the flow of a vanishing neuron vanishes too.
    """

    symmetric = False

    def __init__(
        self, landscape: UtilityLandscape, neurons: Tensor, index: Tensor | None, log_factor: float
    ) -> None:
        if landscape.homogeneity_degree != 2:
            raise ValueError("vanishing neurons turn at a finite speed at homogeneity degree 2 only, not at "
                             f"{landscape.homogeneity_degree}")
        self.landscape = landscape
        self.index = index
        self.log_factor = log_factor
        self.shape = (neurons.shape[0], neurons.shape[1] + 1)

    def encode(self, neurons: Tensor) -> Tensor:
        """Coordinates of `neurons * exp(log_factor)`."""
        directions, log_norms = directions_and_log_norms(neurons)
        return torch.cat([directions, log_norms[:, None] + self.log_factor], dim=1).reshape(-1)

    def decode(self, y: Tensor) -> Tensor:
        """Neurons; one below the smallest float is zero."""
        directions, log_norms = self._split(y)
        return directions * log_norms.exp()

    def scaled(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Directions and log norms."""
        directions, log_norms = self._split(y)
        return directions, log_norms[..., 0]

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowCoordinates.loss_and_velocity`."""
        directions, log_norms = self._split(y)
        residual = self.landscape.residual(directions * log_norms.exp(), self.index)
        gradient = self.landscape.utility_gradient(directions, residual, self.index)
        # Euler's theorem at degree 2: <d, grad U> = 2 U. The norm cancels in both velocities.
        growth = (directions * gradient).sum(1, keepdim=True)
        velocity = torch.cat([gradient - growth * directions, growth], dim=1)
        return self.landscape.loss(residual), velocity.reshape(-1)

    def jacobian(self, y: Tensor) -> Tensor:
        """By forward-mode differentiation."""
        jacobian: Tensor = torch.func.jacfwd(lambda point: self.loss_and_velocity(point)[1])(y)
        return jacobian

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """An error of the log norm and of the unit direction are relative already."""
        sizes: Tensor = torch.linalg.vector_norm(error.view(self.shape), dim=1)
        return sizes.square().mean().sqrt()

    def _split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Unit directions (..., K, D) and log norms (..., K, 1)."""
        rows = y.view(*y.shape[:-1], *self.shape)
        lengths = torch.linalg.vector_norm(rows[..., :-1], dim=-1, keepdim=True)
        # A step keeps |d| = 1 to its tolerance only; the flow does exactly.
        return rows[..., :-1] / lengths, rows[..., -1:]
