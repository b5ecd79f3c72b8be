"""Two-layer network with squares on symmetric matrices: f(X) = sum_i a_i w_i^T X w_i (matrix sensing).

The quadratic form F = sum_i a_i w_i w_i^T answers an input X, a symmetric matrix, by <F, X>. On a basis of symmetric
matrices that is orthonormal the loss is the Frobenius distance of F from the target form, which no loss over vectors
x with f(x) = x^T F x can be: E (x^T F x)^2 has a part (tr F)^2 for every distribution that has no direction of its
own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.config import DataConfig
from agfrun.labs.staircases.networks.two_layer.network import _TwoLayerConfig
from agfrun.labs.staircases.networks.two_layer.sample_network import SampleNetwork
from agfrun.labs.staircases.networks.two_layer.samples import Samples, samples
from agfrun.study.checks import ORDINARY, ordinary, require
from agfrun.study.registry import register

LARGEST_DIMENSION = 60


@dataclass(frozen=True)
class Forms(Samples):
    """Samples whose inputs are symmetric matrices (d, d), flattened."""


@register("data")
@dataclass
class QuadraticTeacherConfig(DataConfig):
    """A quadratic form of given eigenvalues, told on an orthonormal basis of the symmetric matrices.

    The loss is |F - T|^2 in the Frobenius norm, without a half. Eigenvectors are random, drawn with `data_seed`.
    """

    name: str = "quadratic_teacher"
    eigenvalues: list[float] = field(default_factory=lambda: [3.0, 1.5, 0.7, 0.0])
    data_seed: int = 0

    provides: ClassVar[type] = Forms

    def check(self) -> None:
        """See `DataConfig.check`."""
        require("data.eigenvalues", self.eigenvalues, 1 <= len(self.eigenvalues) <= LARGEST_DIMENSION
                and all(map(ordinary, self.eigenvalues)) and any(self.eigenvalues),
                f"a list of 1 to {LARGEST_DIMENSION} numbers {ORDINARY}, not all 0")
        require("data.data_seed", self.data_seed, 0 <= self.data_seed < 2**32, "an integer from 0 to 2**32 - 1")

    def memory(self) -> float:
        """See `DataConfig.memory`."""
        return 8 * 2.0 * len(self.eigenvalues) ** 4

    def build(self, dtype: torch.dtype, device: torch.device) -> Forms:
        """See `DataConfig.build`."""
        dimension = len(self.eigenvalues)
        axes = np.linalg.qr(np.random.default_rng(self.data_seed).standard_normal((dimension, dimension)))[0]
        target = (axes * np.array(self.eigenvalues)) @ axes.T
        rows, columns = np.triu_indices(dimension)
        inputs = np.zeros((len(rows), dimension, dimension))
        places = np.arange(len(rows))
        inputs[places, rows, columns] = inputs[places, columns, rows] = np.where(rows == columns, 1.0, 0.5**0.5)
        # (1/n) sum_j 1/2 <F - T, X_j>^2 is |F - T|^2 for X_j of this norm.
        inputs *= (2 * len(rows)) ** 0.5
        flat = inputs.reshape(len(rows), -1)
        made = samples(flat, flat @ target.reshape(-1, 1), dtype, device)
        return Forms(made.inputs, made.targets, made.output_names)


@register("model")
@dataclass
class QuadraticFormConfig(_TwoLayerConfig):
    """Two-layer network sum_i a_i w_i^T X w_i on symmetric matrices X."""

    name: str = "quadratic_form"
    width: int = 6

    data_type: ClassVar[type] = Forms

    def neurons_shape(self, data: Samples) -> tuple[int, int]:
        """See `ModelConfig.neurons_shape`."""
        return self.width, _side(data) + data.targets.shape[1]

    def build(self, data: Samples) -> QuadraticForm:
        """See `ModelConfig.build`."""
        return QuadraticForm(data, self.width)


class QuadraticForm(SampleNetwork):
    """Neurons theta = (w, a) that answer X by a w^T X w."""

    name = "quadratic_form"
    homogeneity_degree = 3

    def __init__(self, data: Samples, width: int) -> None:
        self.side = _side(data)
        super().__init__(data, width)

    def parameter_shapes(self, input_dimension: int, output_dimension: int) -> dict[str, tuple[int, ...]]:
        """See `SampleNetwork.parameter_shapes`."""
        return {"w": (self.side,), "a": (output_dimension,)}

    def output(self, neurons: Tensor, inputs: Tensor) -> Tensor:
        """See `SampleNetwork.output`: the inputs' products with the form."""
        weights, outputs = neurons[:, : self.side], neurons[:, self.side :]
        forms = torch.einsum("kc,kd,ke->cde", outputs, weights, weights)
        return inputs @ forms.flatten(1).T

    def loss_and_gradient_on(self, neurons: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """See `SampleNetwork.loss_and_gradient_on`."""
        errors = targets - self.output(neurons, inputs)
        return self.loss(errors), -self._pulled_back(neurons, inputs, errors)

    def utility_gradient(self, neurons: Tensor, residual: Tensor, index: Tensor | None = None) -> Tensor:
        """See `SampleNetwork.utility_gradient`."""
        return self._pulled_back(neurons, self.data.inputs, residual)

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """See `Architecture.hessian`."""
        weights, outputs = neurons[:, : self.side], neurons[:, self.side :]
        count, wide = outputs.shape
        slopes, answers = self._slopes(weights)
        by_weights = torch.einsum("nkd,kc->nckd", slopes, outputs)
        by_outputs = torch.einsum("nk,ce->ncke", answers, torch.eye(wide).to(outputs))
        jacobian = torch.cat([by_weights, by_outputs], dim=-1).reshape(-1, neurons.numel())
        blocks = (jacobian.T @ jacobian / len(slopes)).reshape(*neurons.shape, *neurons.shape)
        forms = self._forms(self.data.inputs, self.residual(neurons))
        same, side = torch.arange(count, device=neurons.device), self.side
        # Only within a neuron does the residual meet a second derivative of what it answers.
        mixed = 2 * torch.einsum("cde,ke->kdc", forms, weights)
        blocks[same, :side, same, side:] -= mixed
        blocks[same, side:, same, :side] -= mixed.mT
        blocks[same, :side, same, :side] -= 2 * torch.einsum("cde,kc->kde", forms, outputs)
        return blocks.reshape(neurons.numel(), neurons.numel())

    def _slopes(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Derivatives 2 X_j w_k, (n, K, d), and values w_k^T X_j w_k, (n, K)."""
        half = torch.einsum("nde,ke->nkd", self.data.inputs.view(-1, self.side, self.side), weights)
        return 2 * half, torch.einsum("nkd,kd->nk", half, weights)

    def _forms(self, inputs: Tensor, errors: Tensor) -> Tensor:
        """The form of each output's errors, (1/n) sum_j e_jc X_j, (c, d, d)."""
        return (errors.T @ inputs / len(inputs)).view(-1, self.side, self.side)

    def _pulled_back(self, neurons: Tensor, inputs: Tensor, errors: Tensor) -> Tensor:
        """Gradient of (1/n) sum_j <a_k w_k^T X_j w_k, e_j> for each neuron k, (K, D)."""
        weights, outputs = neurons[:, : self.side], neurons[:, self.side :]
        half = torch.einsum("cde,ke->kcd", self._forms(inputs, errors), weights)
        by_weights = 2 * torch.einsum("kc,kcd->kd", outputs, half)
        return torch.cat([by_weights, torch.einsum("kcd,kd->kc", half, weights)], dim=1)

    def neuron(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """A w^T X w."""
        weights = parameters["w"]
        return parameters["a"] * (weights @ (x.reshape(self.side, self.side) @ weights))

    def balanced_norms(self) -> tuple[float, ...]:
        """|w|^2 - 2 |a|^2 is conserved by gradient flow; here it is zero."""
        return (4 / 3) ** 0.5, (2 / 3) ** 0.5


def _side(data: Samples) -> int:
    """Number of rows of an input."""
    return math.isqrt(data.inputs.shape[1])
