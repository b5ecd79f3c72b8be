"""Positively homogeneous activations: sigma(lambda z) = lambda^degree sigma(z) for every lambda > 0.

A scalar function with this property is a power on each side of zero, and two factors say which.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """sigma(z) = positive * z^degree for z > 0 and negative * |z|^degree for z <= 0.

    Of degree 1 it has a kink at zero unless it is linear. The derivative there is, by convention, the one
    from the left: sigma'(0) = 0 for ReLU.

    Attributes:
        degree: at least 1.
        positive, negative: the factors of the two sides.
    """

    degree: int = 1
    positive: float = 1.0
    negative: float = 0.0

    @property
    def has_kink(self) -> bool:
        """Whether the slope jumps at zero."""
        return self.degree == 1 and self.positive != -self.negative

    def __call__(self, z: Tensor) -> Tensor:
        """sigma(z), elementwise."""
        return self._sides(z, self.positive, self.negative, self.degree)

    def slope(self, z: Tensor) -> Tensor:
        """sigma'(z), elementwise."""
        # |z| falls on the way to zero from the left: the sign changes with each derivative.
        return self._sides(z, self.degree * self.positive, -self.degree * self.negative, self.degree - 1)

    def curvature(self, z: Tensor) -> Tensor:
        """sigma''(z), elementwise; the jump of the slope at a kink is left out."""
        factor = self.degree * (self.degree - 1)
        # At degree 1 the factor is zero, and |z|^-1 would not be finite at zero.
        return self._sides(z, factor * self.positive, factor * self.negative, max(self.degree - 2, 0))

    @staticmethod
    def _sides(z: Tensor, positive: float, negative: float, degree: int) -> Tensor:
        size = z.abs() ** degree
        return torch.where(z > 0, positive * size, negative * size)


def relu(degree: int = 1) -> Activation:
    """max(z, 0)^degree."""
    return Activation(degree)


def leaky_relu(slope: float) -> Activation:
    """Z for z > 0, slope * z for z <= 0."""
    return Activation(1, 1.0, -slope)


def monomial(degree: int) -> Activation:
    """z^degree."""
    return Activation(degree, 1.0, float((-1) ** degree))
