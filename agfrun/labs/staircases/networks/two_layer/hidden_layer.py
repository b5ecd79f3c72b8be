"""Hidden units sigma(w . x) of a two-layer network, with the kink of sigma rounded off.

The gradient flow of a network with a kink is a differential inclusion: a neuron may slide along w . x_j = 0
for a sample x_j that pushes it back from both sides, and at a maximum of its utility it typically does so for
several samples. No integrator steps over that; it would chatter across the kink. The kink is therefore rounded
on a strip of one side,

    sigma(w . x) -> sigma_left + (jump of slope) |w| rho(w . x / |w|),   rho(u) = u for u >= b, 0 for u <= 0,

with rho a polynomial on 0 < u < b that joins both with two derivatives. This is still positively homogeneous in w,
so that AGF applies to it exactly, it agrees with sigma off the strip, and it leaves a unit that is dead on a sample
dead (slope 0 at 0 and to the left, the convention of the unrounded sigma).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.labs.staircases.networks.two_layer.activation import Activation


@dataclass(frozen=True)
class HiddenUnits:
    """K hidden units on n samples: values h, and what makes up their gradient slope * x + radial * w.

    Attributes:
        values, slopes: (n, K).
        radials: (n, K); None where no kink is rounded.
    """

    values: Tensor
    slopes: Tensor
    radials: Tensor | None


@dataclass(frozen=True)
class HiddenLayer:
    """The activation with its kink rounded on a strip of width `strip` in w . x / |w| (0: not rounded)."""

    activation: Activation
    strip: float = 0.0

    @property
    def is_rounded(self) -> bool:
        """Whether there is a kink and it is rounded."""
        return self.strip > 0 and self.activation.has_kink

    def value(self, weights: Tensor, preactivations: Tensor) -> Tensor:
        """Units for w . x, both given; `weights` (..., d) belong to the last dimension of `preactivations` (..., K)."""
        if not self.is_rounded:
            return self.activation(preactivations)
        norms = _norms(weights)
        # sigma(z) = left z + jump max(z, 0): only the kink is rounded.
        left = -self.activation.negative
        return left * preactivations + self._jump * norms * self._profile(preactivations / norms)[0]

    def units(self, weights: Tensor, inputs: Tensor) -> HiddenUnits:
        """Values, slopes and radial parts for weights (K, d) and inputs (n, d)."""
        z = inputs @ weights.T
        if not self.is_rounded:
            return HiddenUnits(self.activation(z), self.activation.slope(z), None)
        norms = _norms(weights)
        u = z / norms
        value, slope = self._profile(u)
        left = -self.activation.negative
        # Gradient of |w| rho(w . x / |w|) by w: rho' x + (rho - u rho') w / |w|.
        return HiddenUnits(left * z + self._jump * norms * value, left + self._jump * slope,
                           self._jump * (value - u * slope) / norms)

    def curvature(self, weights: Tensor, inputs: Tensor, factors: Tensor) -> Tensor:
        """sum_j factors_jk times the Hessian in w_k of unit k on sample j, (K, d, d); factors (n, K).

        For |w| rho(u): rho'' / |w| (x - u w^) (x - u w^)^T + (rho - u rho') / |w| (1 - w^ w^T), w^ = w / |w|.
        """
        z = inputs @ weights.T
        if not self.is_rounded:
            return _weighted_squares(inputs, self.activation.curvature(z) * factors)
        norms = _norms(weights)
        u, unit = z / norms, weights / norms[:, None]
        value, slope = self._profile(u)
        inner = self._jump * self._bend(u) / norms * factors
        mixed = inputs.T @ (inner * u)
        outer = mixed.T[:, :, None] * unit[:, None, :]
        along = unit[:, :, None] * unit[:, None, :]
        radial = (self._jump * (value - u * slope) / norms * factors).sum(0)[:, None, None]
        identity = torch.eye(inputs.shape[1], dtype=inputs.dtype, device=inputs.device)
        return (_weighted_squares(inputs, inner) - outer - outer.mT
                + along * (inner * u.square()).sum(0)[:, None, None] + radial * (identity - along))

    @property
    def _jump(self) -> float:
        return self.activation.positive + self.activation.negative

    def _profile(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Values and slopes of rho at u."""
        t = (u / self.strip).clamp(0.0, 1.0)
        # rho = b t^3 (6 - 8 t + 3 t^2): value, slope and curvature are 0, 0, 0 at t = 0 and b, 1, 0 at t = 1.
        square = t * t
        value = torch.where(u < self.strip, self.strip * t * square * (6 - 8 * t + 3 * square), u)
        return value, square * (18 - 32 * t + 15 * square)

    def _bend(self, u: Tensor) -> Tensor:
        """Second derivatives of rho at u."""
        t = (u / self.strip).clamp(0.0, 1.0)
        return t * (36 - 96 * t + 60 * t * t) / self.strip


def _norms(weights: Tensor) -> Tensor:
    """Norms of weights (..., d); 1 for zero weights, whose units are zero whatever they are divided by."""
    norms = torch.linalg.vector_norm(weights, dim=-1)
    return torch.where(norms > 0, norms, 1.0)


def _weighted_squares(inputs: Tensor, factors: Tensor) -> Tensor:
    """sum_j factors_jk x_j x_j^T, (K, d, d)."""
    return torch.stack([(inputs * factor[:, None]).T @ inputs for factor in factors.unbind(1)]) \
        if factors.shape[1] else inputs.new_zeros(0, inputs.shape[1], inputs.shape[1])
