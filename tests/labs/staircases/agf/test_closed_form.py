from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from explicit_networks import ExplicitNetwork, regression_2d, regression_5d
from torch import Tensor

from agfrun import AlternationOptions
from agfrun.labs.staircases.agf.closed_form import diagonal_prediction
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.diagonal_linear.theory import limit_saddles

EXACT = AlternationOptions(loss_tolerance=1e-12)
LEVELS = {2: [1.114650, 0.070000, 0.0], 5: [13.322997, 2.267025, 0.988054, 0.165564, 0.0]}
ORDER = {2: [0, 1, 0], 5: [1, 2, 3, 0, 4]}
RAW_TIMES = {  # published, in gradient-flow time
    (2, 1e-6): ([2.667, 8.292, 47.765], 6e-4),
    (5, 1e-100): ([27.659, 138.315, 226.047, 256.113, 971.519], 6e-4),
}
SCALES = [0.3, 1e-2, 1e-6, 1e-16, 1e-100]


def network(dimension: int) -> ExplicitNetwork:
    return regression_2d() if dimension == 2 else regression_5d()


def initial(dimension: int, kind: str, scale: float, seed: int = 0) -> Tensor:
    return network(dimension).architecture.initialize(kind, scale, torch.Generator().manual_seed(seed))


def predict_from(dimension: int, neurons: Tensor, options: AlternationOptions = EXACT) -> Prediction:
    architecture = network(dimension).architecture
    assert isinstance(architecture, DiagonalLinear)
    return diagonal_prediction(architecture, neurons, options)


def times_of(prediction: Prediction) -> list[float]:
    return [stage.time for stage in prediction.rounds]


@pytest.mark.parametrize(("case", "published"), RAW_TIMES.items())
def test_published_times(case: tuple[int, float], published: tuple[list[float], float]) -> None:
    dimension, scale = case
    prediction = predict_from(dimension, initial(dimension, "deterministic", scale))
    np.testing.assert_allclose(times_of(prediction), published[0], atol=published[1])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dimension", [2, 5])
def test_events_and_levels_at_any_scale(dimension: int, scale: float) -> None:
    prediction = predict_from(dimension, initial(dimension, "deterministic", scale))
    assert [stage.neuron for stage in prediction.rounds] == ORDER[dimension]
    np.testing.assert_allclose([stage.loss for stage in prediction.rounds], LEVELS[dimension], atol=6e-7)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dimension", [2, 5])
def test_times_are_the_limit_times_on_the_scales_own_clock(dimension: int, scale: float) -> None:
    """All neurons start alike, u = sqrt(2) a, v = 0: every time is the limit's times arccosh(1 / (2 a^2)) / 2."""
    architecture = network(dimension).architecture
    assert isinstance(architecture, DiagonalLinear)
    clock = 0.5 * math.acosh(1 / (2 * scale**2))
    expected = [saddle.time * clock for saddle in limit_saddles(architecture.data)]
    times = times_of(predict_from(dimension, initial(dimension, "deterministic", scale)))
    np.testing.assert_allclose(times, expected, rtol=1e-10)


@pytest.mark.parametrize("dimension", [2, 5])
def test_rescaled_times_tend_to_the_limit_like_one_over_the_logarithm(dimension: int) -> None:
    """For Gaussian neurons the distance to the threshold differs from log(1 / a) by a constant."""
    architecture = network(dimension).architecture
    assert isinstance(architecture, DiagonalLinear)
    limit = np.array([saddle.time for saddle in limit_saddles(architecture.data)])
    shape = initial(dimension, "gaussian", 1.0)
    errors = []
    for scale in (1e-20, 1e-40, 1e-80):
        rescaled = np.array(times_of(predict_from(dimension, scale * shape))) / math.log(1 / scale)
        errors.append(float(np.abs(rescaled / limit - 1).max()))
    assert errors[0] < 0.1
    np.testing.assert_allclose(np.array(errors[1:]) / errors[:-1], 0.5, rtol=1e-6)


@pytest.mark.parametrize("kind", ["deterministic", "gaussian"])
@pytest.mark.parametrize("dimension", [2, 5])
def test_neuron_activates_at_the_threshold(dimension: int, kind: str) -> None:
    prediction = predict_from(dimension, initial(dimension, kind, 1e-3))
    path = prediction.trajectory
    for stage in prediction.rounds:
        before = int(np.flatnonzero(path.times == stage.time)[0])
        assert path.neuron_norms[before, stage.neuron] == pytest.approx(1.0, rel=1e-9)
        assert path.active[before : before + 3, stage.neuron].tolist() == [False, True, True]


@pytest.mark.parametrize("kind", ["deterministic", "gaussian"])
@pytest.mark.parametrize("dimension", [2, 5])
def test_dormant_norms_follow_the_raw_utility_flow(dimension: int, kind: str) -> None:
    """Between events a dormant neuron obeys u' = v g, v' = u g with constant g: u +- v grow as e^(+-gt)."""
    neurons = initial(dimension, kind, 1e-3)
    prediction = predict_from(dimension, neurons)
    path, first = prediction.trajectory, prediction.rounds[0].time
    drives = network(dimension).architecture.empty_residual().drives.numpy()
    u, v = neurons.numpy().T
    for row in np.flatnonzero(path.times < first):
        grown, shrunk = (u + v) * np.exp(drives * path.times[row]), (u - v) * np.exp(-drives * path.times[row])
        np.testing.assert_allclose(path.neuron_norms[row], np.sqrt((grown**2 + shrunk**2) / 2), rtol=1e-10)


@pytest.mark.parametrize("kind", ["deterministic", "gaussian"])
@pytest.mark.parametrize("dimension", [2, 5])
def test_final_neurons_are_the_planted_coefficients_on_their_hyperbolas(dimension: int, kind: str) -> None:
    neurons = initial(dimension, kind, 1e-3)
    prediction = predict_from(dimension, neurons)
    design = network(dimension).architecture
    assert isinstance(design, DiagonalLinear)
    planted = torch.linalg.lstsq(design.data.inputs, design.data.targets).solution
    torch.testing.assert_close(prediction.final.prod(1), planted, rtol=1e-8, atol=1e-10)
    imbalance = neurons[:, 0].square() - neurons[:, 1].square()
    torch.testing.assert_close(prediction.final[:, 0].square() - prediction.final[:, 1].square(), imbalance,
                               rtol=1e-6, atol=1e-14)
    # The flow never crosses from one branch of its hyperbola to the other.
    leading = torch.where(imbalance > 0, 0, 1)[:, None]
    assert bool((neurons.gather(1, leading).sign() == prediction.final.gather(1, leading).sign()).all())


@pytest.mark.parametrize("kind", ["deterministic", "gaussian"])
def test_collapsed_coordinate_flips_its_sign(kind: str) -> None:
    prediction = predict_from(2, initial(2, kind, 1e-4))
    collapses = [event for event in prediction.events if event.kind == "collapse"]
    assert [(event.neuron, event.feature, event.time) for event in collapses] == [(0, "1", prediction.rounds[1].time)]
    path = prediction.trajectory
    after_first = path.features[np.flatnonzero(path.times == prediction.rounds[0].time)[-1], 0]
    assert after_first == pytest.approx(0.46193, abs=6e-6)
    assert path.features[-1, 0] == pytest.approx(-0.2, abs=1e-9)
    # Down to the smallest norm on its hyperbola in the middle of the wait, and up again.
    rows = (path.times > prediction.rounds[1].time) & (path.times < prediction.rounds[2].time)
    lowest = path.times[rows][path.neuron_norms[rows, 0].argmin()]
    if kind == "deterministic":
        middle = 0.5 * (prediction.rounds[1].time + prediction.rounds[2].time)
        assert lowest == pytest.approx(middle, rel=0.02)
        assert path.neuron_norms[rows, 0].min() == pytest.approx(math.sqrt(2) * 1e-4, rel=0.5)


@pytest.mark.parametrize("dimension", [2, 5])
def test_loss_is_a_staircase_of_the_active_coefficients(dimension: int) -> None:
    prediction = predict_from(dimension, initial(dimension, "deterministic", 1e-3))
    path = prediction.trajectory
    levels = [float(path.loss[0]), *(stage.loss for stage in prediction.rounds)]
    assert np.unique(path.loss).size == len(levels)
    assert np.all(np.diff(path.loss) <= 0)
    for stage, (before, after) in zip(prediction.rounds, pairwise(levels), strict=True):
        rows = np.flatnonzero(path.times == stage.time)
        assert [path.loss[rows[0]], path.loss[rows[-1]]] == [before, after]


@pytest.mark.parametrize("dimension", [2, 5])
def test_rounds_are_certified_critical_points(dimension: int) -> None:
    for stage in predict_from(dimension, initial(dimension, "deterministic", 1e-3)).rounds:
        assert stage.gradient_norm < 1e-11
        assert stage.remaining == 0.0


@pytest.mark.parametrize("dimension", [2, 5])
def test_accumulated_utility_reaches_the_threshold_distance(dimension: int) -> None:
    """log(1 / ||theta_0||) at the activation, held while the neuron is active."""
    neurons = initial(dimension, "deterministic", 1e-3)
    prediction = predict_from(dimension, neurons)
    path, first = prediction.trajectory, prediction.rounds[0]
    at = int(np.flatnonzero(path.times == first.time)[0])
    distance = -math.log(float(neurons[first.neuron].norm()))
    assert path.accumulated_utility[at, first.neuron] == pytest.approx(distance, rel=1e-9)
    active = path.active[:, first.neuron] & (path.times < prediction.rounds[1].time)
    np.testing.assert_allclose(path.accumulated_utility[active, first.neuron], distance, rtol=1e-9)


def test_threshold_enters_through_the_ends() -> None:
    """For one scale the distance is log(threshold / norm) up to the direction's part: lower is sooner."""
    neurons = initial(5, "deterministic", 1e-6)
    times = [np.array(times_of(predict_from(5, neurons, AlternationOptions(threshold=t, loss_tolerance=1e-12))))
             for t in (0.1, 1.0)]
    ratio = math.acosh(0.1**2 / (2e-12)) / math.acosh(1 / 2e-12)
    np.testing.assert_allclose(times[0] / times[1], ratio, rtol=1e-10)


def test_balanced_neurons_can_only_keep_their_sign() -> None:
    scale = 1e-3
    neurons = scale * torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # beta_2 = 2 is out of reach
    prediction = predict_from(2, neurons)
    assert {stage.neuron for stage in prediction.rounds} == {0}
    assert prediction.final[0].prod() > 0
    assert abs(float(prediction.final[1].prod())) < scale
    assert "no dormant neuron is driven to its threshold" in prediction.reason


def test_no_event_at_all_is_a_prediction_too() -> None:
    scale = 1e-3
    prediction = predict_from(2, scale * torch.tensor([[1.0, -1.0], [1.0, -1.0]]))
    assert prediction.rounds == prediction.events == ()
    assert prediction.last_time == 0.0
    np.testing.assert_allclose(prediction.trajectory.loss, 2.311099, atol=6e-7)
    assert "no dormant neuron is driven to its threshold" in prediction.reason


@pytest.mark.parametrize(("options", "rounds", "reason"), [
    (AlternationOptions(max_events=2), 2, "agf.max_events=2"),
    (AlternationOptions(max_time=100.0), 3, "all but 0.0001 of the loss"),
    (AlternationOptions(loss_tolerance=0.04), 2, "all but 0.04 of the loss"),
    (AlternationOptions(max_time=3.0), 1, "before time 3"),
])
def test_stop_rules_explain_themselves(options: AlternationOptions, rounds: int, reason: str) -> None:
    prediction = predict_from(2, initial(2, "deterministic", 1e-6), options)
    assert len(prediction.rounds) == rounds
    assert reason in prediction.reason


def test_prediction_can_be_extended() -> None:
    prediction = predict_from(2, initial(2, "deterministic", 1e-3))
    longer = prediction.extended_to(200.0)
    assert longer.trajectory.times[-1] == 200.0
    assert longer.trajectory.loss[-1] == prediction.trajectory.loss[-1]
    np.testing.assert_array_equal(longer.trajectory.times[:-1], prediction.trajectory.times)
    assert longer.trajectory.active.shape == longer.trajectory.neuron_norms.shape
    assert prediction.extended_to(1.0) is prediction


def test_same_bits_twice() -> None:
    first, second = (predict_from(5, initial(5, "gaussian", 1e-5, seed=3)) for _ in range(2))
    assert times_of(first) == times_of(second)
    np.testing.assert_array_equal(first.trajectory.neuron_norms, second.trajectory.neuron_norms)
