from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import find_staircase

SCALE = 1e-6


def trajectory(times: np.ndarray, loss: np.ndarray, features: np.ndarray, norms: np.ndarray) -> Trajectory:
    """Neuron i points at feature i."""
    count = norms.shape[1]
    return Trajectory(
        "training", times, loss, tuple(str(index) for index in range(features.shape[1])), features, np.log(norms),
        np.zeros_like(norms), np.tile(np.arange(count), (times.size, 1)), norms >= 1)


@pytest.fixture(scope="module")
def diagonal() -> Trajectory:
    """Exact gradient flow of the two-dimensional diagonal network at scale 1e-6, by mirror coordinates.

    z' = 2 (-dL/dbeta), beta = scale^2 sinh z, |theta|^2 = 2 scale^2 cosh z, L = 1/(2n) |X beta - y|^2.
    """
    angle = math.radians(150)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    inputs = np.linalg.cholesky(rotation @ np.diag([1.0, 25.0]) @ rotation.T)
    covariance, target = inputs.T @ inputs / 2, np.array([-0.2, 2.0])

    def halves(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 0.5 * np.exp(2 * math.log(SCALE) + z), 0.5 * np.exp(2 * math.log(SCALE) - z)

    def beta(z: np.ndarray) -> np.ndarray:
        up, down = halves(z)
        return up - down

    solution = solve_ivp(
        lambda _, z: -2 * covariance @ (beta(z) - target), (0, 80), [0.0, 0.0], method="Radau",
        jac=lambda _, z: -2 * covariance * sum(halves(z)), rtol=1e-10, atol=1e-10)
    coefficients = beta(solution.y).T
    error = coefficients - target
    loss = 0.5 * np.einsum("ti,ij,tj->t", error, covariance, error)
    return trajectory(solution.t, loss, coefficients, np.sqrt(2 * sum(halves(solution.y))).T)


@pytest.fixture(scope="module")
def diagonal_events(diagonal: Trajectory) -> list[Event]:
    return detect_events(diagonal, 1.0)


def of_kind(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event.kind == kind]


LEVELS = [2.311099, 1.114650, 0.070000, 0.0]
SADDLES = [(0.0, 0.0), (0.46193, 0.0), (0.0, 1.58431), (-0.2, 2.0)]
TIMES = [0.193042, 0.600220, 3.457363]  # in units of log(1 / scale), as the scale vanishes


def test_diagonal_plateaus(diagonal: Trajectory) -> None:
    plateaus = find_staircase(diagonal.times, diagonal.loss).plateaus
    assert [plateau.level for plateau in plateaus] == pytest.approx(LEVELS, abs=2e-5)
    for plateau, saddle in zip(plateaus, SADDLES, strict=True):
        row = np.searchsorted(diagonal.times, plateau.level_time)
        assert diagonal.features[row] == pytest.approx(saddle, abs=2e-4)


def test_diagonal_activations(diagonal_events: list[Event]) -> None:
    activations = of_kind(diagonal_events, "activation")
    assert [event.neuron for event in activations] == [0, 1, 0]
    assert [event.feature for event in activations] == ["0", "1", "0"]
    times = [event.time / math.log(1 / SCALE) for event in activations]
    # The norm is within log 2 / log(1 / scale) = 5% of the threshold on the scale of the times.
    assert times == pytest.approx(TIMES, rel=0.05)
    assert [event.loss_before for event in activations] == pytest.approx(LEVELS[:-1], abs=2e-5)
    assert [event.loss_after for event in activations] == pytest.approx(LEVELS[1:], abs=2e-5)


def test_diagonal_acquisitions(diagonal_events: list[Event]) -> None:
    acquisitions = of_kind(diagonal_events, "acquisition")
    assert [event.feature for event in acquisitions] == ["0", "1", "0"]
    assert [event.loss_after for event in acquisitions] == pytest.approx(LEVELS[1:], abs=2e-5)
    times = [event.time / math.log(1 / SCALE) for event in acquisitions]
    assert times == pytest.approx(TIMES, rel=0.11)  # the second drop alone lasts a tenth of its time


def test_diagonal_collapse(diagonal: Trajectory, diagonal_events: list[Event]) -> None:
    """One event stands for the neuron and its coefficient; it falls into the second drop."""
    collapses = of_kind(diagonal_events, "collapse")
    assert [(event.neuron, event.feature) for event in collapses] == [(0, "0")]
    assert (collapses[0].loss_before, collapses[0].loss_after) == pytest.approx((1.114650, 0.07), abs=2e-5)
    second = find_staircase(diagonal.times, diagonal.loss).drops[1]
    assert second.start < collapses[0].time < second.end + (second.end - second.start)


def test_events_are_in_order_of_time(diagonal_events: list[Event]) -> None:
    times = [event.time for event in diagonal_events]
    assert times == sorted(times)


def test_exchanging_the_neurons(diagonal: Trajectory, diagonal_events: list[Event]) -> None:
    swapped = Trajectory(
        diagonal.source, diagonal.times, diagonal.loss, diagonal.feature_names, diagonal.features,
        diagonal.log_norms[:, ::-1], diagonal.accumulated_utility[:, ::-1],
        diagonal.direction_feature[:, ::-1], diagonal.active[:, ::-1])
    found = detect_events(swapped, 1.0)
    assert [(e.kind, e.time, e.feature) for e in found] == [
        (e.kind, e.time, e.feature) for e in diagonal_events]
    assert [e.neuron for e in found if e.neuron is not None] == [
        1 - e.neuron for e in diagonal_events if e.neuron is not None]


def test_instantaneous_jumps_without_neurons() -> None:
    """The closed form has no neurons: acquisitions and feature collapses only, at the exact times."""
    times = np.array([0.0, *np.repeat(TIMES, 2), 5.0])
    features = np.repeat(np.array(SADDLES), 2, axis=0)
    found = detect_events(trajectory(times, np.repeat(LEVELS, 2), features, np.zeros((8, 0))), 1.0)
    drops = of_kind(found, "drop")
    assert [(event.time, event.loss_before, event.loss_after) for event in drops] == [
        (time, before, after) for time, before, after in zip(TIMES, LEVELS[:-1], LEVELS[1:], strict=True)]
    found = [event for event in found if event.kind != "drop"]
    assert [(event.kind, event.feature, event.time, event.neuron) for event in found] == [
        ("acquisition", "0", TIMES[0], None), ("acquisition", "1", TIMES[1], None),
        ("collapse", "0", TIMES[1], None), ("acquisition", "0", TIMES[2], None)]
    assert [event.loss_after for event in found] == [1.114650, 0.070000, 0.070000, 0.0]


def test_collapse_of_a_feature_whose_neuron_stays() -> None:
    """The neuron turns to another feature instead of shrinking: the feature's collapse is reported."""
    times = np.linspace(0, 10, 1001)
    loss = np.interp(times, [0, 2, 2.1, 6, 6.1, 10], [1, 1, 0.5, 0.5, 0.1, 0.1])
    features = np.stack([np.interp(times, [0, 2, 2.1, 6, 6.1, 10], [0, 0, 1, 1, 0, 0]),
                         np.interp(times, [0, 6, 6.1, 10], [0, 0, 1, 1])], axis=1)
    norms = np.interp(times, [0, 1.9, 2.1, 10], [1e-3, 1e-3, 2, 2])[:, None]
    found = detect_events(trajectory(times, loss, features, norms), 1.0)
    assert [(event.kind, event.neuron) for event in found if event.kind == "collapse"] == [("collapse", None)]


def test_two_rows() -> None:
    times, zeros = np.array([0.0, 1.0]), np.zeros((2, 1))
    assert detect_events(trajectory(times, np.array([1.0, 1.0]), zeros, zeros + 0.1), 1.0) == []
    found = detect_events(trajectory(times, np.array([1.0, 0.0]), np.array([[0.0], [2.0]]),
                                     np.array([[0.01], [100.0]])), 1.0)
    assert [event.kind for event in found] == ["activation", "acquisition", "drop"]
    assert [event.time for event in found] == pytest.approx([0.5, 0.5, 0.5])
    assert all(event.loss_before == 1.0 and math.isnan(event.loss_after) for event in found)


def test_drops_of_the_loss_and_the_neurons_that_take_part(diagonal: Trajectory, diagonal_events: list[Event]) -> None:
    staircase = find_staircase(diagonal.times, diagonal.loss)
    drops = of_kind(diagonal_events, "drop")
    assert [(event.feature, event.neuron, event.neurons) for event in drops] == [
        ("", None, (0,)), ("", None, (1,)), ("", None, (0,))]
    for event, drop in zip(drops, staircase.drops, strict=True):
        assert (event.time, event.loss_before) == (drop.time, drop.loss_before)
        half = 0.5 * (drop.loss_before + drop.loss_after)
        assert np.interp(-half, -diagonal.loss, diagonal.times) == pytest.approx(event.time, rel=1e-3)
    assert [event.loss_after for event in drops] == pytest.approx(LEVELS[1:], abs=2e-5)
    assert [event.plateau_end for event in drops[:-1]] == [drop.start for drop in staircase.drops[1:]]


def test_drops_without_known_features_or_neurons() -> None:
    """Two drops; both neurons that activate in the first take part in it, one twice; a third never activates."""
    times = np.linspace(0, 10, 2001)
    loss = np.interp(times, [0, 2, 2.1, 6, 6.1, 10], [1, 1, 0.5, 0.5, 0.1, 0.1])
    growing = [np.interp(times, [0, start, start + 0.05, 10], [1e-3, 1e-3, 2, 2]) for start in (2.05, 2.0)]
    norms = np.stack([*growing, np.full(times.size, 1e-3)], axis=1)
    found = detect_events(trajectory(times, loss, np.full((times.size, 3), np.nan), norms), 1.0)
    assert [(event.time, event.neurons) for event in of_kind(found, "drop")] == [
        (pytest.approx(2.05), (1, 0)), (pytest.approx(6.05), ())]
