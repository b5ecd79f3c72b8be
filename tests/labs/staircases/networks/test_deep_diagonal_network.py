"""Diagonal networks of any depth, with signs and without, against autograd and SciPy's integrators."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import CPU
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from torch import Tensor

from agfrun import ConfigError, train_by_gradient_flow
from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates
from agfrun.labs.staircases.networks.diagonal_linear.coordinates import (
    CurveCoordinates,
    HyperbolicCoordinates,
    PowerCoordinates,
    products_without_one,
    products_without_two,
)
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression, random_regression, sparse_regression
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear, DiagonalLinearConfig

NETWORKS = [(2, True), (3, True), (4, True), (6, True), (2, False), (3, False), (5, False)]
ALL = pytest.mark.parametrize(("depth", "signed"), NETWORKS)


def tall() -> Regression:
    return random_regression(4, 12, 3, torch.float64, CPU)


def wide() -> Regression:
    return sparse_regression(6, 4, 2, 0.1, 0.5, 0, torch.float64, CPU)


def neurons_of(architecture: DiagonalLinear, scale: float = 1.0, count: int | None = None, seed: int = 0) -> Tensor:
    shape = (count or architecture.width, architecture.neuron_dimension)
    drawn = scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return drawn if architecture.signed else drawn.abs()


def explicit_loss(architecture: DiagonalLinear, neurons: Tensor, index: Tensor | None = None) -> Tensor:
    """Written out: the layers one after the other, applied to every sample."""
    inputs = architecture.data.inputs if index is None else architecture.data.inputs[:, index]
    hidden = inputs
    for layer in range(architecture.depth):
        hidden = hidden * neurons[:, layer if architecture.signed else 0]
    return 0.5 * (architecture.data.targets - hidden.sum(1)).square().mean()


@ALL
@pytest.mark.parametrize("index", [None, [2, 0]])
@pytest.mark.parametrize("data", [tall(), wide()], ids=["tall", "wide"])
def test_loss_gradient_and_hessian(data: Regression, index: list[int] | None, depth: int, signed: bool) -> None:
    architecture = DiagonalLinear(data, depth, signed)
    chosen = None if index is None else torch.tensor(index)
    neurons = neurons_of(architecture, count=None if index is None else len(index)).requires_grad_()
    expected = explicit_loss(architecture, neurons, chosen)
    loss, gradient = architecture.loss_and_gradient(neurons.detach(), chosen)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, neurons)[0], rtol=1e-10, atol=1e-10)
    hessian = torch.autograd.functional.hessian(
        lambda flat: explicit_loss(architecture, flat.view_as(neurons), chosen), neurons.detach().reshape(-1))
    torch.testing.assert_close(architecture.hessian(neurons.detach(), chosen), hessian, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_products_without_division(layers: int) -> None:
    factors = torch.randn(3, layers, generator=torch.Generator().manual_seed(0))
    factors[0, 0] = 0.0  # a factor of zero must not spoil the others
    for row, one, two in zip(factors, products_without_one(factors), products_without_two(factors), strict=True):
        for i in range(layers):
            rest = torch.cat([row[:i], row[i + 1 :]])
            torch.testing.assert_close(one[i], rest.prod())
            for j in range(layers):
                expected = 0.0 if i == j else float(row[[k for k in range(layers) if k not in (i, j)]].prod())
                assert float(two[i, j]) == pytest.approx(expected)


@ALL
def test_sampled_gradient_is_unbiased(depth: int, signed: bool) -> None:
    architecture = DiagonalLinear(tall(), depth, signed)
    neurons, generator = neurons_of(architecture), torch.Generator().manual_seed(1)
    samples = torch.stack([architecture.sampled_gradient(neurons, 4, generator) for _ in range(1500)])
    scores = (samples.mean(0) - architecture.loss_and_gradient(neurons)[1]) / (samples.std(0) / 1500**0.5)
    assert float(scores.abs().max()) < 4


@ALL
def test_degree_and_features(depth: int, signed: bool) -> None:
    architecture = DiagonalLinear(tall(), depth, signed)
    neurons = neurons_of(architecture)
    residual = architecture.empty_residual()
    torch.testing.assert_close(architecture.utility(1.7 * neurons, residual),
                               1.7**depth * architecture.utility(neurons, residual), rtol=1e-12, atol=0)
    batch = torch.stack([neurons, 2 * neurons])
    torch.testing.assert_close(architecture.features(batch)[1], 2**depth * architecture.features(neurons))
    assert architecture.homogeneity_degree == depth
    assert architecture.neuron_feature_strengths(batch).argmax(-1).tolist() == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_maximal_utility(depth: int) -> None:
    """All layers of one magnitude: |g| L^(-L/2), and no random direction does better."""
    architecture = DiagonalLinear(tall(), depth)
    residual = architecture.empty_residual()
    best = torch.ones(4, depth) / depth**0.5
    best[:, 0] *= residual.drives.sign()
    expected = residual.drives.abs() * depth ** (-depth / 2)
    torch.testing.assert_close(architecture.utility(best, residual), expected, rtol=1e-12, atol=0)
    directions = torch.nn.functional.normalize(torch.randn(5000, 4, depth, generator=torch.Generator().manual_seed(0)),
                                               dim=-1)
    utilities = torch.stack([architecture.utility(direction, residual) for direction in directions])
    assert bool((utilities <= expected * (1 + 1e-12)).all())


# ---- Initializations


@pytest.mark.parametrize("kind", ["deterministic", "balanced", "gaussian"])
@ALL
def test_initializations_have_norm_root_two_times_the_scale(depth: int, signed: bool, kind: str) -> None:
    architecture = DiagonalLinear(Regression(torch.ones(1, 2000), torch.ones(1)), depth, signed)
    neurons = architecture.initialize(kind, 1e-3, torch.Generator().manual_seed(0))
    assert neurons.shape == (2000, depth if signed else 1)
    squares = neurons.square().sum(1)
    if kind == "gaussian":
        assert float(squares.mean()) == pytest.approx(2e-6, rel=0.2)
    else:
        torch.testing.assert_close(squares, torch.full((2000,), 2e-6), rtol=1e-12, atol=0)
    assert signed or bool((neurons > 0).all())


def test_deterministic_layers_give_both_signs_the_same_distance() -> None:
    architecture = DiagonalLinear(tall(), 4)
    neurons = architecture.initialize("deterministic", 1e-2, torch.Generator())
    assert bool((neurons[:, -1] == 0).all())
    assert bool((neurons[:, :-1] == neurons[0, 0]).all())
    lower, upper = architecture.curves(neurons).ends(1.0)
    np.testing.assert_allclose(-lower, upper, rtol=1e-12)


def test_balanced_layers_share_their_magnitude_and_draw_all_signs() -> None:
    architecture = DiagonalLinear(Regression(torch.ones(1, 500), torch.ones(1)), 3)
    neurons = architecture.initialize("balanced", 1e-2, torch.Generator().manual_seed(0))
    assert float(neurons.abs().max() - neurons.abs().min()) < 1e-17
    assert len({tuple(row) for row in neurons.sign().tolist()}) == 8


@pytest.mark.parametrize("depth", [1, 21])
def test_depths_out_of_range_are_refused(depth: int) -> None:
    with pytest.raises(ConfigError, match=r"model.depth=.* must be an integer from 2 to 20"):
        DiagonalLinearConfig(depth=depth).check()


def test_configuration_builds_what_it_says() -> None:
    network = DiagonalLinearConfig(depth=3, signed=False).build(tall())
    assert (network.depth, network.signed, network.neuron_dimension) == (3, False, 1)


def test_lasso_path_is_kept_for_the_figures() -> None:
    for signed in (True, False):
        arrays = DiagonalLinear(wide(), 2, signed).data_arrays()
        assert arrays["lasso/lambda"].shape[0] == arrays["lasso/coefficients"].shape[0]
        assert arrays["lasso/coefficients"].shape[1] == 6
        assert signed or bool((arrays["lasso/coefficients"] >= 0).all())


# ---- Coordinates of the flow


def coordinates_of(depth: int, signed: bool, scale: float) -> tuple[DiagonalLinear, CurveCoordinates, Tensor]:
    """Coordinates built from small neurons, and a point where some have grown, some shrunk or changed sign."""
    architecture = DiagonalLinear(tall(), depth, signed)
    coordinates = architecture.flow_coordinates(neurons_of(architecture, scale))
    growth = -math.log(scale) * torch.tensor([1.0, -1.0 if signed else -0.1, 0.5, 0.0])
    return architecture, coordinates, growth + 0.1 * torch.tensor([1.0, 2.0, -1.0, 0.3])


@ALL
@pytest.mark.parametrize("scale", [1e-1, 1e-3, 1e-9])
def test_velocity_and_jacobian_of_the_coordinates(depth: int, signed: bool, scale: float) -> None:
    architecture, coordinates, y = coordinates_of(depth, signed, scale)
    assert isinstance(coordinates, HyperbolicCoordinates if signed else PowerCoordinates)
    neurons = coordinates.decode(y)
    torch.testing.assert_close(coordinates.encode(neurons), y, rtol=1e-9, atol=1e-9)
    loss, velocity = coordinates.loss_and_velocity(y)
    moving = torch.func.jvp(coordinates.decode, (y,), (velocity,))[1]
    expected = -architecture.loss_and_gradient(neurons)[1]
    for measured, wanted in zip(moving, expected, strict=True):
        assert float((measured - wanted).norm()) <= 1e-9 * float(wanted.norm())
    torch.testing.assert_close(loss, explicit_loss(architecture, neurons), rtol=1e-12, atol=1e-12)
    automatic = torch.func.jacfwd(lambda point: coordinates.loss_and_velocity(point)[1])(y)
    torch.testing.assert_close(coordinates.jacobian(y), automatic, rtol=1e-9, atol=1e-9 * float(automatic.abs().max()))


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(2, 6), seed=st.integers(0, 10**6), exponent=st.floats(-30, 0), travel=st.floats(-1, 1))
def test_coordinates_stay_on_the_conserved_curves(depth: int, seed: int, exponent: float, travel: float) -> None:
    architecture = DiagonalLinear(tall(), depth)
    neurons = neurons_of(architecture, 10**exponent, seed=seed)
    coordinates = architecture.flow_coordinates(neurons)
    torch.testing.assert_close(coordinates.decode(torch.zeros(4)), neurons, rtol=1e-12, atol=1e-14 * 10**exponent)
    moved = coordinates.decode(torch.full((4,), -travel * 2.3 * exponent))
    drift = (moved.square() - moved[:, :1].square()) - (neurons.square() - neurons[:, :1].square())
    assert bool((drift.abs() <= 1e-13 * moved.square().sum(1, keepdim=True)).all())


@pytest.mark.parametrize("depth", [3, 5])
def test_neurons_that_can_or_cannot_move(depth: int) -> None:
    """One layer zero: it moves. Two layers zero: at rest for ever, and no number is spoilt."""
    architecture = DiagonalLinear(tall(), depth)
    neurons = neurons_of(architecture, 0.1)
    neurons[0, 1] = neurons[1, 0] = neurons[1, 2] = 0.0
    coordinates = architecture.flow_coordinates(neurons)
    assert torch.equal(coordinates.encode(neurons), torch.zeros(4))
    y = torch.tensor([1.5, 2.0, -1.0, 0.5])
    torch.testing.assert_close(coordinates.decode(y)[1], neurons[1], rtol=1e-12, atol=0)
    assert bool(coordinates.loss_and_velocity(y)[1].isfinite().all())
    assert bool(coordinates.jacobian(y).isfinite().all())


@pytest.mark.parametrize("signed", [True, False])
def test_neurons_below_the_smallest_float(signed: bool) -> None:
    """The same flow with the scale carried apart, down to 1e-400, where the parameters are zero in floats."""
    architecture = DiagonalLinear(tall(), 2, signed)
    neurons = neurons_of(architecture)
    apart = architecture.flow_coordinates(neurons, None, math.log(1e-5))
    together = architecture.flow_coordinates(1e-5 * neurons)
    y = torch.tensor([3.0, -2.0, 11.0, 0.0])
    torch.testing.assert_close(apart.decode(y), together.decode(y), rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(apart.loss_and_velocity(y)[1], together.loss_and_velocity(y)[1])
    unit, log_factors = apart.scaled(y)
    assert log_factors is not None
    torch.testing.assert_close(unit * log_factors.exp()[:, None], apart.decode(y), rtol=1e-12, atol=1e-14)
    tiny = architecture.flow_coordinates(neurons, None, -400 * math.log(10))
    unit, log_factors = tiny.scaled(y)
    assert log_factors is not None
    assert bool(((unit.norm(dim=1).log() + log_factors) < -400).all())
    assert bool(unit.isfinite().all())
    grown = torch.full((4,), 400 * math.log(10))
    assert float(tiny.decode(grown).norm(dim=1).min()) > 0.01


@pytest.mark.parametrize(("depth", "signed"), [(3, True), (4, True), (2, False), (3, False)])
def test_gradient_flow_against_scipy(depth: int, signed: bool) -> None:
    """Parameters integrated by SciPy; a neuron changes the sign of its coefficient on the way."""
    architecture = DiagonalLinear(tall(), depth, signed)
    inputs, targets = architecture.data.inputs.numpy(), architecture.data.targets.numpy()
    initial = neurons_of(architecture, 0.4, seed=3)

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        layers = flat.reshape(initial.shape)
        if not signed:
            layers = np.repeat(layers, depth, axis=1)
        drives = inputs.T @ (targets - inputs @ layers.prod(1)) / len(targets)
        gradient = np.stack([np.delete(layers, i, axis=1).prod(1) for i in range(depth)], axis=1) * drives[:, None]
        return (gradient if signed else gradient.sum(1, keepdims=True)).ravel()

    horizon = 3.0
    expected = solve_ivp(velocity, (0, horizon), initial.numpy().ravel(), method="LSODA", rtol=1e-11, atol=1e-13)
    found = train_by_gradient_flow(architecture, initial, horizon, tolerance=1e-8, convergence=0)
    np.testing.assert_allclose(found.final.numpy().ravel(), expected.y[:, -1], rtol=1e-5, atol=1e-7)
    changed = initial.prod(1).sign() != found.final.prod(1).sign()
    assert bool(changed.any()) == signed


def test_euclidean_and_curve_coordinates_give_one_path() -> None:
    class Plain(DiagonalLinear):
        def flow_coordinates(self, neurons: Tensor, index: Tensor | None = None, log_factor: float = 0.0) -> object:  # type: ignore[override]
            return EuclideanCoordinates(self, neurons, index)

    initial = neurons_of(DiagonalLinear(tall(), 3), 0.05)
    ours, plain = (train_by_gradient_flow(network, initial, 15.0, tolerance=1e-7, convergence=0)
                   for network in (DiagonalLinear(tall(), 3), Plain(tall(), 3)))
    np.testing.assert_allclose(ours.final.prod(1), plain.final.prod(1), rtol=1e-4, atol=1e-5)
