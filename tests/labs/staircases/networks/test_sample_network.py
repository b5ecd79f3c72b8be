"""Networks of which only one neuron is written, against plain loops and autograd."""

from __future__ import annotations

import pytest
import torch
from sample_networks import (
    Bilinear,
    QuadraticForm,
    gaussian_samples,
    loop_loss,
    loop_outputs,
    network_class,
    random_neurons,
    sample_networks,
    two_layer,
)
from torch import Tensor

from agfrun import ConfigError, SampleNetwork
from agfrun.labs.staircases.dynamics.polar import PolarCoordinates
from agfrun.labs.staircases.networks.two_layer import sample_network
from agfrun.labs.staircases.networks.two_layer.orthogonal_inputs import OrthogonalInputsConfig

ALL = pytest.mark.parametrize("network", sample_networks(), ids=lambda network: type(network).__name__)


def assert_same(measured: Tensor, expected: Tensor, relative: float = 1e-12) -> None:
    assert measured.shape == expected.shape
    assert float((measured - expected).abs().max()) <= relative * float(expected.abs().max())


@ALL
def test_loss_and_gradient(network: SampleNetwork) -> None:
    neurons = random_neurons(network)
    variable = neurons.clone().requires_grad_()
    expected = loop_loss(network, variable)
    loss, gradient = network.loss_and_gradient(neurons)
    assert_same(loss, expected.detach())
    assert_same(gradient, torch.autograd.grad(expected, variable)[0])
    assert_same(network.loss(network.residual(neurons)), expected.detach())


@ALL
def test_utility_of_probes_that_are_not_the_sources(network: SampleNetwork) -> None:
    sources, probes = random_neurons(network, 2), random_neurons(network, 4, seed=2).requires_grad_()
    residual = network.residual(sources, torch.tensor([0, 1]))
    assert_same(residual, network.data.targets - loop_outputs(network, sources).sum(0))
    utilities = (loop_outputs(network, probes) * residual).sum(-1).mean(-1)
    gradient = torch.autograd.grad(utilities.sum(), probes)[0]
    assert_same(network.utility_gradient(probes.detach(), residual, torch.arange(4)), gradient)
    assert_same(network.utility(probes.detach(), residual), utilities.detach())


@ALL
@pytest.mark.parametrize("chunk", [1, 500, 2**22])
def test_hessian(network: SampleNetwork, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many samples are summed at once."""
    monkeypatch.setattr(sample_network, "CHUNK", chunk)
    neurons = random_neurons(network)
    flat = neurons.reshape(-1)
    expected = torch.autograd.functional.hessian(lambda t: loop_loss(network, t.view_as(neurons)), flat)
    for hessian in (network.hessian(neurons), SampleNetwork.hessian(network, neurons)):
        assert_same(hessian, expected)
        assert_same(hessian, hessian.T, 1e-14)


@ALL
def test_network_without_neurons_leaves_the_target(network: SampleNetwork) -> None:
    assert torch.equal(network.empty_residual(), network.data.targets)
    nothing = torch.zeros(0, network.neuron_dimension)
    loss, gradient = network.loss_and_gradient(nothing, torch.zeros(0, dtype=torch.long))
    assert_same(loss, loop_loss(network, nothing))
    assert gradient.shape == network.utility_gradient(nothing, network.empty_residual()).shape == nothing.shape


@ALL
def test_sampled_gradient_is_the_gradient_of_the_rows_drawn(network: SampleNetwork) -> None:
    neurons = random_neurons(network)
    rows = torch.randint(12, (5,), generator=torch.Generator().manual_seed(3))
    expected = network.loss_and_gradient_on(neurons, network.data.inputs[rows], network.data.targets[rows])[1]
    assert torch.equal(network.sampled_gradient(neurons, 5, torch.Generator().manual_seed(3)), expected)


def test_sampled_gradients_average_to_the_gradient() -> None:
    network = Bilinear(gaussian_samples(), 3)
    neurons, generator = random_neurons(network), torch.Generator().manual_seed(0)
    drawn = torch.stack([network.sampled_gradient(neurons, 4, generator) for _ in range(400)])
    deviation = (drawn.mean(0) - network.loss_and_gradient(neurons)[1]).abs() / (drawn.std(0) / 20)
    assert float(deviation.max()) < 4.5


def test_parameters_of_any_shape_are_read_in_order() -> None:
    data = gaussian_samples(inputs=2, outputs=1)
    network = QuadraticForm(data, 1)
    assert network.shapes == {"m": (2, 2), "b": (), "a": (1,)}
    theta = torch.tensor([[1.0, 2.0, 3.0, 4.0, 0.5, -2.0]])
    x, y = data.inputs.T
    expected = -2 * torch.relu(0.5 * (x * x + 5 * x * y + 4 * y * y))
    assert_same(network.output(theta, data.inputs), expected[:, None])


@pytest.mark.parametrize("kind", ["gaussian", "balanced"])
@pytest.mark.parametrize("shape", [(Bilinear, 3, 2000), (QuadraticForm, 3, 2000)], ids=["bilinear", "form"])
def test_initial_norms(kind: str, shape: tuple[type[SampleNetwork], int, int]) -> None:
    """A typical neuron has norm sqrt(2) scale, and its parameters equal parts of it."""
    kind_of_network, blocks, width = shape
    network = kind_of_network(gaussian_samples(), width)
    neurons = network.initialize(kind, 1e-3, torch.Generator().manual_seed(0)) / 1e-3
    parts = torch.split(neurons, [size for size, _ in network.parameter_blocks], dim=1)
    for part in parts:
        squares = part.square().sum(1)
        if kind == "balanced":
            torch.testing.assert_close(squares, torch.full_like(squares, 2 / blocks))
        size = part.shape[1]
        spread = (2 / size) ** 0.5 * (2 / blocks) / width**0.5
        assert float(squares.mean()) == pytest.approx(2 / blocks, abs=4.5 * spread)
        assert float(part.mean(0).abs().max()) < 5 * (2 / blocks / size / width) ** 0.5


def test_balanced_two_layer_neurons_conserve_zero() -> None:
    network = two_layer("cube", gaussian_samples(), 50)
    weights, outputs = network.split(network.initialize("balanced", 1e-3, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(weights.square().sum(1), 3 * outputs.square().sum(1))
    torch.testing.assert_close(weights.square().sum(1) + outputs.square().sum(1), torch.full((50,), 2e-6))


def test_an_unknown_initialization_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"init\.name=orthogonal .*model=of_user"):
        Bilinear(gaussian_samples(), 1).initialize("orthogonal", 1.0, torch.Generator())


@ALL
def test_features_are_the_sizes_of_the_neurons_outputs(network: SampleNetwork) -> None:
    states = torch.stack([random_neurons(network, seed=seed) for seed in range(4)]).unflatten(0, (2, 2))
    features, strengths = network.features(states), network.neuron_feature_strengths(states)
    assert network.feature_names == tuple(map(str, range(network.width)))  # as in the column `neuron`
    for i in range(2):
        for j in range(2):
            answers = loop_outputs(network, states[i, j])
            assert_same(features[i, j], answers.square().sum(-1).mean(-1).sqrt())
            assert_same(strengths[i, j], torch.diag(states[i, j].norm(dim=1)))


def test_features_of_grouped_samples_are_what_is_learned_of_each_group() -> None:
    data = OrthogonalInputsConfig(targets=[3.0, -1.0, 4.0, 2.0]).build(torch.float64, torch.device("cpu"))
    network = two_layer("relu", data, 2)
    assert network.feature_names == ("positive", "negative")
    # One neuron answers half the target on samples 1 and 3, the other the target on sample 2.
    neurons = torch.tensor([[3.0, 0.0, 4.0, -1.0, 0.5], [-1.0, 1.0, 0.0, 0.0, -1.0]])
    positive, negative = 0.5 * 25 / 29**0.5 / 2, 1 / 2
    torch.testing.assert_close(network.features(neurons), torch.tensor([positive, negative]))
    torch.testing.assert_close(network.neuron_feature_strengths(neurons),
                               torch.tensor([[positive, 0.0], [0.0, negative]]))


def test_polar_coordinates_differentiate_through_the_network() -> None:
    """Below the smallest float the Jacobian comes from forward-mode differentiation of these methods."""
    for network in (two_layer("rounded relu", gaussian_samples(), 2),
                    network_class(2, lambda p, x: p["a"] * torch.relu(p["w"] @ x))(gaussian_samples(), 2)):
        neurons = random_neurons(network)
        coordinates = PolarCoordinates(network, neurons, None, -2.0)
        y = coordinates.encode(neurons)
        jacobian = coordinates.jacobian(y)
        for column in range(len(y)):
            shift = torch.zeros_like(y)
            shift[column] = 1e-6
            forth, back = (coordinates.loss_and_velocity(y + sign * shift)[1] for sign in (1, -1))
            torch.testing.assert_close(jacobian[:, column], (forth - back) / 2e-6, rtol=1e-6, atol=1e-7)


# What is wrong with a neuron, and what the refusal says.
MISTAKES = {
    "a number in place of a vector": (lambda p, x: p["w"] @ x, r"shape \(\) where the data have 3 outputs"),
    "one output too few": (lambda p, x: p["a"][:2] * (p["w"] @ x), r"shape \(2,\) where the data have 3"),
    "a parameter that is not there": (lambda p, x: p["b"] * (p["w"] @ x), "KeyError: 'b'"),
    "shapes that do not fit": (lambda p, x: p["a"] @ x, "RuntimeError"),
    "a decision by value": (lambda p, x: p["a"] * (p["w"] @ x if p["w"] @ x > 0 else 0), "data-dependent control flow"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_neuron_is_named_in_one_line(name: str) -> None:
    neuron, message = MISTAKES[name]
    with pytest.raises(ConfigError, match=message) as caught:
        network_class(2, neuron)(gaussian_samples(), 1)
    assert str(caught.value).startswith("model.name=of_user is not allowed: its neuron ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dtype(dtype: torch.dtype) -> None:
    network = Bilinear(gaussian_samples(dtype=dtype), 2)
    neurons = network.initialize("balanced", 0.1, torch.Generator().manual_seed(0))
    for value in (neurons, *network.loss_and_gradient(neurons), network.hessian(neurons), network.features(neurons)):
        assert value.dtype == dtype
