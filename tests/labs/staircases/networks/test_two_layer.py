"""Two-layer networks: matrix products against the vectorized neuron, the rounded kink, and their flow."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_networks import ACTIVATIONS, CPU, gaussian_samples, random_neurons, two_layer
from scipy.integrate import solve_ivp
from torch import Tensor

from agfrun import AlternationOptions, SampleNetwork, Samples, train_by_gradient_descent, train_by_gradient_flow
from agfrun.labs.staircases.agf.alternation import Alternation
from agfrun.labs.staircases.networks.two_layer.activation import leaky_relu, relu
from agfrun.labs.staircases.networks.two_layer.hidden_layer import HiddenLayer
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer
from agfrun.labs.staircases.networks.two_layer.teacher_student import TeacherStudentConfig

ALL = pytest.mark.parametrize("name", ACTIVATIONS)
ROUNDED = [name for name in ACTIVATIONS if name.startswith("rounded")]


def teacher_student(seed: int = 1) -> Samples:
    config = TeacherStudentConfig(input_dimension=3, samples=60, teacher_width=2, data_seed=seed)
    return config.build(torch.float64, CPU)


def gaussian(network: TwoLayer, scale: float, seed: int) -> Tensor:
    return network.initialize("gaussian", scale, torch.Generator().manual_seed(seed))


@ALL
def test_matrix_products_agree_with_the_vectorized_neuron(name: str) -> None:
    network = two_layer(name, gaussian_samples(40, 6, 2), 4)
    neurons, residual = random_neurons(network), network.residual(random_neurons(network, 2, seed=5))
    pairs = [
        (network.output(neurons, network.data.inputs), network.answers(neurons, network.data.inputs).sum(0)),
        (network.utility_gradient(neurons, residual), SampleNetwork.utility_gradient(network, neurons, residual)),
        (network.loss_and_gradient(neurons)[1],
         SampleNetwork.loss_and_gradient_on(network, neurons, network.data.inputs, network.data.targets)[1]),
        (network.answer_sizes(neurons), SampleNetwork.answer_sizes(network, neurons)),
    ]
    for fast, generic in pairs:
        torch.testing.assert_close(fast, generic, rtol=1e-12, atol=1e-14)


@ALL
def test_permuting_neurons_permutes_everything(name: str) -> None:
    network = two_layer(name, gaussian_samples(), 3)
    neurons, order = random_neurons(network), torch.tensor([2, 0, 1])
    size = network.neuron_dimension
    places = (order[:, None] * size + torch.arange(size)).flatten()
    torch.testing.assert_close(network.residual(neurons[order]), network.residual(neurons))
    gradient = network.loss_and_gradient(neurons)[1]
    torch.testing.assert_close(network.loss_and_gradient(neurons[order])[1], gradient[order])
    torch.testing.assert_close(network.hessian(neurons[order]), network.hessian(neurons)[places][:, places])


@ALL
def test_rotating_inputs_and_weights_together_changes_nothing(name: str) -> None:
    data = gaussian_samples()
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(9)))[0]
    network = two_layer(name, data)
    rotated = two_layer(name, Samples(data.inputs @ rotation, data.targets, data.output_names))
    neurons = random_neurons(network)
    weights, outputs = network.split(neurons)
    torch.testing.assert_close(rotated.residual(torch.cat([weights @ rotation, outputs], 1)), network.residual(neurons))


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "relu"])
def test_gradient_flow_conserves_the_balance_of_every_neuron(name: str) -> None:
    """|w|^2 - degree |a|^2, because the answers are of this degree in w and of degree 1 in a."""
    network = two_layer(name, teacher_student(), 3)
    start = gaussian(network, 0.5, 0)
    final = train_by_gradient_flow(network, start, 2.0, tolerance=1e-8, convergence=0).final

    def balance(neurons: Tensor) -> Tensor:
        weights, outputs = network.split(neurons)
        return weights.square().sum(1) - network.activation.degree * outputs.square().sum(1)

    assert float((final - start).abs().max()) > 0.05
    torch.testing.assert_close(balance(final), balance(start), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ROUNDED)
@settings(max_examples=20, deadline=None)
@given(factor=st.floats(1e-6, 1e6), seed=st.integers(0, 1000))
def test_the_rounded_kink_is_homogeneous(name: str, factor: float, seed: int) -> None:
    network = two_layer(name, gaussian_samples(30))
    weights, inputs = random_neurons(network, seed=seed)[:, :4], network.data.inputs
    value = network.layer.value(weights, inputs @ weights.T)
    torch.testing.assert_close(network.layer.value(factor * weights, factor * inputs @ weights.T), factor * value)


@pytest.mark.parametrize("activation", [relu(), leaky_relu(0.2), leaky_relu(-1.0)], ids=str)
def test_the_kink_is_rounded_within_the_strip_only_and_twice_differentiable(activation: object) -> None:
    layer, sharp = HiddenLayer(activation, 0.3), HiddenLayer(activation)  # type: ignore[arg-type]
    weights = torch.tensor([[0.6, 0.8], [3.0, -4.0]])
    u = torch.linspace(-1, 1, 2001)[:, None] * torch.ones(2)
    z = u * weights.norm(dim=1)
    value, expected = layer.value(weights, z), sharp.value(weights, z)
    inside = (u > 0) & (u < 0.3)
    assert torch.equal(value[u <= 0], expected[u <= 0])
    torch.testing.assert_close(value[u >= 0.3], expected[u >= 0.3], rtol=1e-14, atol=1e-14)
    jump = activation.positive + activation.negative  # type: ignore[attr-defined]
    difference = ((value - expected) / weights.norm(dim=1))[inside].abs().max()
    assert 0.05 * 0.3 * jump < float(difference) < 0.2 * 0.3 * jump
    # The second difference is continuous at both ends of the strip: no jump beyond its slope times the grid.
    bend = torch.diff(value[:, 0], n=2) / 1e-6
    assert float(torch.diff(bend).abs().max()) < 1.0 * jump < 1 / 0.3 * jump


def test_without_rounding_the_slope_at_the_kink_is_the_left_one() -> None:
    data = Samples(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0]]), ("1",))
    neuron = torch.tensor([[0.0, 1.0, 2.0]])  # w . x = 0
    for kink_width in (0.0, 0.1):
        network = TwoLayer(data, 1, relu(), kink_width)
        assert torch.equal(network.utility_gradient(neuron, data.targets), torch.zeros(1, 3))


def test_a_unit_without_weights_is_zero_and_has_no_gradient_in_them() -> None:
    network = two_layer("rounded relu", gaussian_samples(), 2)
    neurons = random_neurons(network)
    neurons[0, :4] = 0
    assert float(network.answers(neurons, network.data.inputs)[0].abs().max()) == 0
    assert torch.isfinite(network.loss_and_gradient(neurons)[1]).all()
    assert torch.equal(network.features(torch.zeros_like(neurons)), torch.zeros(2))


def test_the_strip_is_relative_to_the_inputs() -> None:
    data = gaussian_samples(200, 8)
    scaled = Samples(100 * data.inputs, data.targets, data.output_names)
    small, large = TwoLayer(data, 1, relu(), 0.1), TwoLayer(scaled, 1, relu(), 0.1)
    assert small.layer.strip == pytest.approx(0.1, rel=0.1)
    assert large.layer.strip == pytest.approx(100 * small.layer.strip)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_unit_neuron_has_more_utility_than_the_bound(name: str) -> None:
    """Searched by ascent from many starts; for a linear activation the bound is the maximum."""
    network = two_layer(name, gaussian_samples(30, 3, 2), 1)
    residual = network.empty_residual()
    neurons = random_neurons(network, 50)
    for _ in range(600):
        neurons = neurons / neurons.norm(dim=1, keepdim=True)
        gradient = network.utility_gradient(neurons, residual)
        neurons = neurons + 0.3 * gradient / gradient.norm(dim=1, keepdim=True).clamp(min=1e-12)
    best = float(network.utility(neurons / neurons.norm(dim=1, keepdim=True), residual).max())
    bound = network.utility_bound(residual)
    assert 0 < best <= bound * (1 + 1e-12)
    if name == "linear":
        assert best == pytest.approx(bound, rel=1e-2)


def relu_flow(data: Samples, neurons: Tensor, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and neurons (T, H, D) of the flow of the unrounded network, written for SciPy."""
    x, y, (width, size) = data.inputs.numpy(), data.targets.numpy(), neurons.shape
    d = x.shape[1]

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        weights, outputs = flat.reshape(width, size)[:, :d], flat.reshape(width, size)[:, d:]
        z = x @ weights.T
        errors = (y - np.maximum(z, 0) @ outputs) / len(x)
        return np.concatenate([((z > 0) * (errors @ outputs.T)).T @ x, np.maximum(z, 0).T @ errors], 1).ravel()

    solution = solve_ivp(velocity, (0, horizon), neurons.numpy().ravel(), rtol=1e-6, atol=1e-9)
    assert solution.success
    return solution.t, solution.y.T.reshape(-1, width, size)


def test_the_rounded_flow_is_that_of_relu() -> None:
    """Against SciPy and against gradient descent, both with the kink as it is."""
    data = teacher_student()
    rounded, sharp = TwoLayer(data, 3, relu(), 1e-2), TwoLayer(data, 3, relu())
    start = gaussian(rounded, 1e-3, 1)
    flow = train_by_gradient_flow(rounded, start, 60.0, convergence=0)
    times, states = relu_flow(data, start, 60.0)
    loss = [float(sharp.loss(sharp.residual(torch.tensor(state)))) for state in states]
    initial = flow.trajectory.loss[0]
    assert loss[-1] < 0.2 * initial
    np.testing.assert_allclose(np.interp(times, flow.trajectory.times, flow.trajectory.loss), loss, rtol=0,
                               atol=1e-3 * initial)
    np.testing.assert_allclose(flow.final.numpy(), states[-1], rtol=0, atol=5e-3)
    descent = train_by_gradient_descent(sharp, start, 3000, learning_rate=0.02, loss_normalization="paper",
                                        convergence=0)
    assert descent.trajectory.loss[-1] == pytest.approx(loss[-1], rel=1e-3)
    np.testing.assert_allclose(descent.final.numpy(), states[-1], rtol=0, atol=5e-3)


def test_agf_does_not_depend_on_the_width_of_the_strip() -> None:
    times = []
    for kink_width in (1e-2, 2.5e-3):
        network = TwoLayer(teacher_student(), 2, relu(), kink_width)
        options = AlternationOptions(tolerance=1e-6, max_events=1)
        times.append(Alternation(network, gaussian(network, 1e-4, 0), options).predict().rounds[0].time)
    assert times[0] == pytest.approx(times[1], rel=3e-4)


def dead_network(kink_width: float = 1e-2) -> tuple[TwoLayer, Tensor]:
    """Two ReLU neurons that are negative on every sample."""
    inputs = torch.rand(20, 2, generator=torch.Generator().manual_seed(0)) + 0.1
    network = TwoLayer(Samples(inputs, inputs.sum(1, keepdim=True), ("1",)), 2, relu(), kink_width)
    return network, 1e-4 * torch.tensor([[-1.0, -0.5, 1.0], [-0.2, -1.0, 0.7]])


@pytest.mark.parametrize("kink_width", [0.0, 1e-2])
@pytest.mark.parametrize("cost_phase", ["instantaneous", "decoupled"])
def test_dead_neurons_end_the_prediction_with_a_reason(kink_width: float, cost_phase: str) -> None:
    network, neurons = dead_network(kink_width)
    prediction = Alternation(network, neurons, AlternationOptions(cost_phase=cost_phase)).predict()
    assert prediction.rounds == ()
    assert not prediction.complete
    assert prediction.reason.startswith("no dormant neuron activates before time")
    torch.testing.assert_close(prediction.final, neurons, rtol=1e-12, atol=0)
    training = train_by_gradient_flow(network, neurons, 1e4)
    torch.testing.assert_close(training.final, neurons, rtol=1e-12, atol=0)


def test_a_dead_neuron_does_not_hold_up_a_living_one() -> None:
    network, neurons = dead_network()
    neurons[1] = -neurons[1].abs()
    neurons[1, :2] *= -1  # alive, with an output weight of the wrong sign
    neurons[1, 2] = 1e-5
    prediction = Alternation(network, neurons, AlternationOptions()).predict()
    assert [stage.neuron for stage in prediction.rounds] == [1]
    assert prediction.rounds[0].loss < 0.01 * prediction.trajectory.loss[0]
    assert prediction.reason


@pytest.mark.slow
def test_digits_activate_when_agf_says() -> None:
    """The unrounded network by gradient descent, from 1e-20: activation within 1% of AGF of the rounded one."""
    from agfrun.labs.staircases.networks.two_layer.digits import DigitsConfig

    data = DigitsConfig().build(torch.float64, CPU)
    rounded, sharp = TwoLayer(data, 1, relu(), 1e-2), TwoLayer(data, 1, relu())
    start = gaussian(rounded, 1e-20, 0)
    predicted = Alternation(rounded, start, AlternationOptions(tolerance=1e-6)).predict().rounds[0].time
    path = train_by_gradient_descent(sharp, start, math.ceil(5.5 * predicted), learning_rate=0.2,
                                     loss_normalization="paper", convergence=0, max_rows=20000).trajectory
    crossed = int(np.argmax(path.neuron_norms[:, 0] >= 1))
    assert path.times[crossed] == pytest.approx(predicted, rel=1e-2)
