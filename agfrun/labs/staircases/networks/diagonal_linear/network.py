"""Diagonal linear network of any depth, f(x) = sum_i beta_i x_i (AGF paper, section 3, for depth 2).

Neuron i sees coordinate i only; features are the coefficients. Signed: each of the L layers has a vector of
its own, beta_i = u_i^(1) ... u_i^(L), theta_i = (u_i^(1), ..., u_i^(L)), and beta_i can have either sign.
Unsigned: the layers share one positive vector, beta_i = u_i^L, theta_i = u_i, and beta_i > 0 for ever. (The
parametrization u^L - v^L of Woodworth et al., "Kernel and rich regimes in overparametrized models",
COLT 2020, is the unsigned network on the inputs X and -X side by side.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.config import ModelConfig
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.diagonal_linear.coordinates import (
    CurveCoordinates,
    HyperbolicCoordinates,
    LayerCoordinates,
    PowerCoordinates,
    products_without_one,
    products_without_two,
)
from agfrun.labs.staircases.networks.diagonal_linear.curves import NeuronCurves, neuron_curves
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression, RegressionResidual, least_squares
from agfrun.labs.staircases.networks.diagonal_linear.lasso import lasso_path
from agfrun.labs.staircases.networks.diagonal_linear.own_size import diagonal_own_size
from agfrun.labs.staircases.networks.diagonal_linear.theory import design_of, diagonal_linear_theory
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction
from agfrun.labs.staircases.networks.streams import draw_signs
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.wording import Wording
from agfrun.study.checks import require
from agfrun.study.registry import register

LARGEST_DEPTH = 20
# Layers whose sizes differ by less than this part of the largest are equal.
ROUNDING = 1e-6


@register("model")
@dataclass
class DiagonalLinearConfig(ModelConfig):
    """Diagonal linear network of any depth (AGF paper, section 3). Its width is the data's dimension."""

    name: str = "diagonal_linear"
    depth: int = 2
    signed: bool = True

    data_type: ClassVar[type] = Regression
    initializations: ClassVar[tuple[str, ...]] = ("deterministic", "gaussian", "balanced")

    def check(self) -> None:
        """See `ModelConfig.check`."""
        require("model.depth", self.depth, 2 <= self.depth <= LARGEST_DEPTH, f"an integer from 2 to {LARGEST_DEPTH}")

    def neurons_shape(self, data: Regression) -> tuple[int, int]:
        """See `ModelConfig.neurons_shape`."""
        return data.inputs.shape[1], self.depth if self.signed else 1

    def build(self, data: Regression) -> DiagonalLinear:
        """See `ModelConfig.build`."""
        return DiagonalLinear(data, self.depth, self.signed)


class DiagonalLinear(Architecture):
    """Diagonal linear network on regression data.

    Args:
        depth: number of layers L, at least 2.
        signed: neurons of D = L layers each, beta = u_1 ... u_L; else D = 1, beta = u^L.
    """

    name = "diagonal_linear"
    output_dimension = 1
    wording = Wording("coefficient", "coefficient", r"$\beta_{{{}}}$")

    def __init__(self, data: Regression, depth: int = 2, signed: bool = True) -> None:
        self.data = data
        self.depth = self.homogeneity_degree = depth
        self.signed = signed
        self.width = data.inputs.shape[1]
        self.neuron_dimension = depth if signed else 1
        # D numbers of variance 2 / D: a typical norm of sqrt(2).
        self.parameter_blocks = ((1, (2 / self.neuron_dimension) ** 0.5),) * self.neuron_dimension
        self.feature_names = tuple(str(i + 1) for i in range(self.width))
        self.device = data.inputs.device
        self.dtype = data.inputs.dtype

    def draw(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """Neurons of norm sqrt(2) scale, or Gaussian of that typical norm.

        `deterministic`: one layer zero, the others equal and positive (u = sqrt(2) scale, v = 0 at depth 2),
        so that both signs of beta are equally far. `balanced`: all layers of one magnitude, with random signs;
        such a neuron can never change the sign of beta. Without signs all parameters are positive, and
        these two are the same.
        """
        norm = 2**0.5 * scale
        if not self.signed and kind != "gaussian":
            return torch.full((self.width, 1), norm, dtype=torch.float64)
        if kind == "deterministic":
            layers = torch.full((self.width, self.depth), norm / (self.depth - 1) ** 0.5, dtype=torch.float64)
            layers[:, -1] = 0
            return layers
        if kind == "balanced":
            return draw_signs(generator, self.width, self.depth, dtype=self.dtype).mul(norm / self.depth**0.5)
        drawn = super().draw(kind, scale, generator)
        return drawn if self.signed else drawn.abs()

    def theory(
        self, initial: Tensor, log_init_scale: float, threshold: float, log_factor: float = 0.0
    ) -> Theory | None:
        """The vanishing limit of this initialization."""
        return diagonal_linear_theory(self.data, self.curves(initial, log_factor), log_init_scale)

    def own_size(self, initial: Tensor, log_factor: float = 0.0) -> OwnSizePrediction:
        """Own-size steps, at any depth."""
        neurons = initial.cpu().double()
        data = Regression(self.data.inputs.cpu().double(), self.data.targets.cpu().double())
        coordinates = DiagonalLinear(data, self.depth, self.signed).flow_coordinates(neurons, None, log_factor)
        return diagonal_own_size(data, self.curves(neurons, log_factor), coordinates, self.feature_names)

    def curves(self, neurons: Tensor, log_factor: float = 0.0) -> NeuronCurves:
        """The curves on which `neurons * exp(log_factor)`, (d, D), move."""
        return neuron_curves(neurons.cpu().double().numpy(), self.depth, log_factor)

    def data_arrays(self) -> dict[str, Tensor]:
        """The Lasso path: breakpoints (K,) and the coefficients there (K, d)."""
        path = lasso_path(*design_of(self.data), self.signed)
        return {"lasso/lambda": torch.from_numpy(path.penalties),
                "lasso/coefficients": torch.from_numpy(path.coefficients)}

    def coefficients_of(self, neurons: Tensor) -> Tensor:
        """Coefficient of each neuron, (..., D) to (...)."""
        return neurons.prod(-1) if self.signed else neurons[..., 0] ** self.depth

    def slopes(self, neurons: Tensor) -> Tensor:
        """Derivatives of each neuron's coefficient by its parameters, (..., D) to (..., D)."""
        return products_without_one(neurons) if self.signed else self.depth * neurons ** (self.depth - 1)

    def curvatures(self, neurons: Tensor) -> Tensor:
        """Second derivatives of each neuron's coefficient, (..., D) to (..., D, D)."""
        if self.signed:
            return products_without_two(neurons)
        return (self.depth * (self.depth - 1) * neurons ** (self.depth - 2))[..., None]

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> RegressionResidual:
        """Residual of the neurons' coefficients."""
        return self.data.residual(self.coefficients_of(neurons), index)

    def function_values(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """See `Architecture.function_values`: X beta over sqrt(n)."""
        inputs = self.data.inputs if index is None else self.data.inputs[:, index]
        return inputs @ self.coefficients_of(neurons) / math.sqrt(len(inputs))

    def loss(self, residual: RegressionResidual) -> Tensor:
        """1/(2n) ||y - X beta||^2."""
        return residual.loss

    def utility_gradient(
        self, neurons: Tensor, residual: RegressionResidual, index: Tensor | None = None
    ) -> Tensor:
        """Gradient of beta g: each layer's is g times the product of the other layers."""
        drives = residual.drives if index is None else residual.drives[index]
        return self.slopes(neurons) * drives[:, None]

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Exact: slopes X^T X / n slopes^T, less each neuron's drive times its curvatures."""
        inputs = self.data.inputs if index is None else self.data.inputs[:, index]
        drives = self.residual(neurons, index).drives
        drives = drives if index is None else drives[index]
        slopes, covariance = self.slopes(neurons), inputs.T @ inputs / inputs.shape[0]
        shared = torch.einsum("kl,kj,jm->kljm", slopes, covariance, slopes)
        own = torch.diag_embed((self.curvatures(neurons) * drives[:, None, None]).permute(1, 2, 0))
        return (shared - own.permute(2, 0, 3, 1)).reshape(neurons.numel(), neurons.numel())

    def features(self, neurons: Tensor) -> Tensor:
        """Coefficients, (..., d, D) to (..., d)."""
        return self.coefficients_of(neurons)

    def solution_features(self, initial: Tensor) -> Tensor | None:
        """Least squares where they are unique; None if they need a sign that a coefficient cannot get.

        Differences of squares of layers are kept, so that a coefficient passes zero only if its smallest layer
        differs in size from all others.
        """
        solution, unique = least_squares(*design_of(self.data))
        fixed_signs = torch.ones(self.width, dtype=torch.bool)
        if self.signed:
            smallest = initial.abs().cpu().sort(dim=1).values
            fixed_signs = smallest[:, 1] - smallest[:, 0] <= ROUNDING * smallest[:, -1]
        wrong = self.coefficients_of(initial).cpu().sign() * torch.from_numpy(solution) < 0
        if bool((fixed_signs & torch.from_numpy(unique) & wrong).any()):
            return None
        return torch.from_numpy(np.where(unique, solution, np.nan))

    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """A neuron lies along its own coordinate only, (..., d, D) to (..., d, d)."""
        return torch.diag_embed(torch.linalg.vector_norm(neurons, dim=-1))

    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient over `batch_size` random rows of X."""
        count = self.data.inputs.shape[0]
        rows = torch.randint(count, (batch_size,), generator=generator, device=generator.device)
        inputs = self.data.inputs[rows.to(self.device)]
        errors = self.data.targets[rows.to(self.device)] - inputs @ self.coefficients_of(neurons)
        return -self.slopes(neurons) * (inputs.T @ errors / batch_size)[:, None]

    def flow_coordinates(
        self, neurons: Tensor, index: Tensor | None = None, log_factor: float = 0.0
    ) -> CurveCoordinates:
        """Each neuron's place on its curve, exact at any scale."""
        if self.signed:
            return HyperbolicCoordinates(self.data, neurons, index, log_factor)
        return PowerCoordinates(self.data, self.depth, neurons, index, log_factor)

    def descent_coordinates(self, neurons: Tensor) -> LayerCoordinates:
        """The layers as they are."""
        return LayerCoordinates(self, self.data, 1 if self.signed else self.depth, neurons)
