"""Own-size steps of the diagonal network against its own flow, integrated by SciPy from the closed mirror map."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import regression_2d, regression_5d
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from agfrun.labs.staircases.networks.diagonal_linear.curves import neuron_curves
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression, sparse_regression
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.diagonal_linear.own_size import OwnSizeSteps
from agfrun.labs.staircases.networks.diagonal_linear.theory import design_of
from agfrun.labs.staircases.networks.own_size import OwnSizeEvent, OwnSizePrediction

Array = NDArray[np.float64]


def data_of(dimension: int) -> Regression:
    architecture = (regression_2d() if dimension == 2 else regression_5d()).architecture
    assert isinstance(architecture, DiagonalLinear)
    return architecture.data


def drawn(data: Regression, scale: float, seed: int, depth: int = 2, kind: str = "gaussian") -> torch.Tensor:
    return DiagonalLinear(data, depth).initialize(kind, scale, torch.Generator().manual_seed(seed))


def crossing_times(data: Regression, initial: torch.Tensor, events: tuple[OwnSizeEvent, ...]) -> list[float]:
    """For each event, when the flow of the layers passes half of its size in the event's direction, nearest to it."""
    inputs, targets = design_of(data)
    start = initial.numpy()
    width, depth = start.shape

    def velocity(_: float, state: Array) -> Array:
        layers = state.reshape(width, depth)
        drives = inputs.T @ (targets - inputs @ layers.prod(axis=1)) / len(targets)
        others = np.stack([np.delete(layers, k, axis=1).prod(axis=1) for k in range(depth)], axis=1)
        return np.asarray((drives[:, None] * others).ravel())

    end = 1.05 * max(event.time for event in events) + 1
    flow = solve_ivp(velocity, (0, end), start.ravel(), method="LSODA", rtol=1e-9, atol=1e-13, dense_output=True)
    found, sizes = [], dict[str, float]()
    for event in events:
        index = int(event.feature) - 1
        size = event.size or sizes[event.feature]
        sizes[event.feature] = size
        rises = (size > 0) == (event.size != 0)

        def excess(time: float, index: int = index, size: float = size) -> float:
            layers = flow.sol(time).reshape(width, depth)
            return float(layers[index].prod() - size / 2)

        values = flow.y.reshape(width, depth, -1)[index].prod(axis=0) - size / 2
        steps = np.flatnonzero((values[1:] >= 0) != (values[:-1] >= 0))
        times = [brentq(excess, flow.t[k], flow.t[k + 1]) for k in steps if (values[k + 1] >= 0) == rises]
        assert times, event
        found.append(min(times, key=lambda time: abs(time - event.time)))
    return found


def own_size_of(data: Regression, initial: torch.Tensor, log_factor: float = 0.0) -> OwnSizePrediction:
    return DiagonalLinear(data, initial.shape[1]).own_size(initial, log_factor)


def check_times(data: Regression, initial: torch.Tensor, tolerance: float) -> OwnSizePrediction:
    prediction = own_size_of(data, initial)
    truth = crossing_times(data, initial, prediction.events)
    for event, time in zip(prediction.events, truth, strict=True):
        assert abs(event.time / time - 1) < max(3 * event.error, 1e-6), event
        assert abs(event.time / time - 1) < tolerance, event
    return prediction


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_positions_and_impulses_are_those_of_the_curves_definition(depth: int) -> None:
    neurons = np.random.default_rng(0).standard_normal((4, depth)) * 0.1
    curves = neuron_curves(neurons, depth)
    signs = np.where(np.arange(4) % 2, 1.0, -1.0)
    wanted = signs * np.array([0.5, 1e-3, 7.0, 2.0])
    positions = curves.positions_of(wanted)
    np.testing.assert_allclose(curves.coefficients(positions), wanted, rtol=1e-10)
    levels, ahead = curves.levels(positions), curves.positions_of(wanted * (1 + 1e-6))
    slope = (curves.levels(ahead) - levels) / (wanted * 1e-6)
    np.testing.assert_allclose(curves.stiffness(wanted), slope, rtol=1e-4)
    # The impulse is the integral of beta over the level.
    moved = (curves.impulses(ahead) - curves.impulses(positions)) / (curves.levels(ahead) - levels)
    np.testing.assert_allclose(moved, wanted, rtol=1e-4)


def test_the_inverse_mirror_map_at_depth_two() -> None:
    neurons = np.array([[0.02, -0.005], [0.01, 0.03]])
    curves = neuron_curves(neurons, 2)
    sums, differences = neurons.sum(axis=1), neurons[:, 0] - neurons[:, 1]
    levels = curves.levels(curves.positions_of(np.array([1.5, -0.7])))
    mirrored = (sums**2 * np.exp(2 * levels) - differences**2 * np.exp(-2 * levels)) / 4
    np.testing.assert_allclose(mirrored, [1.5, -0.7], rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_times_at_small_scale(seed: int) -> None:
    check_times(data_of(5), drawn(data_of(5), 1e-4, seed), tolerance=5e-3)


@pytest.mark.parametrize(("scale", "depth", "kind"), [
    (0.1, 2, "gaussian"), (1e-2, 2, "gaussian"), (1e-2, 2, "balanced"), (1e-2, 3, "deterministic"),
    (3e-2, 3, "gaussian"), (0.1, 4, "gaussian"),
])
def test_times_at_other_scales_depths_and_starts(scale: float, depth: int, kind: str) -> None:
    check_times(data_of(5), drawn(data_of(5), scale, 1, depth, kind), tolerance=5e-3)


def test_more_coefficients_than_samples() -> None:
    data = sparse_regression(10, 6, 3, 0.0, 0.3, 2, torch.float64, torch.device("cpu"))
    prediction = check_times(data, drawn(data, 1e-3, 0), tolerance=5e-3)
    assert prediction.void == ""


@pytest.mark.parametrize("depth", [2, 3])
def test_a_coefficient_is_lost_and_comes_back_with_the_other_sign(depth: int) -> None:
    data = data_of(2)
    prediction = check_times(data, drawn(data, 1e-2 if depth == 3 else 1e-5, 0, depth, "deterministic"), tolerance=2e-3)
    assert [(event.feature, float(np.sign(event.size))) for event in prediction.events] == [
        ("1", 1.0), ("1", 0.0), ("2", 1.0), ("1", -1.0)]
    assert prediction.evaluations > 0
    losses = [prediction.events[0].loss_before, *(event.loss_after for event in prediction.events)]
    np.testing.assert_allclose([losses[0], losses[1], losses[3]], [2.311099, 1.114650, 0.07], atol=1e-6)  # published
    assert losses[4] < 1e-12


def test_levels_are_least_squares_of_what_is_learned() -> None:
    data = data_of(5)
    inputs, targets = design_of(data)
    events = own_size_of(data, drawn(data, 1e-8, 3)).events
    learned = list[int]()
    for event in events:
        learned.append(int(event.feature) - 1)
        solution = np.linalg.lstsq(inputs[:, learned], targets, rcond=None)[0]
        level = 0.5 * np.mean((targets - inputs[:, learned] @ solution) ** 2)
        assert event.loss_after == pytest.approx(level, rel=1e-9, abs=1e-12)


def test_what_a_factor_of_the_scale_adds_is_the_same_at_all_scales() -> None:
    data = data_of(5)
    initial = drawn(data, 1.0, 5)
    times = [[event.time for event in own_size_of(data, initial, -decades * math.log(10)).events]
             for decades in (100, 200, 300, 400)]
    steps = np.diff(np.array(times), axis=0)
    np.testing.assert_allclose(steps[1:], np.stack([steps[0]] * 2), rtol=1e-7)
    # The first grows alone: |c| t = log(1 / scale).
    inputs, targets = design_of(data)
    assert steps[0, 0] == pytest.approx(100 * math.log(10) / np.abs(inputs.T @ targets / len(targets)).max())


def test_renaming_coefficients_renames_events() -> None:
    data, order = data_of(5), torch.tensor([3, 0, 4, 2, 1])
    initial = drawn(data, 1e-3, 2)
    events = own_size_of(data, initial).events
    renamed = own_size_of(Regression(data.inputs[:, order], data.targets), initial[order]).events
    assert [int(order[int(event.feature) - 1]) + 1 for event in renamed] == [int(event.feature) for event in events]
    np.testing.assert_allclose([event.time for event in renamed], [event.time for event in events], rtol=1e-3)


def test_two_equal_inputs_are_learned_together() -> None:
    data = data_of(5)
    doubled = Regression(torch.cat([data.inputs, data.inputs[:, :1]], dim=1), data.targets)
    initial = drawn(data, 1e-3, 2)
    events = own_size_of(doubled, torch.cat([initial, initial[:1]])).events
    first, sixth = (next(event for event in events if event.feature == name) for name in "16")
    assert first.time == pytest.approx(sixth.time, rel=1e-6)
    assert first.size == pytest.approx(sixth.size, rel=1e-6)


def test_the_lag_of_a_drop_is_that_of_the_flow() -> None:
    """From a plateau on, a newcomer's crossing in the flow of two coupled coefficients at vanishing initialization."""
    inputs = np.linalg.cholesky(np.array([[1.0, 0.4], [0.4, 1.0]])).T * math.sqrt(2)
    data = Regression(torch.tensor(inputs), torch.tensor(inputs @ np.array([2.0, 0.5])))
    initial = torch.full((2, 2), 1e-6, dtype=torch.float64)
    initial[:, 1] = 0.0
    steps = OwnSizeSteps(*design_of(data), DiagonalLinear(data).curves(initial),
                         DiagonalLinear(data).flow_coordinates(initial))
    second = steps.timeline().drops[1]
    assert second.resolved is None
    first, behind = second.before.lags(second.newcomer, np.array([0.25]))
    truth = crossing_times(data, initial, own_size_of(data, initial).events)[1]
    predicted = second.passing(second.newcomer, 0.25)[0]
    lag = float(first[0] + behind[0])
    # Without the lag the time is off by just that; with it by far less.
    assert abs(predicted - truth) < 0.05 * abs(lag)
