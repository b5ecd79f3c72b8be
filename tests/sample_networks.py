"""Small networks on samples, written as a user would, and their definition in plain loops over samples and neurons."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agfrun import SampleNetwork, Samples
from agfrun.labs.staircases.networks.two_layer.activation import Activation, leaky_relu, monomial, relu
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer

CPU = torch.device("cpu")
Neuron = Callable[[dict[str, Tensor], Tensor], Tensor]
Shapes = Callable[[int, int], dict[str, tuple[int, ...]]]


def gaussian_samples(count: int = 12, inputs: int = 4, outputs: int = 3, seed: int = 0,
                     dtype: torch.dtype = torch.float64) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, inputs, generator=generator, dtype=dtype)
    y = torch.randn(count, outputs, generator=generator, dtype=dtype)
    return Samples(x, y, tuple(map(str, range(outputs))))


def random_neurons(network: SampleNetwork, count: int | None = None, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (network.width if count is None else count, network.neuron_dimension)
    return torch.randn(shape, generator=generator, dtype=network.dtype)


def vector_and_output(inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {"w": (inputs,), "a": (outputs,)}


def network_class(degree: int, neuron: Neuron, shapes: Shapes = vector_and_output) -> type[SampleNetwork]:
    """The class that a user would write for this neuron."""
    rule, parts = neuron, shapes

    class OfUser(SampleNetwork):
        name = "of_user"
        homogeneity_degree = degree

        def parameter_shapes(self, input_dimension: int, output_dimension: int) -> dict[str, tuple[int, ...]]:
            return parts(input_dimension, output_dimension)

        def neuron(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            return rule(parameters, x)

    return OfUser


Bilinear = network_class(3, lambda p, x: p["a"] * (p["w"] @ x) * (p["g"] @ x),
                         lambda d, c: {"w": (d,), "g": (d,), "a": (c,)})
# A matrix and a scalar among the parameters, and a bias on the input, which leaves the neuron homogeneous.
QuadraticForm = network_class(3, lambda p, x: p["a"] * torch.relu(x @ p["m"] @ x * p["b"]),
                              lambda d, c: {"m": (d, d), "b": (), "a": (c,)})

ACTIVATIONS: dict[str, tuple[Activation, float]] = {
    "relu": (relu(), 0.0), "rounded relu": (relu(), 0.5), "rounded leaky": (leaky_relu(0.3), 0.5),
    "rounded absolute value": (leaky_relu(-1.0), 0.2), "squared relu": (relu(2), 0.0), "linear": (monomial(1), 0.1),
    "square": (monomial(2), 0.0), "cube": (monomial(3), 0.0),
}


def two_layer(name: str, data: Samples, width: int = 3) -> TwoLayer:
    activation, kink_width = ACTIVATIONS[name]
    return TwoLayer(data, width, activation, kink_width)


def sample_networks() -> list[SampleNetwork]:
    data = gaussian_samples()
    return [Bilinear(data, 3), QuadraticForm(data, 2), *(two_layer(name, data) for name in ACTIVATIONS)]


def loop_outputs(network: SampleNetwork, neurons: Tensor) -> Tensor:
    """Answer of each neuron to each sample, (K, n, c), by loops; differentiable."""
    answers = []
    for theta in neurons:
        parameters, start = {}, 0
        for name, shape in network.shapes.items():
            size = int(torch.tensor(shape).prod()) if shape else 1
            parameters[name] = theta[start : start + size].view(shape)
            start += size
        answers.append(torch.stack([network.neuron(parameters, x) for x in network.data.inputs]))
    return torch.stack(answers) if answers else torch.zeros(0, *network.data.targets.shape)


def loop_loss(network: SampleNetwork, neurons: Tensor) -> Tensor:
    errors = network.data.targets - loop_outputs(network, neurons).sum(0)
    return 0.5 * errors.square().sum() / len(errors)
