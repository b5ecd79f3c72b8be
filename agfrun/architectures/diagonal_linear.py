"""Diagonal linear network f(x) = sum_i u_i v_i x_i (AGF paper, section 3).

Neuron i is theta_i = (u_i, v_i) and sees coordinate i only; features are the coefficients
beta_i = u_i v_i.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.architectures.base import Architecture
from agfrun.data.regression import Regression
from agfrun.dynamics.coordinates import FlowCoordinates
from agfrun.theory.diagonal_linear import diagonal_linear_theory
from agfrun.theory.theory import Theory


@dataclass(frozen=True)
class RegressionResidual:
    """What regression leaves: errors y - X beta, shape (n,), and drives -dL/dbeta, shape (d,)."""

    errors: Tensor
    drives: Tensor


class DiagonalLinear(Architecture):
    """Diagonal linear network on regression data, neurons theta = (u, v) with D = 2."""

    name = "diagonal_linear"
    homogeneity_degree = 2
    neuron_dimension = 2
    output_dimension = 1
    parameter_blocks = ((1, 1.0), (1, 1.0))

    def __init__(self, data: Regression) -> None:
        self.data = data
        self.width = data.inputs.shape[1]
        self.feature_names = tuple(str(i + 1) for i in range(self.width))
        self.device = data.inputs.device
        self.dtype = data.inputs.dtype

    def initialize(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """Gaussian; `deterministic`: u = sqrt(2) scale, v = 0; `balanced`: u, v = +-scale.

        A balanced neuron has a conserved u^2 - v^2 of zero and can never change the sign of beta.
        """
        ones = torch.ones(self.width, dtype=self.dtype, device=self.device)
        if kind == "deterministic":
            return torch.stack([2**0.5 * scale * ones, 0 * ones], dim=1)
        if kind == "balanced":
            signs = 2 * torch.randint(2, (self.width, 2), generator=generator) - 1
            return scale * signs.to(ones)
        return super().initialize(kind, scale, generator)

    def theory(self, initial: Tensor, init_scale: float, threshold: float) -> Theory:
        """The vanishing limit, which does not depend on the initial directions unless these are balanced."""
        return diagonal_linear_theory(self.data, init_scale)

    def residual_of(self, coefficients: Tensor, index: Tensor | None = None) -> RegressionResidual:
        """Residual of given coefficients (K,)."""
        inputs = self.data.inputs if index is None else self.data.inputs[:, index]
        errors = self.data.targets - inputs @ coefficients
        return RegressionResidual(errors, self.data.inputs.T @ errors / errors.shape[0])

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> RegressionResidual:
        """Residual of the neurons' coefficients u * v."""
        return self.residual_of(neurons[:, 0] * neurons[:, 1], index)

    def loss(self, residual: RegressionResidual) -> Tensor:
        """1/(2n) ||y - X beta||^2."""
        return 0.5 * residual.errors.square().mean()

    def utility_gradient(
        self, neurons: Tensor, residual: RegressionResidual, index: Tensor | None = None
    ) -> Tensor:
        """Gradient of u v g: (v g, u g)."""
        drives = residual.drives if index is None else residual.drives[index]
        return neurons.flip(-1) * drives[:, None]

    def features(self, neurons: Tensor) -> Tensor:
        """Coefficients beta = u v, (..., d, 2) to (..., d)."""
        return neurons.prod(-1)

    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """A neuron lies along its own coordinate only, (..., d, 2) to (..., d, d)."""
        return torch.diag_embed(torch.linalg.vector_norm(neurons, dim=-1))

    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient over `batch_size` random rows of X."""
        count = self.data.inputs.shape[0]
        rows = torch.randint(count, (batch_size,), generator=generator, device=generator.device)
        inputs = self.data.inputs[rows.to(self.device)]
        errors = self.data.targets[rows.to(self.device)] - inputs @ neurons.prod(-1)
        return -neurons.flip(-1) * (inputs.T @ errors / batch_size)[:, None]

    def flow_coordinates(self, neurons: Tensor, index: Tensor | None = None) -> FlowCoordinates:
        """Log coordinates, exact at any scale."""
        return HyperbolicCoordinates(self, neurons, index)


class HyperbolicCoordinates(FlowCoordinates):
    """q_i = integral of the drive g_i: u + v = (u0 + v0) e^q, u - v = (u0 - v0) e^-q, dq/dt = g.

    The flow of (u_i, v_i) moves on the hyperbola u^2 - v^2 = const and q is its parameter (mirror
    flow). A neuron that collapses and comes back with the other sign is resolved to full relative
    accuracy at any initialization scale, which the parameters themselves cannot: there u - v drowns
    in the rounding of u and v. An error in q is a relative error of the neuron's norm.
    """

    symmetric = False

    def __init__(self, architecture: DiagonalLinear, neurons: Tensor, index: Tensor | None) -> None:
        self.architecture = architecture
        self.index = index
        self.sums = neurons.sum(-1)
        self.differences = neurons[:, 0] - neurons[:, 1]

    def encode(self, neurons: Tensor) -> Tensor:
        """Coordinates of neurons on the same hyperbolas as the reference neurons."""
        sums, differences = neurons.sum(-1), neurons[:, 0] - neurons[:, 1]
        growing = sums.abs() * self.differences.abs() >= differences.abs() * self.sums.abs()
        usable = torch.where(self.sums == 0, False, torch.where(self.differences == 0, True, growing))
        return torch.where(usable, (sums / self.sums).abs().log(), -(differences / self.differences).abs().log())

    def decode(self, y: Tensor) -> Tensor:
        """See `FlowCoordinates.decode`."""
        sums, differences = self._branches(y)
        return 0.5 * torch.stack([sums + differences, sums - differences], dim=-1)

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and the drives of the neurons concerned."""
        sums, differences = self._branches(y)
        coefficients = 0.25 * (sums.square() - differences.square())
        residual = self.architecture.residual_of(coefficients, self.index)
        drives = residual.drives if self.index is None else residual.drives[self.index]
        return self.architecture.loss(residual), drives

    def jacobian(self, y: Tensor) -> Tensor:
        """-Sigma diag(d beta / d q), Sigma = X^T X / n."""
        inputs = self.architecture.data.inputs
        inputs = inputs if self.index is None else inputs[:, self.index]
        sums, differences = self._branches(y)
        slope = 0.5 * (sums.square() + differences.square())
        return -(inputs.T @ inputs / inputs.shape[0]) * slope

    def relative_error(self, error: Tensor, y: Tensor, y_new: Tensor) -> Tensor:
        """See `FlowCoordinates.relative_error`."""
        return error.square().mean().sqrt()

    def _branches(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """U + v and u - v; one that starts at zero stays there, even once the exponential overflows."""
        sums = torch.where(self.sums == 0, self.sums, self.sums * y.exp())
        return sums, torch.where(self.differences == 0, self.differences, self.differences * (-y).exp())
