"""Fully connected linear network f(x) = A W x (AGF paper, section 4), on the moments of its population.

Neuron i is theta_i = (w_i, a_i): a row of W and a column of A. Features are the modes of the target in the
order in which conjecture 4.1 learns them; a feature's size is u_k^T A W v_k with the mode's output direction
u_k and its input direction v_k = beta*^T u_k / ||beta*^T u_k||, which rises once, to ||beta*^T u_k||.
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
from agfrun.labs.staircases.networks.fully_connected_linear.coordinates import (
    IndependentNeurons,
    IndependentPolarNeurons,
    independent_mixtures,
    initial_mixing,
)
from agfrun.labs.staircases.networks.fully_connected_linear.data import LinearMap
from agfrun.labs.staircases.networks.fully_connected_linear.own_size import linear_own_size
from agfrun.labs.staircases.networks.fully_connected_linear.theory import (
    EQUAL,
    Stages,
    fully_connected_linear_theory,
    predicted_stages,
    target_modes,
)
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction
from agfrun.labs.staircases.networks.streams import draw_normal, draw_shared
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.wording import Wording
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register

# A mode has grown once its singular value is this part of the largest that is ever predicted.
GROWN = 1e-4


@register("model")
@dataclass
class FullyConnectedLinearConfig(ModelConfig):
    """Fully connected linear network f(x) = A W x (AGF paper, section 4)."""

    name: str = "fully_connected_linear"
    loss_normalization: str = "sum_over_outputs"
    width: int = 10

    data_type: ClassVar[type] = LinearMap
    initializations: ClassVar[tuple[str, ...]] = ("gaussian", "balanced")

    def check(self) -> None:
        """See `ModelConfig.check`."""
        require("model.width", self.width, self.width >= 1, "an integer of at least 1")

    def neurons_shape(self, data: LinearMap) -> tuple[int, int]:
        """See `ModelConfig.neurons_shape`."""
        return self.width, sum(data.target_map.shape)

    def build(self, data: LinearMap) -> FullyConnectedLinear:
        """See `ModelConfig.build`."""
        return FullyConnectedLinear(data, self.width)


@dataclass(frozen=True)
class LinearResidual:
    """What is left of the target.

    Attributes:
        correlation: G = E r x^T = Sigma_yx - A W Sigma_xx, (c, d).
        loss: 1/2 E ||r||^2.
    """

    correlation: Tensor
    loss: Tensor


class FullyConnectedLinear(Architecture):
    """Fully connected linear network, neurons theta = (w, a) with D = d + c.

    Attributes:
        stages: the staircase of conjecture 4.1.
        left, right: u_k and v_k as columns, (c, F) and (d, F).
    """

    name = "fully_connected_linear"
    homogeneity_degree = 2
    interchangeable_neurons = True
    wording = Wording("mode", "coefficient along the mode")

    def __init__(self, data: LinearMap, width: int) -> None:
        self.data = data
        self.noise_loss = data.noise_loss
        self.width = width
        self.output_dimension, self.input_dimension = data.cross.shape
        self.neuron_dimension = self.input_dimension + self.output_dimension
        self.device, self.dtype = data.cross.device, data.cross.dtype
        # Variances 1 / d and 1 / c make |w| and |a| about 1 each, and the neuron's norm sqrt(2).
        self.parameter_blocks = ((self.input_dimension, self.input_dimension**-0.5),
                                 (self.output_dimension, self.output_dimension**-0.5))
        if not bool((data.target_map @ data.factor).any()):
            raise ConfigError("data.target_map", "0", "it gives targets that do not depend on the inputs")
        self.stages: Stages = predicted_stages(target_modes(data), width, self.noise_loss)
        self.minimal_loss = float(self.stages.levels[-1])
        modes = self.stages.modes.taken(list(range(len(self.stages))))
        self.feature_names = tuple(str(k + 1) for k in range(len(modes)))
        self.left = self._tensor(modes.left)
        self.right = self._tensor(modes.least_squares.T / np.linalg.norm(modes.least_squares, axis=1))
        # The v_k need not be orthogonal to one another; alignment is with the spans of the first k.
        self.nested_right = torch.linalg.qr(self.right)[0]

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.tensor(array, dtype=self.dtype, device=self.device)

    def split(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """W (..., K, d) and A^T (..., K, c)."""
        return neurons[..., : self.input_dimension], neurons[..., self.input_dimension :]

    def product(self, neurons: Tensor) -> Tensor:
        """The network's map A W, (..., K, D) to (..., c, d)."""
        inner, outer = self.split(neurons)
        return outer.mT @ inner

    def draw(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """Gaussian, or `balanced`: A^T A = W W^T.

        A balanced pair of layers shares one Gaussian factor P (H, m), m = min(c, d): A = R_a P^T and W = P R_w^T
        with orthonormal columns R_a (c, m) and R_w (d, m). The layers then keep the same singular values
        throughout training, and the map A W follows an equation of its own.
        """
        if kind != "balanced":
            return super().draw(kind, scale, generator)
        rank = min(self.input_dimension, self.output_dimension)
        shared = draw_normal(generator, self.width, rank, dtype=self.dtype)
        inner, outer = (draw_shared(generator, rows, rank, dtype=self.dtype)
                        for rows in (self.input_dimension, self.output_dimension))
        # Rows of P have squared norms of about m, which orthonormal columns leave: 1 after the division by sqrt(m).
        layers = [shared @ torch.linalg.qr(layer)[0].T for layer in (inner, outer)]
        return torch.cat(layers, dim=1).mul(scale * rank**-0.5)

    def theory(
        self, initial: Tensor, log_init_scale: float, threshold: float, log_factor: float = 0.0
    ) -> Theory:
        """Conjecture 4.1."""
        return fully_connected_linear_theory(self.stages, log_init_scale)

    def own_size(self, initial: Tensor, log_factor: float = 0.0) -> OwnSizePrediction:
        """Own-size steps."""
        return linear_own_size(self.stages.modes, initial.cpu().double().numpy(), log_factor, self.noise_loss)

    def data_arrays(self) -> dict[str, Tensor]:
        """The predicted staircase: times over log(1/(sqrt(2) scale)), singular values of A W, and levels."""
        return {"stage_times": torch.tensor(self.stages.times),
                "stage_singular_values": torch.tensor(self.stages.singular_values()),
                "stage_levels": torch.tensor(self.stages.levels)}

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> LinearResidual:
        """Residual of the map A W."""
        # Through the square root of Sigma_xx, a loss near zero is a sum of squares and keeps its digits.
        whitened = (self.data.target_map - self.product(neurons)) @ self.data.factor
        return LinearResidual(whitened @ self.data.factor.T, 0.5 * whitened.square().sum() + self.noise_loss)

    def function_values(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """See `Architecture.function_values`: A W Sigma_xx^(1/2)."""
        return (self.product(neurons) @ self.data.factor).reshape(-1)

    def loss(self, residual: LinearResidual) -> Tensor:
        """1/2 tr (B - A W) Sigma_xx (B - A W)^T and half the variance of the noise."""
        return residual.loss

    def utility_gradient(self, neurons: Tensor, residual: LinearResidual, index: Tensor | None = None) -> Tensor:
        """Gradient of a^T G w: (G^T a, G w)."""
        inner, outer = self.split(neurons)
        return torch.cat([outer @ residual.correlation, inner @ residual.correlation.T], dim=-1)

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Exact Hessian: (A^T A) x Sigma_xx, (W Sigma_xx W^T) x 1 and a_i (Sigma_xx w_j)^T - delta_ij G."""
        inner, outer = self.split(neurons)
        count, d = neurons.shape[0], self.input_dimension
        # W Sigma_xx W^T as a Gram matrix: positive semi-definite in spite of rounding.
        whitened = inner @ self.data.factor
        hessian = neurons.new_zeros(count, self.neuron_dimension, count, self.neuron_dimension)
        hessian[:, :d, :, :d] = torch.einsum("ij,xy->ixjy", outer @ outer.T, self.data.inputs)
        identity = torch.eye(self.output_dimension, dtype=neurons.dtype, device=neurons.device)
        hessian[:, d:, :, d:] = torch.einsum("ij,op->iojp", whitened @ whitened.T, identity)
        mixed = torch.einsum("io,jx->ixjo", outer, whitened @ self.data.factor.T)
        mixed.diagonal(dim1=0, dim2=2).sub_(self.residual(neurons).correlation.T[..., None])
        hessian[:, :d, :, d:] = mixed
        hessian[:, d:, :, :d] = mixed.permute(2, 3, 0, 1)
        return hessian.view(neurons.numel(), neurons.numel())

    def flow_coordinates(
        self, neurons: Tensor, index: Tensor | None = None, log_factor: float = 0.0
    ) -> IndependentNeurons | IndependentPolarNeurons:
        """Mixtures of the neurons that stay independent."""
        mixing = self._initial_mixing(neurons)
        if log_factor:
            return IndependentPolarNeurons(self, neurons, mixing, log_factor)
        return IndependentNeurons(self, self.data, neurons, mixing)

    def fewest_neurons(self, neurons: Tensor) -> Tensor:
        """See `Architecture.fewest_neurons`: as many as the neurons have independent directions."""
        return self._initial_mixing(neurons).T @ neurons

    def independent_mixtures(self, directions: Tensor, log_norms: Tensor) -> tuple[Tensor, Tensor] | None:
        """See `Architecture.independent_mixtures`."""
        found = independent_mixtures(directions, log_norms)
        return None if found is None else found[1:]

    def _initial_mixing(self, neurons: Tensor) -> Tensor:
        return initial_mixing(neurons, self.growth_directions(self.residual(neurons)))

    def growth_directions(self, residual: LinearResidual) -> Tensor:
        """Orthonormal directions in which a small neuron grows or shrinks, fastest growth first; columns, (D, D).

        It moves as dw/dt = G^T a, da/dt = G w. With the singular vectors of G = sum_j sigma_j l_j r_j^T they are
        (r_j, l_j) / sqrt(2), of rate sigma_j; then those at rest; then (r_j, -l_j) / sqrt(2), of rate -sigma_j.
        """
        left, values, right = torch.linalg.svd(residual.correlation)
        count = len(values)
        paired = torch.cat([right[:count].T, left[:, :count]]) / 2**0.5
        opposed = torch.cat([right[:count].T, -left[:, :count]]).flip(1) / 2**0.5
        resting = paired.new_zeros(len(paired), len(paired) - 2 * count)
        resting[: len(right), : len(right) - count] = right[count:].T
        resting[len(right) :, len(right) - count :] = left[:, count:]
        return torch.cat([paired, resting, opposed], dim=1)

    def features(self, neurons: Tensor) -> Tensor:
        """Coefficients u_k^T A W v_k, (..., H, D) to (..., F)."""
        inner, outer = self.split(neurons)
        return ((outer @ self.left) * (inner @ self.right)).sum(-2)

    def solution_features(self, initial: Tensor) -> Tensor | None:
        """||beta*^T u_k||; None where the width leaves modes out that carry as much as those it learns first."""
        energies, learned = self.stages.modes.energies, len(self.stages)
        if learned < len(energies) and energies[:learned].min() <= energies[learned:].max() * (1 + EQUAL):
            return None
        return torch.from_numpy(np.linalg.norm(self.stages.modes.least_squares[:learned], axis=1))

    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """Geometric mean of |<a, u_k>| and |<w, v_k>|, (..., H, F)."""
        inner, outer = self.split(neurons)
        return ((outer @ self.left) * (inner @ self.right)).abs().sqrt()

    def observables(self, neurons: Tensor) -> dict[str, Tensor]:
        """Singular values of A W, descending, and how well its singular vectors match the predicted modes.

        Alignment k, from 0 to 1, is the mean squared cosine of the principal angles between the span of the k
        leading singular vectors of A W and that of the first k predicted modes: 1 on the k-th plateau. NaN while
        the k-th singular value has not grown: its singular vectors are then nobody's.
        """
        left, values, right = torch.linalg.svd(self.product(neurons), full_matrices=False)
        count = self.left.shape[1]
        grown = values[..., :count] > GROWN * float(self.stages.singular_values().max())
        alignments = {"left alignment": _nested_alignment(left, self.left),
                      "right alignment": _nested_alignment(right.mT, self.nested_right)}
        return {"singular value": values,
                **{name: torch.where(grown, values, math.nan) for name, values in alignments.items()}}

    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient over fresh samples x = F z, y = B x + N e with z, e standard normal."""
        factor, noise_factor = self.data.factor, self.data.noise_factor
        rank, count = factor.shape[1], factor.shape[1] + noise_factor.shape[1]
        draws = torch.randn(batch_size, count, generator=generator, dtype=self.dtype).to(self.device)
        inputs = draws[:, :rank] @ factor.T
        errors = inputs @ (self.data.target_map - self.product(neurons)).T + draws[:, rank:] @ noise_factor.T
        correlation = errors.T @ inputs / batch_size
        return -self.utility_gradient(neurons, LinearResidual(correlation, 0.5 * errors.square().sum(1).mean()))


def _nested_alignment(vectors: Tensor, modes: Tensor) -> Tensor:
    """||(first k modes)^T (first k vectors)||^2 / k for k = 1 .. K; orthonormal columns, (..., n, m) and (n, K)."""
    count = min(modes.shape[1], vectors.shape[-1])
    overlaps = (modes[:, :count].mT @ vectors[..., :count]).square()
    # Sums over the leading k x k blocks, for all k at once.
    totals = overlaps.cumsum(-2).cumsum(-1).diagonal(dim1=-2, dim2=-1)
    return totals / torch.arange(1, count + 1, dtype=modes.dtype, device=modes.device)
