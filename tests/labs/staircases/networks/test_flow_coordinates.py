"""Coordinates of the flow: round trips, velocities against the parameters' gradient, Jacobians."""

from __future__ import annotations

import pytest
import torch
from explicit_networks import ExplicitNetwork, networks, regression_2d, regression_5d, small_modadd
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates, FlowCoordinates, relative_error_of_neurons
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear, HyperbolicCoordinates
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

ALL = pytest.mark.parametrize("network", networks(), ids=lambda network: network.name)
SCALES = pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-12])


def relative_distance(measured: Tensor, expected: Tensor) -> float:
    return float((measured - expected).abs().max() / expected.abs().max())


def velocity_of_neurons(coordinates: FlowCoordinates, y: Tensor) -> Tensor:
    """d neurons / dt that follows from the coordinates' velocity."""
    velocity = coordinates.loss_and_velocity(y)[1]
    return torch.func.jvp(coordinates.decode, (y,), (velocity,))[1]


def finite_difference_jacobian(coordinates: FlowCoordinates, y: Tensor, step: float) -> Tensor:
    columns = []
    for i in range(y.numel()):
        shift = torch.zeros_like(y)
        shift[i] = step
        forth, back = (coordinates.loss_and_velocity(y + sign * shift)[1] for sign in (1, -1))
        columns.append((forth - back) / (2 * step))
    return torch.stack(columns, dim=1)


def moved(network: ExplicitNetwork, reference: Tensor, scale: float) -> tuple[FlowCoordinates, Tensor]:
    """Coordinates built from `reference`, and a point away from it where some neurons have grown."""
    coordinates = network.architecture.flow_coordinates(reference)
    y = coordinates.encode(reference)
    generator = torch.Generator().manual_seed(9)
    if isinstance(coordinates, HyperbolicCoordinates):
        growth = -torch.log(torch.tensor(scale)) * torch.tensor([1.0, -1.0, 0.0, 0.5, -0.5, 1.0])[: y.numel()]
        return coordinates, growth + 0.3 * torch.randn(y.shape, generator=generator)
    return coordinates, y + scale * torch.randn(y.shape, generator=generator)


def test_each_architecture_has_its_coordinates() -> None:
    modadd, regression = small_modadd(), regression_5d()
    assert isinstance(modadd.architecture.flow_coordinates(modadd.random_neurons()), TemplateCoordinates)
    assert isinstance(regression.architecture.flow_coordinates(regression.random_neurons()), HyperbolicCoordinates)


@ALL
@SCALES
def test_round_trip_of_the_reference(network: ExplicitNetwork, scale: float) -> None:
    neurons = network.random_neurons(scale=scale)
    coordinates = network.architecture.flow_coordinates(neurons)
    assert relative_distance(coordinates.decode(coordinates.encode(neurons)), neurons) < 1e-14


@ALL
@SCALES
def test_round_trip_of_coordinates(network: ExplicitNetwork, scale: float) -> None:
    coordinates, y = moved(network, network.random_neurons(scale=scale), scale)
    assert relative_distance(coordinates.encode(coordinates.decode(y)), y) < 1e-12


@ALL
@SCALES
def test_velocity_is_minus_the_gradient_of_the_parameters(network: ExplicitNetwork, scale: float) -> None:
    coordinates, y = moved(network, network.random_neurons(scale=scale), scale)
    neurons = coordinates.decode(y)
    loss, velocity = coordinates.loss_and_velocity(y)
    expected = -network.gradient(neurons)
    assert velocity.shape == y.shape
    assert float(loss) == pytest.approx(float(network.loss(neurons)), rel=1e-12)
    # Neuron by neuron, so that a dormant neuron's velocity counts beside an active one's.
    for measured, wanted in zip(velocity_of_neurons(coordinates, y), expected, strict=True):
        assert float((measured - wanted).norm()) <= 1e-10 * float(wanted.norm())


@ALL
@SCALES
def test_jacobian_against_autograd(network: ExplicitNetwork, scale: float) -> None:
    coordinates, y = moved(network, network.random_neurons(scale=scale), scale)
    def velocity(point: Tensor) -> Tensor:
        if isinstance(coordinates, TemplateCoordinates):  # whose own kernel is not torch's
            return -coordinates.moments_loss.loss_and_gradient(point.view(coordinates.count, -1))[1].reshape(-1)
        return coordinates.loss_and_velocity(point)[1]

    automatic = torch.func.jacfwd(velocity)(y)
    jacobian = coordinates.jacobian(y)
    assert relative_distance(jacobian, automatic) < 1e-12
    if coordinates.symmetric:
        assert relative_distance(jacobian.T, jacobian) < 1e-13


@ALL
@pytest.mark.parametrize("scale", [1e-2, 1e-12])
def test_jacobian_against_finite_differences(network: ExplicitNetwork, scale: float) -> None:
    coordinates, y = moved(network, network.random_neurons(scale=scale), scale)
    step = 1e-5 if isinstance(coordinates, HyperbolicCoordinates) else 1e-5 * scale
    assert relative_distance(coordinates.jacobian(y), finite_difference_jacobian(coordinates, y, step)) < 1e-7


@pytest.mark.parametrize(("width", "unknowns"), [
    (4, 2 * 6 + 6 + 4), (13, 2 * 6 + 6 + 13), (14, 2 * 6 + 20), (30, 2 * 6 + 20)])
def test_template_coordinates_are_an_isometry_of_what_moves(width: int, unknowns: int) -> None:
    """3p = 60 numbers of a neuron shrink to 2 * 6 and as many as the output weights can span, 20 at most."""
    network = small_modadd(20, (1, 3, 5), (10.0, 5.0, 2.5), width=width)
    neurons = network.random_neurons()
    coordinates = network.architecture.flow_coordinates(neurons)
    y = coordinates.encode(neurons)
    assert y.shape == (width * unknowns,)
    moving = neurons - coordinates.decode(torch.zeros_like(y))
    torch.testing.assert_close(y.square().sum(), moving.square().sum(), rtol=1e-13, atol=0)
    # Nothing of the gradient, here or further along, lies outside.
    frozen = coordinates.decode(torch.zeros_like(y))
    for state in (neurons, coordinates.decode(y * torch.linspace(0.5, 1.5, len(y)))):
        gradient = network.gradient(state)
        assert relative_distance(coordinates.decode(coordinates.encode(gradient)) - frozen, gradient) < 1e-12


def test_template_coordinates_drop_output_weights_that_have_decayed() -> None:
    """Neurons on one frequency whose weights hold 1e-9 of anything else move in 2 * 6 + 6 dimensions each."""
    network = small_modadd(20, (1, 3, 5), (10.0, 5.0, 2.5), width=4)
    neurons = network.random_neurons()
    coordinates = network.architecture.flow_coordinates(neurons)
    assert isinstance(coordinates, TemplateCoordinates)
    inside = neurons[:, 40:] @ coordinates.inputs @ coordinates.inputs.T
    neurons[:, 40:] = inside + 1e-9 * (neurons[:, 40:] - inside)
    smaller = network.architecture.flow_coordinates(neurons)
    y = smaller.encode(neurons)
    assert y.shape == (4 * 18,)
    assert relative_distance(smaller.decode(y), neurons) < 1e-14
    loss, velocity = smaller.loss_and_velocity(y)
    assert float(loss) == pytest.approx(float(network.loss(neurons)), rel=1e-14)
    assert relative_distance(velocity_of_neurons(smaller, y), -network.gradient(neurons)) < 1e-8


@pytest.mark.parametrize(("p", "frequencies", "rank"), [(6, (1, 3), 3), (8, (4,), 1), (7, (1, 2, 3), 6), (2, (1,), 1)])
def test_template_coordinates_count_signed_frequencies(p: int, frequencies: tuple[int, ...], rank: int) -> None:
    network = small_modadd(p, frequencies, (5.0, 3.0, 2.0)[: len(frequencies)], width=2)
    assert isinstance(network.architecture, QuadraticModadd)
    coordinates = network.architecture.flow_coordinates(network.random_neurons())
    assert isinstance(coordinates, TemplateCoordinates)
    assert coordinates.rank == rank
    torch.testing.assert_close(coordinates.inputs.T @ coordinates.inputs, torch.eye(rank), rtol=0, atol=1e-13)
    shifts = network.architecture.circulant
    torch.testing.assert_close(coordinates.inputs @ (coordinates.inputs.T @ shifts), shifts, rtol=0, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), exponent=st.floats(-100, 0), travel=st.floats(-1, 1))
def test_hyperbolic_coordinates_stay_on_the_hyperbola(seed: int, exponent: float, travel: float) -> None:
    """u + v and u - v keep full relative accuracy even where u and v differ in the last digit only."""
    network, scale = regression_5d(), 10.0**exponent
    neurons = network.random_neurons(seed=seed, scale=scale)
    coordinates = network.architecture.flow_coordinates(neurons)
    y = torch.full((5,), -travel * 2.302585 * exponent)
    decoded = coordinates.decode(y)
    torch.testing.assert_close(coordinates.encode(decoded), y, rtol=1e-12, atol=1e-12)
    conserved = neurons[:, 0].square() - neurons[:, 1].square()
    drift = decoded[:, 0].square() - decoded[:, 1].square() - conserved
    assert bool((drift.abs() <= 1e-14 * decoded.square().sum(1)).all())


@pytest.mark.parametrize("kind", ["deterministic", "balanced"])
def test_hyperbolic_coordinates_of_special_initializations(kind: str) -> None:
    """Balanced neurons start with u = v or u = -v, where one branch of the hyperbola vanishes."""
    network = regression_5d()
    for seed in range(6):
        neurons = network.architecture.initialize(kind, 1e-8, torch.Generator().manual_seed(seed))
        coordinates = network.architecture.flow_coordinates(neurons)
        y = torch.tensor([0.0, 3.0, -3.0, 10.0, -10.0])
        decoded = coordinates.decode(y)
        torch.testing.assert_close(coordinates.encode(neurons), torch.zeros(5), rtol=0, atol=0)
        torch.testing.assert_close(coordinates.encode(decoded), y, rtol=1e-13, atol=0)
        expected = -network.gradient(decoded)
        torch.testing.assert_close(velocity_of_neurons(coordinates, y), expected, rtol=1e-12, atol=1e-24)


def test_hyperbolic_coordinates_of_a_neuron_that_has_decayed_to_nothing() -> None:
    """A balanced neuron driven the wrong way for ever: e^q overflows, its vanishing branch stays zero."""
    network = regression_2d()
    neurons = 1e-6 * torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    coordinates = network.architecture.flow_coordinates(neurons)
    y = torch.tensor([800.0, -800.0])
    assert torch.equal(coordinates.decode(y), torch.zeros(2, 2))
    loss, velocity = coordinates.loss_and_velocity(y)
    assert float(loss) == pytest.approx(float(0.5 * network.targets.square().mean()))
    assert bool(velocity.isfinite().all())
    assert torch.equal(coordinates.jacobian(y).abs(), torch.zeros(2, 2))


@pytest.mark.parametrize("index", [[2], [3, 0], [4, 2, 1]])
def test_hyperbolic_coordinates_of_a_subset(index: list[int]) -> None:
    network, chosen = regression_5d(), torch.tensor(index)
    neurons = network.random_neurons(len(index))
    assert isinstance(network.architecture, DiagonalLinear)
    coordinates = network.architecture.flow_coordinates(neurons, chosen)
    y = torch.linspace(-1, 1, len(index))
    decoded = coordinates.decode(y)
    torch.testing.assert_close(velocity_of_neurons(coordinates, y), -network.gradient(decoded, chosen))
    torch.testing.assert_close(coordinates.loss_and_velocity(y)[0], network.loss(decoded, chosen))
    def velocity(point: Tensor) -> Tensor:
        if isinstance(coordinates, TemplateCoordinates):  # whose own kernel is not torch's
            return -coordinates.moments_loss.loss_and_gradient(point.view(coordinates.count, -1))[1].reshape(-1)
        return coordinates.loss_and_velocity(point)[1]

    automatic = torch.func.jacfwd(velocity)(y)
    torch.testing.assert_close(coordinates.jacobian(y), automatic)


@ALL
def test_euclidean_coordinates_are_the_parameters(network: ExplicitNetwork) -> None:
    neurons = network.random_neurons()
    coordinates = EuclideanCoordinates(network.architecture, neurons, None)
    y = coordinates.encode(neurons)
    assert torch.equal(coordinates.decode(y), neurons)
    loss, velocity = coordinates.loss_and_velocity(y)
    torch.testing.assert_close(velocity.view_as(neurons), -network.gradient(neurons), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(loss, network.loss(neurons))
    assert relative_distance(coordinates.jacobian(y), -network.hessian(neurons)) < 1e-11


def test_relative_error_weighs_each_neuron_by_its_own_norm() -> None:
    y = torch.tensor([[3.0, 4.0], [3e-9, 4e-9]])
    y_new = torch.tensor([[6.0, 8.0], [0.0, 1e-9]])
    error = torch.tensor([[0.0, 1.0], [5e-10, 0.0]])
    # 1 / 10 and 5e-10 / 5e-9: both 0.1.
    assert float(relative_error_of_neurons(error.view(-1), y.view(-1), y_new.view(-1), 2)) == pytest.approx(0.1)
    tiny = error * torch.tensor([[0.0], [1.0]])
    expected = 0.1 / 2**0.5
    assert float(relative_error_of_neurons(tiny.view(-1), y.view(-1), y_new.view(-1), 2)) == pytest.approx(expected)


@ALL
@pytest.mark.parametrize("factor", [1e-3, 1e-10])
def test_relative_error_does_not_know_the_scale(network: ExplicitNetwork, factor: float) -> None:
    """No absolute tolerance: neurons and errors scaled together are judged alike."""
    neurons = network.random_neurons()
    coordinates = EuclideanCoordinates(network.architecture, neurons, None)
    y, error = neurons.view(-1), network.random_neurons(seed=1).view(-1)
    full = coordinates.relative_error(error, y, y)
    torch.testing.assert_close(coordinates.relative_error(factor * error, factor * y, factor * y), full)


def test_error_in_a_log_coordinate_is_the_relative_error_of_the_norm() -> None:
    network = regression_5d()
    coordinates = network.architecture.flow_coordinates(network.random_neurons(scale=1e-9))
    y, error = torch.full((5,), 12.0), torch.full((5,), 1e-6)
    before, after = coordinates.decode(y).norm(dim=1), coordinates.decode(y + error).norm(dim=1)
    measured = float(((after - before) / before).square().mean().sqrt())
    assert float(coordinates.relative_error(error, y, y)) == pytest.approx(measured, rel=1e-5)
