"""Coordinates for the gradient flow of diagonal linear networks: the place of each neuron on its own curve.

Whatever drives it, a neuron moves on one curve (`staircases.networks.diagonal_linear.curves`), so that one number y
says where it is: d beta_i / dt then follows from dy_i/dt = g_i * speed_i(y_i). An error in y is a relative
error of the neuron's norm, and a neuron that collapses and comes back with the other sign is resolved to
full accuracy at any initialization scale, which the parameters themselves cannot: there the small
difference of two layers drowns in their rounding.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.arrays import native
from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates, FlowCoordinates, plain
from agfrun.labs.staircases.dynamics.landscape import LossLandscape
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression


@dataclass(frozen=True)
class CurvePoint:
    """Where K neurons are on their curves, each (K,): coefficient, speed, and their derivatives by y."""

    coefficients: Tensor
    slopes: Tensor
    speeds: Tensor
    accelerations: Tensor


class CurveCoordinates(FlowCoordinates):
    """One coordinate a neuron, zero at the reference `neurons * exp(log_factor)`; the Jacobian is not symmetric."""

    symmetric = False

    def __init__(self, data: Regression, index: Tensor | None, log_factor: float) -> None:
        self.data = data
        self.index = index
        self.log_factor = log_factor

    @abstractmethod
    def point(self, y: Tensor) -> CurvePoint:
        """Coefficients and speeds at y (K,)."""

    def coefficients_and_speeds(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Coefficients and speeds at y (K,); None for speeds that are all 1."""
        point = self.point(y)
        return point.coefficients, point.speeds

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and the drives times the speeds."""
        coefficients, speeds = self.coefficients_and_speeds(y)
        residual = self.data.residual(coefficients, self.index)
        drives = self._own(residual.drives)
        return residual.loss, drives if speeds is None else drives * speeds

    def jacobian(self, y: Tensor) -> Tensor:
        """-diag(speed) Sigma diag(d beta / dy) + diag(g d speed / dy), Sigma = X^T X / n."""
        point = self.point(y)
        inputs = self.data.inputs if self.index is None else self.data.inputs[:, self.index]
        jacobian = -(inputs.T @ inputs / inputs.shape[0]) * point.slopes * point.speeds[:, None]
        drives = self._own(self.data.residual(point.coefficients, self.index).drives)
        return jacobian + torch.diag(drives * point.accelerations)

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `FlowCoordinates.relative_error`."""
        return error.square().mean().sqrt()

    def _samples(self) -> tuple[FloatArray, FloatArray, float]:
        """Few rows that leave the same errors as the samples, and the samples' number."""
        from agfrun.labs.staircases.networks.diagonal_linear.kernel import fewest_rows  # Numba

        inputs = self.data.inputs if self.index is None else self.data.inputs[:, self.index]
        return *fewest_rows(native(inputs), native(self.data.targets)), float(len(inputs))

    def _own(self, drives: Tensor) -> Tensor:
        return drives if self.index is None else drives[self.index]


class HyperbolicCoordinates(CurveCoordinates):
    """Products of L layers: the two smallest layers r, w of a neuron move on the hyperbola w^2 - r^2 = const.

    r + w = (r + w)_0 e^y and r - w = (r - w)_0 e^-y; every other layer is sqrt(r^2 + const), and dy/dt = g
    times their product. At depth 2, dy/dt = g: the mirror flow. Signs are taken out of the layers first:
    flipping an even number of them changes nothing, so that all but r can be made positive.
    """

    def __init__(self, data: Regression, neurons: Tensor, index: Tensor | None, log_factor: float = 0.0) -> None:
        super().__init__(data, index, log_factor)
        self.order = neurons.abs().argsort(dim=-1, stable=True)
        layers = neurons.gather(-1, self.order)
        flips = torch.where(layers < 0, -1.0, 1.0).to(layers)
        # With the product of the others' flips on the smallest layer, an even number of layers is flipped.
        self.flips = torch.cat([flips[:, 1:].prod(-1, keepdim=True), flips[:, 1:]], dim=-1)
        self.sums, self.differences = self._pair(neurons)
        smallest, others = layers[:, :1].abs(), layers[:, 2:].abs()
        # u_l^2 - r^2 as a product: a difference of squares would cancel.
        self.excess = (others - smallest) * (others + smallest)
        self.no_sums, self.no_differences = self.sums == 0, self.differences == 0

    def encode(self, neurons: Tensor) -> Tensor:
        """Coordinates of `neurons * exp(log_factor)` on the same curves as the reference."""
        sums, differences = self._pair(neurons)
        # Of the two branches the one that has grown: the other may be lost in the rounding of r + w or r - w.
        growing = sums.abs() * self.differences.abs() >= differences.abs() * self.sums.abs()
        usable = torch.where(self.sums == 0, False, torch.where(self.differences == 0, True, growing))
        y = torch.where(usable, (sums / self.sums).abs().log(), -(differences / self.differences).abs().log())
        return torch.where((self.sums == 0) & (self.differences == 0), 0.0, y)

    def kernel(self) -> Any | None:
        """See `FlowCoordinates.kernel`."""
        if not plain(self.sums):
            return None
        from agfrun.labs.staircases.networks.diagonal_linear.kernel import HyperbolicKernel  # Numba

        sums, differences, excess = (native(part) for part in (self.sums, self.differences, self.excess))
        return HyperbolicKernel(*self._samples(), sums, differences, excess, float(self.log_factor))

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        return self._neurons(*self._layers(y, -self.log_factor))

    def scaled(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `FlowCoordinates.scaled`."""
        if not self.log_factor:
            return self.decode(y), None
        # In units of e^|y| neither branch overflows.
        return self._neurons(*self._layers(y, y.abs())), y.abs() + self.log_factor

    def coefficients_and_speeds(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `CurveCoordinates.coefficients_and_speeds`."""
        if self.excess.shape[-1]:
            return super().coefficients_and_speeds(y)
        smallest, second = self._smallest_two(y, -self.log_factor)
        return smallest * second, None

    def point(self, y: Tensor) -> CurvePoint:
        """See `CurveCoordinates.point`."""
        smallest, second, others = self._layers(y, -self.log_factor)
        pair, speed = smallest * second, others.prod(-1)
        # d(layer)/dy = pair / layer for each of the others; they vanish only if the pair does.
        safe = torch.where(others > 0, others, 1.0)
        acceleration = pair * (products_without_one(others) / safe).sum(-1)
        # On the hyperbola r' = w and w' = r, hence (r w)' = r^2 + w^2.
        slopes = (smallest.square() + second.square()) * speed + pair * acceleration
        return CurvePoint(pair * speed, slopes, speed, acceleration)

    def _pair(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """Sum and difference of the two layers that are smallest in the reference neurons, (K,) each."""
        pair = neurons.gather(-1, self.order[:, :2]) * self.flips[:, :2]
        return pair.sum(-1), pair[:, 0] - pair[:, 1]

    def _layers(self, y: Tensor, log_unit: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """Layers r (K,), w (K,) and the others (K, L - 2) over exp(log_factor + log_unit), without flips."""
        smallest, second = self._smallest_two(y, log_unit)
        if not self.excess.shape[-1]:
            return smallest, second, self.excess.expand(*y.shape, 0)
        unit = torch.as_tensor(log_unit, dtype=y.dtype, device=y.device)
        excess = self.excess * (-2 * unit).exp().unsqueeze(-1)
        # r^2 + c_l is a sum of numbers >= 0: nothing cancels.
        return smallest, second, (smallest.square()[..., None] + excess).sqrt()

    def _smallest_two(self, y: Tensor, log_unit: Tensor | float) -> tuple[Tensor, Tensor]:
        """Layers r and w (K,) over exp(log_factor + log_unit), without flips.

        A branch that starts at zero stays there, even once the exponential overflows.
        """
        sums = torch.where(self.no_sums, self.sums, self.sums * (y - log_unit).exp())
        differences = torch.where(self.no_differences, self.differences, self.differences * (-y - log_unit).exp())
        return 0.5 * (sums + differences), 0.5 * (sums - differences)

    def _neurons(self, smallest: Tensor, second: Tensor, others: Tensor) -> Tensor:
        """Layers in their own order and with their own signs."""
        layers = torch.cat([smallest[..., None], second[..., None], others], dim=-1) * self.flips
        return torch.zeros_like(layers).scatter(-1, self.order.expand_as(layers), layers)


class PowerCoordinates(CurveCoordinates):
    """Powers u^L of one parameter: u = u_0 e^y, dy/dt = L g u^(L - 2)."""

    def __init__(
        self, data: Regression, depth: int, neurons: Tensor, index: Tensor | None, log_factor: float = 0.0
    ) -> None:
        super().__init__(data, index, log_factor)
        self.depth = depth
        self.start = neurons[:, 0]

    def encode(self, neurons: Tensor) -> Tensor:
        """See `FlowCoordinates.encode`."""
        return (neurons[:, 0] / self.start).log()

    def kernel(self) -> Any | None:
        """See `FlowCoordinates.kernel`."""
        if not plain(self.start):
            return None
        from agfrun.labs.staircases.networks.diagonal_linear.kernel import PowerKernel  # Numba

        return PowerKernel(*self._samples(), native(self.start), self.depth, float(self.log_factor))

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        return (self.start * (y + self.log_factor).exp())[..., None]

    def scaled(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `FlowCoordinates.scaled`."""
        if not self.log_factor:
            return self.decode(y), None
        return self.start[:, None].expand(*y.shape, 1), y + self.log_factor

    def point(self, y: Tensor) -> CurvePoint:
        """See `CurveCoordinates.point`."""
        depth, values = self.depth, self.decode(y)[:, 0]
        # u = u_0 e^y: beta = u^L grows at the rate L in y, and the speed L u^(L - 2) at the rate L - 2.
        coefficients, speeds = values**depth, depth * values ** (depth - 2)
        return CurvePoint(coefficients, depth * coefficients, speeds, (depth - 2) * speeds)


class LayerCoordinates(EuclideanCoordinates):
    """The parameters themselves, (K, D), for gradient descent: its steps leave the curves."""

    def __init__(self, landscape: LossLandscape, data: Regression, power: int, neurons: Tensor) -> None:
        super().__init__(landscape, neurons, None)
        self.data, self.power = data, power

    def gradient_kernel(self) -> Any | None:
        """See `FlowCoordinates.gradient_kernel`."""
        if not plain(self.data.inputs):
            return None
        from agfrun.labs.staircases.networks.diagonal_linear.kernel import LayersKernel, fewest_rows  # Numba

        inputs, targets = fewest_rows(native(self.data.inputs), native(self.data.targets))
        return LayersKernel(inputs, np.ascontiguousarray(inputs.T), targets, float(len(self.data.inputs)),
                            self.shape[1], self.power)


def products_without_one(factors: Tensor) -> Tensor:
    """Products of all factors (..., L) but one, (..., L), without division."""
    if factors.shape[-1] == 2:
        return factors.flip(-1)
    # What comes before times what comes after: a factor of zero must not be divided by.
    ones = torch.ones_like(factors[..., :1])
    before = torch.cat([ones, factors[..., :-1]], dim=-1)[..., : factors.shape[-1]].cumprod(-1)
    after = torch.cat([ones, factors[..., 1:].flip(-1)], dim=-1)[..., : factors.shape[-1]].cumprod(-1).flip(-1)
    return before * after


def products_without_two(factors: Tensor) -> Tensor:
    """Products of all factors (..., L) but two, (..., L, L), without division; zero on the diagonal."""
    depth = factors.shape[-1]
    own = torch.eye(depth, dtype=factors.dtype, device=factors.device)
    # Row l: the factors with the l-th replaced by one.
    without_row = factors[..., None, :] * (1 - own) + own
    return products_without_one(without_row) * (1 - own)
