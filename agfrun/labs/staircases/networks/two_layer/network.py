"""Two-layer networks f(x) = sum_i a_i sigma(w_i . x) with a positively homogeneous activation, on samples.

Features are the neurons, or the groups of samples where the data have such. ReLU on whitened images is the
example of the AGF paper's discussion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from agfrun.labs.staircases.config import ModelConfig
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.networks.two_layer.activation import Activation, leaky_relu, monomial, relu
from agfrun.labs.staircases.networks.two_layer.hidden_layer import HiddenLayer, HiddenUnits
from agfrun.labs.staircases.networks.two_layer.own_size import orthogonal_inputs_own_size
from agfrun.labs.staircases.networks.two_layer.sample_network import SampleNetwork
from agfrun.labs.staircases.networks.two_layer.samples import Samples
from agfrun.labs.staircases.networks.two_layer.theory import Array, Neuron, orthogonal_inputs_theory
from agfrun.study.checks import require
from agfrun.study.registry import register


@dataclass
class _TwoLayerConfig(ModelConfig):
    """What all two-layer networks have."""

    name: str = ""
    loss_normalization: str = "mean_over_outputs"
    width: int = 20

    data_type: ClassVar[type] = Samples
    initializations: ClassVar[tuple[str, ...]] = ("gaussian", "balanced")

    def check(self) -> None:
        """See `ModelConfig.check`."""
        require("model.width", self.width, self.width >= 1, "an integer of at least 1")

    def neurons_shape(self, data: Samples) -> tuple[int, int]:
        """See `ModelConfig.neurons_shape`."""
        return self.width, data.inputs.shape[1] + data.targets.shape[1]


@dataclass
class _KinkedConfig(_TwoLayerConfig):
    """Those whose activation has a kink."""

    kink_width: float = 1e-2

    def check(self) -> None:
        """See `ModelConfig.check`."""
        super().check()
        require("model.kink_width", self.kink_width, 0 <= self.kink_width <= 1, "a number from 0 to 1")


@register("model")
@dataclass
class ReluConfig(_KinkedConfig):
    """Two-layer network with activation max(z, 0)^degree (AGF paper, discussion)."""

    name: str = "relu"
    degree: int = 1

    def check(self) -> None:
        """See `ModelConfig.check`."""
        super().check()
        require("model.degree", self.degree, 1 <= self.degree <= 8, "an integer from 1 to 8")

    def build(self, data: Samples) -> TwoLayer:
        """See `ModelConfig.build`."""
        return TwoLayer(data, self.width, relu(self.degree), self.kink_width, self.name)


@register("model")
@dataclass
class LeakyReluConfig(_KinkedConfig):
    """Two-layer network with activation z for z > 0, slope * z for z <= 0."""

    name: str = "leaky_relu"
    slope: float = 0.1

    def check(self) -> None:
        """See `ModelConfig.check`."""
        super().check()
        require("model.slope", self.slope, -1 <= self.slope <= 1, "a number from -1 (|z|) to 1 (linear)")

    def build(self, data: Samples) -> TwoLayer:
        """See `ModelConfig.build`."""
        return TwoLayer(data, self.width, leaky_relu(self.slope), self.kink_width, self.name)


@register("model")
@dataclass
class MonomialConfig(_TwoLayerConfig):
    """Two-layer network with activation z^degree."""

    name: str = "monomial"
    degree: int = 2

    def check(self) -> None:
        """See `ModelConfig.check`."""
        super().check()
        require("model.degree", self.degree, 1 <= self.degree <= 8, "an integer from 1 to 8")

    def build(self, data: Samples) -> TwoLayer:
        """See `ModelConfig.build`."""
        return TwoLayer(data, self.width, monomial(self.degree), 0.0, self.name)


class TwoLayer(SampleNetwork):
    """Neurons theta = (w, a) with w in R^d, a in R^c; of degree one more than the activation's.

    Does by matrix products what `SampleNetwork` does for any neuron.

    Args:
        kink_width: width of the strip on which a kink of the activation is rounded (see `hidden_layer`), as a
            part of the root mean square of |x| / sqrt(d), the typical size of w . x / |w|. With 0 the kink stays, and
            its slope is that of the left side.
        name: the registry's name.
    """


    def __init__(
        self, data: Samples, width: int, activation: Activation, kink_width: float = 0.0, name: str = "two_layer"
    ) -> None:
        self.name = name
        self.activation = activation
        self.homogeneity_degree = activation.degree + 1
        self.layer = HiddenLayer(activation, kink_width * float(data.inputs.square().mean().sqrt()))
        super().__init__(data, width)

    def parameter_shapes(self, input_dimension: int, output_dimension: int) -> dict[str, tuple[int, ...]]:
        """See `SampleNetwork.parameter_shapes`."""
        return {"w": (input_dimension,), "a": (output_dimension,)}

    def neuron(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """A sigma(w . x)."""
        return parameters["a"] * self.layer.value(parameters["w"], parameters["w"] @ x)

    def balanced_norms(self) -> tuple[float, ...]:
        """|w|^2 - degree |a|^2 is conserved by gradient flow; here it is zero."""
        degree = self.activation.degree
        return (2 * degree / (degree + 1)) ** 0.5, (2 / (degree + 1)) ** 0.5

    def output(self, neurons: Tensor, inputs: Tensor) -> Tensor:
        """sigma(X W^T) A."""
        weights, outputs = self.split(neurons)
        return self.layer.value(weights, inputs @ weights.T) @ outputs

    def loss_and_gradient_on(self, neurons: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """See `SampleNetwork.loss_and_gradient_on`."""
        weights, outputs = self.split(neurons)
        units = self.layer.units(weights, inputs)
        errors = targets - units.values @ outputs
        return self.loss(errors), -_gradient(weights, outputs, units, inputs, errors)

    def utility_gradient(self, neurons: Tensor, residual: Tensor, index: Tensor | None = None) -> Tensor:
        """See `SampleNetwork.utility_gradient`."""
        weights, outputs = self.split(neurons)
        inputs = self.data.inputs
        return _gradient(weights, outputs, self.layer.units(weights, inputs), inputs, residual)

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Exact where the activation has two derivatives; elsewhere that of the left side."""
        weights, outputs = self.split(neurons)
        count, (inputs_count, outputs_count) = len(neurons), (weights.shape[1], outputs.shape[1])
        blocks = neurons.new_zeros(count, count, self.neuron_dimension, self.neuron_dimension)
        same = torch.arange(count, device=neurons.device)
        residual = self.residual(neurons)
        gram = outputs @ outputs.T
        identity = torch.eye(outputs_count, dtype=neurons.dtype, device=neurons.device)
        inner, outer = slice(0, inputs_count), slice(inputs_count, None)
        for rows in self._chunks(count * inputs_count):
            x, errors = self.data.inputs[rows], residual[rows]
            units = self.layer.units(weights, x)
            slopes = _unit_gradients(weights, units, x)
            squares = (slopes.flatten(1).T @ slopes.flatten(1)).view(count, inputs_count, count, inputs_count)
            blocks[:, :, inner, inner] += gram[:, :, None, None] * squares.transpose(1, 2)
            blocks[:, :, outer, outer] += (units.values.T @ units.values)[:, :, None, None] * identity
            mixed = (units.values.T @ slopes.flatten(1)).view(count, count, 1, inputs_count)
            cross = mixed * outputs[None, :, :, None]
            # Only within a neuron does the residual meet a second derivative of what it answers.
            cross[same, same] -= torch.einsum("jc,jkd->kcd", errors, slopes)
            blocks[:, :, outer, inner] += cross
            blocks[:, :, inner, outer] += cross.permute(1, 0, 3, 2)
            blocks[same, same, inner, inner] -= self.layer.curvature(weights, x, errors @ outputs.T)
        size = count * self.neuron_dimension
        return blocks.transpose(1, 2).reshape(size, size) / len(residual)

    def theory(
        self, initial: Tensor, log_init_scale: float, threshold: float, log_factor: float = 0.0
    ) -> Theory | None:
        """AGF in closed form for (leaky) ReLU on the unit vectors with scalar targets; otherwise None."""
        if log_factor or not self._on_unit_vectors():
            return None
        targets, slope, names, groups = self._problem()
        return orthogonal_inputs_theory(self._neurons(initial, 0.0), targets, slope, threshold, names, groups)

    def own_size(self, initial: Tensor, log_factor: float = 0.0) -> OwnSizePrediction | None:
        """Own-size steps for ReLU on the unit vectors with scalar targets, at any scale; otherwise None.

        With a slope on the left, samples on the two sides of a neuron are learned at rates of their own.
        """
        if not self._on_unit_vectors() or self.activation.negative != 0:
            return None
        targets, _, names, groups = self._problem()
        return orthogonal_inputs_own_size(self._neurons(initial, log_factor), targets, names, groups)

    def _on_unit_vectors(self) -> bool:
        """Whether samples act on a neuron one by one."""
        known = self.activation.degree == 1 and self.activation.positive == 1.0 and self.activation.negative <= 0
        if not known or self.output_dimension != 1 or self.data.group_of is None:
            return False
        return torch.equal(self.data.inputs, torch.eye(len(self.data.inputs)).to(self.data.inputs))

    def _neurons(self, initial: Tensor, log_factor: float) -> list[Neuron]:
        rows = initial.cpu().double().numpy()
        return [Neuron.of(row[:-1], float(row[-1]), log_factor) for row in rows]

    def _problem(self) -> tuple[Array, float, tuple[str, ...], list[int]]:
        """Targets, the slope to the left, and names and members of the groups."""
        data = self.data
        assert data.group_of is not None
        return (data.targets[:, 0].cpu().double().numpy(), -self.activation.negative, data.group_names,
                data.group_of.tolist())

    def utility_bound(self, residual: Tensor) -> float:
        """An upper bound on the utility of a unit neuron against a residual (n, c), from second moments.

        For unit w and u, E (u . r) sigma(w . x) is at most sqrt(lambda_rr E sigma^2) by Cauchy-Schwarz, lambda the
        largest eigenvalue of a covariance; at degree 1 the odd part of sigma, linear, gives the norm of E r x^T
        instead. The factor is the largest |a| |w|^degree of a unit neuron.
        """
        inputs, degree, n = self.data.inputs, self.activation.degree, len(residual)
        spread = float(torch.linalg.matrix_norm(residual, 2) * torch.linalg.matrix_norm(inputs, 2)) / n
        positive, negative = self.activation.positive, self.activation.negative
        if degree == 1:
            linear = float(torch.linalg.matrix_norm(residual.T @ inputs, 2)) / n
            # sigma(z) = (p - n) / 2 z + (p + n) / 2 |z| for the two factors p and n.
            largest = 0.5 * abs(positive - negative) * linear + 0.5 * abs(positive + negative) * spread
        else:
            radius = float(torch.linalg.vector_norm(inputs, dim=1).max())
            largest = max(abs(positive), abs(negative)) * spread * radius ** (degree - 1)
        # Times the largest |a| |w|^degree of a unit neuron, at |w|^2 = degree / (degree + 1).
        return largest * float(degree ** (degree / 2) / (degree + 1) ** ((degree + 1) / 2))

    def answer_sizes(self, neurons: Tensor) -> Tensor:
        """|a| times the root mean square of sigma(w . x)."""
        weights, outputs = self.split(neurons)
        hidden = self.layer.value(weights, self.data.inputs @ weights.T)
        sizes: Tensor = torch.linalg.vector_norm(outputs, dim=-1) * hidden.square().mean(0).sqrt()
        return sizes

    def split(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """Input weights (..., d) and output weights (..., c) of neurons (..., D)."""
        dimension = self.data.inputs.shape[1]
        return neurons[..., :dimension], neurons[..., dimension:]


def _gradient(weights: Tensor, outputs: Tensor, units: HiddenUnits, inputs: Tensor, errors: Tensor) -> Tensor:
    """Gradient (K, D) of (1/n) sum_j <a_i sigma(w_i . x_j), r_j> for each neuron i."""
    drives = errors @ outputs.T / len(inputs)
    by_weights = (drives * units.slopes).T @ inputs
    if units.radials is not None:
        by_weights = by_weights + (drives * units.radials).sum(0)[:, None] * weights
    return torch.cat([by_weights, units.values.T @ errors / len(inputs)], dim=1)


def _unit_gradients(weights: Tensor, units: HiddenUnits, inputs: Tensor) -> Tensor:
    """Gradient of each unit in its own weights, (n, K, d)."""
    gradients = units.slopes[:, :, None] * inputs[:, None, :]
    return gradients if units.radials is None else gradients + units.radials[:, :, None] * weights
