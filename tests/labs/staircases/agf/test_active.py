from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import ExplicitNetwork, modadd_network, regression_2d, regression_5d, small_modadd
from scipy.optimize import lsq_linear
from torch import Tensor

from agfrun.labs.staircases.agf import modes
from agfrun.labs.staircases.agf.active import CostRules, CriticalPoint, minimize_cost
from agfrun.labs.staircases.agf.rest import IN_A_VALLEY, _flattens
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.quadratic_modadd.data import modular_addition


def minimize(network: ExplicitNetwork, neurons: Tensor, index: list[int] | None = None, *, tolerance: float = 1e-8,
             collapse: float = 1e-3) -> CriticalPoint:
    where = torch.arange(len(neurons)) if index is None else torch.tensor(index)
    initial_loss = float(network.architecture.loss(network.architecture.empty_residual()))
    return minimize_cost(network.architecture, neurons, where, torch.full((len(where),), collapse), math.inf,
                         rules(initial_loss, tolerance), IntegrationStatistics())


def rules(initial_loss: float, tolerance: float) -> CostRules:
    """Without dormant neurons that would activate."""
    return CostRules(initial_loss, tolerance, 1e-6, lambda active, index: math.inf)


def loss_of(network: ExplicitNetwork, neurons: Tensor) -> float:
    return float(network.loss(neurons))


def unit(network: ExplicitNetwork, width: int, seed: int = 0) -> Tensor:
    neurons = network.random_neurons(width, seed=seed)
    return neurons / torch.linalg.vector_norm(neurons, dim=1, keepdim=True)


def solving_neurons(p: int = 5, amplitude: float = 3.0) -> tuple[ExplicitNetwork, Tensor]:
    """A network of eight neurons near a zero of the loss: two more than it takes."""
    data = modular_addition(p, [1], [amplitude], torch.float64, torch.device("cpu"))
    position, size = 2 * torch.pi * torch.arange(p) / p, (2 / (3 * p * amplitude)) ** (1 / 3)
    rows = [torch.cat([size * torch.cos(position + torch.pi / 3 * i * turn) for turn in (1, 4, 5)]) for i in range(6)]
    network = modadd_network(data, 8)
    return network, torch.cat([torch.stack(rows), 0.1 * unit(network, 2)]) + 0.05 * network.random_neurons(8, seed=3)


# ---- Where a minimum exists


def test_ends_at_a_critical_point_of_the_explicit_loss() -> None:
    network, start = solving_neurons()
    point = minimize(network, start, collapse=1e-9)
    assert float(network.gradient(point.neurons).norm()) == pytest.approx(point.gradient_norm, rel=1e-3, abs=1e-9)
    assert point.gradient_norm < 1e-3 * float(network.gradient(start).norm())
    assert point.loss == pytest.approx(loss_of(network, point.neurons), abs=1e-12)
    assert point.loss < 1e-6 * loss_of(network, torch.zeros(1, 15))


def test_regression_ends_at_least_squares() -> None:
    network = regression_5d()
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0])  # of the planted coefficients
    start = torch.stack([torch.ones(5), signs], dim=1) / 2**0.5
    point = minimize(network, start, tolerance=1e-10)
    assert isinstance(network.architecture, DiagonalLinear)
    planted = torch.linalg.lstsq(network.architecture.data.inputs, network.architecture.data.targets).solution
    torch.testing.assert_close(point.neurons.prod(1), planted, rtol=0, atol=1e-3)
    assert point.gradient_norm < 1e-3
    assert point.loss < 1e-7
    assert point.collapsed == ()
    assert point.reason == "the cost is at a minimum"


def test_subset_sees_its_own_inputs_only() -> None:
    """Neurons 1 and 3 of the five: least squares on these two columns."""
    network = regression_5d()
    assert isinstance(network.architecture, DiagonalLinear)
    data = network.architecture.data
    best = lsq_linear(data.inputs[:, [1, 3]].numpy(), data.targets.numpy())
    start = torch.tensor([[1.0, -1.0], [1.0, float(np.sign(best.x[1]))]]) / 2**0.5
    point = minimize(network, start, [1, 3], tolerance=1e-10)
    assert point.index.tolist() == [1, 3]
    assert point.loss == pytest.approx(best.cost / len(data.targets), rel=1e-8)
    np.testing.assert_allclose(point.neurons.prod(1), best.x, atol=1e-4)


def test_flow_stays_on_its_hyperbola() -> None:
    network, start = regression_5d(), torch.tensor([[0.9, 0.3], [0.2, -0.8], [0.7, -0.7], [0.5, 0.6], [0.8, -0.1]])
    point = minimize(network, start, collapse=1e-9)
    balance = start[:, 0].square() - start[:, 1].square()
    torch.testing.assert_close(point.neurons[:, 0].square() - point.neurons[:, 1].square(), balance, atol=1e-9, rtol=0)


# ---- The stop rule


@pytest.mark.parametrize("seed", [0, 2])
def test_cost_never_rises_and_falls_with_the_tolerance(seed: int) -> None:
    network = small_modadd(5, (1,), (3.0,), width=4)
    start = unit(network, 4, seed)
    points = [minimize(network, start, tolerance=tolerance, collapse=1e-9) for tolerance in (1e-1, 1e-2, 1e-3)]
    losses = [loss_of(network, start), *(point.loss for point in points)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.9 * losses[0]
    durations = [point.duration for point in points]
    assert durations == sorted(durations)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3])
def test_certificate_is_the_newton_decrement_of_the_explicit_loss(tolerance: float) -> None:
    network = small_modadd(5, (1,), (3.0,), width=3)
    start = unit(network, 3)
    point = minimize(network, start, tolerance=tolerance, collapse=1e-9)
    initial_loss = loss_of(network, torch.zeros(1, 15))
    curvatures, vectors = torch.linalg.eigh(network.hessian(point.neurons))
    parts = network.gradient(point.neurons).reshape(-1) @ vectors
    convex = curvatures > 1e-10
    assert point.remaining * initial_loss == pytest.approx(
        float((parts[convex].square() / (2 * curvatures[convex])).sum()), rel=1e-3)
    assert point.smallest_curvature == pytest.approx(float(curvatures[0]), rel=1e-6, abs=1e-9)
    assert point.remaining * initial_loss <= 1.2 * tolerance * (loss_of(network, start) - point.loss)


def test_stopping_does_not_depend_on_the_units() -> None:
    """Targets s times as large: for degree 2, coefficients times s, time over s, loss times s^2."""
    network = regression_5d()
    assert isinstance(network.architecture, DiagonalLinear)
    data, scale = network.architecture.data, 100.0
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0])
    start = torch.stack([torch.ones(5), signs], dim=1)
    larger = DiagonalLinear(type(data)(data.inputs, scale * data.targets))
    point = minimize(network, start, tolerance=1e-4)
    other = minimize_cost(larger, start * scale**0.5, torch.arange(5), torch.full((5,), 1e-3), math.inf,
                          rules(scale**2 * float(0.5 * data.targets.square().mean()), 1e-4), IntegrationStatistics())
    assert other.duration * scale == pytest.approx(point.duration, rel=1e-6)
    assert other.loss / scale**2 == pytest.approx(point.loss, rel=1e-5)
    assert other.slowest_rate / scale == pytest.approx(point.slowest_rate, rel=1e-3)


def test_valley_without_a_minimum_ends_too() -> None:
    """Two neurons on a frequency approach 5/9 of its loss with growing weights and never get there."""
    network = small_modadd(7, (2,), (3.0,), width=2)
    point = minimize(network, unit(network, 2, seed=1), tolerance=1e-3, collapse=1e-9)
    energy = loss_of(network, torch.zeros(1, 21))
    assert point.gradient_norm > 0
    assert point.loss / energy > 5 / 9
    assert point.loss / energy == pytest.approx(5 / 9, abs=0.02)


def test_modes_of_the_gradient_alone_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of networks that are too large for the Hessian: of their parameters, whatever the flow's coordinates are."""
    network = small_modadd(7, (2,), (3.0,), width=2)
    start = unit(network, 2, seed=1)
    whole = minimize(network, start, tolerance=1e-2)
    monkeypatch.setattr(modes, "LARGEST_FACTORIZED", 10)
    krylov = minimize(network, start, tolerance=1e-2)
    assert krylov.reason == whole.reason == IN_A_VALLEY
    assert krylov.duration == pytest.approx(whole.duration, rel=1e-6)
    assert krylov.remaining == pytest.approx(whole.remaining, rel=1e-3)
    assert krylov.smallest_curvature == pytest.approx(whole.smallest_curvature, rel=1e-3)


@pytest.mark.parametrize("size", [1.0, 1e-180])
@pytest.mark.parametrize(("before", "flattens"), [(8.0, True), (2.5, False), (-8.0, False)])
def test_a_way_flattens_whatever_its_length(size: float, before: float, flattens: bool) -> None:
    """A curvature of 2 at twice the time: in a valley it was 4 or so."""
    at_end = modes.Modes(np.array([2.0, 5.0]), np.zeros(2), torch.zeros(2), torch.eye(2), lambda way: way[None])
    way = torch.tensor([size, 0.0])
    assert _flattens(at_end, way, lambda step: (before * float(step.square().sum()), 0.5)) == flattens


def test_start_at_a_minimum_stays() -> None:
    network = regression_2d()
    exact = torch.tensor([[0.2**0.5, -(0.2**0.5)], [2**0.5, 2**0.5]])
    point = minimize(network, exact)
    torch.testing.assert_close(point.neurons, exact, atol=1e-6, rtol=0)
    assert point.loss < 1e-12


# ---- Collapse


def second_phase_of_the_paper() -> Tensor:
    """Coordinate 1 on its first level, beta_1 = 0.46193; coordinate 2 joins at norm 1."""
    return torch.tensor([[0.46193**0.5, 0.46193**0.5], [0.5**0.5, 0.5**0.5]])


def test_coordinate_that_is_no_longer_wanted_collapses() -> None:
    network = regression_2d()
    point = minimize(network, second_phase_of_the_paper())
    assert point.collapsed == (0,)
    assert point.index.tolist() == [1]
    assert float(point.neurons.prod()) == pytest.approx(1.58431, abs=6e-6)
    assert point.loss == pytest.approx(0.070000, abs=6e-7)


def test_a_sinking_neuron_is_followed_to_the_collapse_norm() -> None:
    """A balanced neuron sinks exponentially, and has no part in the cost long before it is there."""
    network = regression_2d()
    points = [minimize(network, second_phase_of_the_paper(), collapse=norm, tolerance=1e-2)
              for norm in (0.5, 1e-8, 1e-80)]
    assert [point.collapsed for point in points] == [(0,)] * 3
    assert points[0].duration < points[1].duration < points[2].duration
    assert [point.loss for point in points] == pytest.approx([points[2].loss] * 3, abs=1e-3)


def test_overshoot_of_the_joining_neuron_does_not_count_as_progress() -> None:
    """From norm 100 the cost falls by 1e8 on the way; the phase must not end within a hundredth of that."""
    network = regression_2d()
    start = torch.tensor([[100.0, 100.0]])
    index, before = torch.tensor([0]), float(network.architecture.loss(network.architecture.empty_residual()))
    point = minimize_cost(network.architecture, start, index, torch.full((1,), 1e-3), before, rules(before, 1e-2),
                          IntegrationStatistics())
    assert float(point.neurons.prod()) == pytest.approx(0.46193, abs=1e-4)


def test_exponential_convergence_is_followed_further_than_the_tolerance() -> None:
    network = regression_2d()
    point = minimize(network, torch.tensor([[0.7, 0.7]]), [0], tolerance=1e-2)
    assert float(point.neurons.prod()) == pytest.approx(0.46193, abs=1e-5)
    assert point.remaining < 1e-7


def test_collapse_is_reported_by_the_networks_index() -> None:
    network = regression_5d()
    start = torch.tensor([[0.6, 0.6], [0.7, -0.7]])  # coordinate 4 has a negative coefficient beside coordinate 1
    assert isinstance(network.architecture, DiagonalLinear)
    data = network.architecture.data
    best = lsq_linear(data.inputs[:, [4, 1]].numpy(), data.targets.numpy(), ([0, -np.inf], [np.inf, 0]))
    assert best.x[0] < 1e-9
    point = minimize(network, start, [4, 1])
    assert point.collapsed == (4,)
    assert point.index.tolist() == [1]
    assert point.loss == pytest.approx(best.cost / len(data.targets), rel=1e-6)


def test_all_neurons_may_collapse() -> None:
    """Both coefficients of the wrong sign where the design is orthogonal."""
    network = regression_2d()
    assert isinstance(network.architecture, DiagonalLinear)
    data = network.architecture.data
    orthogonal = DiagonalLinear(type(data)(torch.eye(2), torch.tensor([1.0, 1.0])))
    start = torch.tensor([[0.7, -0.7], [0.7, -0.7]])
    point = minimize_cost(orthogonal, start, torch.arange(2), torch.full((2,), 1e-3), math.inf, rules(0.5, 1e-6),
                          IntegrationStatistics())
    assert sorted(point.collapsed) == [0, 1]
    assert point.neurons.shape == (0, 2)
    assert point.loss == pytest.approx(0.5)
    assert point.reason == "no active neuron is left"
