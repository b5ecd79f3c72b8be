"""AGF of diagonal networks in closed form beyond depth 2: against training, the general engine and integrators."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import CPU
from scipy.integrate import solve_ivp
from torch import Tensor

from agfrun import AlternationOptions, train_by_gradient_flow
from agfrun.labs.staircases.agf.alternation import Alternation
from agfrun.labs.staircases.agf.closed_form import diagonal_prediction
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.networks.diagonal_linear.data import (
    Regression,
    random_regression,
    rotated_regression,
    sparse_regression,
)
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear

EXACT = AlternationOptions(loss_tolerance=1e-12)
DEPTHS = [(3, True), (4, True), (2, False), (3, False)]
ALL = pytest.mark.parametrize(("depth", "signed"), DEPTHS)


def planar() -> Regression:
    return rotated_regression([1.0, 25.0], 150.0, [-0.2, 2.0], torch.float64, CPU)


def published() -> Regression:
    return random_regression(5, 20, 10, torch.float64, CPU)


def start(network: DiagonalLinear, kind: str, scale: float, seed: int = 0) -> Tensor:
    return network.initialize(kind, scale, torch.Generator().manual_seed(seed))


def times_of(prediction: Prediction) -> list[float]:
    return [stage.time for stage in prediction.rounds]


@ALL
def test_neurons_are_on_the_threshold_when_they_activate(depth: int, signed: bool) -> None:
    network = DiagonalLinear(published(), depth, signed)
    prediction = diagonal_prediction(network, start(network, "gaussian", 1e-3), EXACT)
    assert prediction.rounds
    path = prediction.trajectory
    for stage in prediction.rounds:
        before = int(np.flatnonzero(path.times == stage.time)[0])
        assert path.neuron_norms[before, stage.neuron] == pytest.approx(1.0, rel=1e-9)
        assert path.active[before : before + 3, stage.neuron].tolist() == [False, True, True]


@ALL
def test_dormant_neurons_follow_the_utility_flow(depth: int, signed: bool) -> None:
    """Up to the first event each neuron alone obeys u_l' = g prod of the others, g constant."""
    network = DiagonalLinear(published(), depth, signed)
    neurons = start(network, "gaussian", 3e-2)
    prediction = diagonal_prediction(network, neurons, EXACT)
    path, drives = prediction.trajectory, network.empty_residual().drives

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        layers = torch.tensor(flat.reshape(neurons.shape))
        return (network.slopes(layers) * drives[:, None]).numpy().ravel()

    rows = np.flatnonzero(path.times < 0.98 * prediction.rounds[0].time)
    expected = solve_ivp(velocity, (0, path.times[rows[-1]]), neurons.numpy().ravel(), t_eval=path.times[rows],
                         method="DOP853", rtol=1e-11, atol=1e-19).y.T.reshape(len(rows), *neurons.shape)
    np.testing.assert_allclose(path.neuron_norms[rows], np.linalg.norm(expected, axis=-1), rtol=1e-7)


@ALL
def test_final_neurons_have_the_final_coefficients_and_their_own_constants(depth: int, signed: bool) -> None:
    network = DiagonalLinear(published(), depth, signed)
    neurons = start(network, "gaussian", 1e-3)
    prediction = diagonal_prediction(network, neurons, EXACT)
    data = network.data
    error = data.targets - data.inputs @ network.features(prediction.final)
    assert 0.5 * float(error.square().mean()) == pytest.approx(prediction.rounds[-1].loss, rel=1e-5, abs=1e-8)
    squares, first = prediction.final.square(), neurons.square()
    torch.testing.assert_close(squares[:, 1:] - squares[:, :-1], first[:, 1:] - first[:, :-1], rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize("depth", [3, 4])
def test_balanced_neurons_take_the_time_of_one_parameter(depth: int) -> None:
    """All layers equal, u' = g u^(L - 1): the first event in closed form."""
    network, scale = DiagonalLinear(published(), depth), 1e-2
    neurons = torch.full((5, depth), math.sqrt(2 / depth) * scale)
    prediction = diagonal_prediction(network, neurons, EXACT)
    drive = float(network.empty_residual().drives.max())
    layer = 1 / math.sqrt(depth)
    expected = (float(neurons[0, 0]) ** (2 - depth) - layer ** (2 - depth)) / (depth - 2) / drive
    assert prediction.rounds[0].time == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("depth", [3, 4])
def test_a_coefficient_crosses_zero_on_the_way_to_its_other_threshold(depth: int) -> None:
    """The paper's two-dimensional example at other depths: coordinate 1 collapses and returns with the other sign."""
    network = DiagonalLinear(planar(), depth)
    prediction = diagonal_prediction(network, start(network, "deterministic", 1e-3), EXACT)
    assert [(stage.neuron, stage.collapsed) for stage in prediction.rounds] == [(0, ()), (1, (0,)), (0, ())]
    np.testing.assert_allclose([stage.loss for stage in prediction.rounds], [1.114650, 0.07, 0.0], atol=6e-7)
    path = prediction.trajectory
    crossing = (path.times > prediction.rounds[1].time) & (path.times < prediction.rounds[2].time)
    lowest = float(path.neuron_norms[crossing, 0].min())
    assert math.sqrt(2) * 1e-3 <= lowest * (1 + 1e-9)
    assert lowest < 3e-3


@pytest.mark.parametrize(("depth", "scale"), [
    (3, 1e-2), pytest.param(3, 1e-3, marks=pytest.mark.slow), pytest.param(4, 1e-2, marks=pytest.mark.slow)])
def test_training_crosses_zero_at_the_predicted_time(depth: int, scale: float) -> None:
    network = DiagonalLinear(planar(), depth)
    neurons = start(network, "deterministic", scale)
    prediction = diagonal_prediction(network, neurons, EXACT)
    training = train_by_gradient_flow(network, neurons, 1.5 * prediction.last_time)
    acquired = [event for event in detect_events(training.trajectory, 1.0) if event.kind == "acquisition"]
    assert [event.feature for event in acquired] == ["1", "2", "1"]
    np.testing.assert_allclose([event.time for event in acquired], times_of(prediction), rtol=3 * scale ** (depth - 2))
    assert float(training.final[0].prod()) == pytest.approx(-0.2, abs=2e-2)


@pytest.mark.parametrize(("depth", "signed", "scale"), [
    (3, True, 1e-2), pytest.param(3, True, 1e-3, marks=pytest.mark.slow),
    pytest.param(4, True, 1e-2, marks=pytest.mark.slow), (2, False, 1e-4), (3, False, 1e-3)])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_general_engine_agrees(depth: int, signed: bool, scale: float, seed: int) -> None:
    """With cost phases run to their ends: collapses included, from directions that are not those of the maximum."""
    network = DiagonalLinear(published(), depth, signed)
    neurons = start(network, "gaussian", scale, seed)
    options = AlternationOptions(cost_tolerance=1e-10, tolerance=1e-10)
    exact = diagonal_prediction(network, neurons, options)
    generic = Alternation(network, neurons, options).predict()
    assert [stage.neuron for stage in generic.rounds][: len(exact.rounds)] == [stage.neuron for stage in exact.rounds]
    assert [stage.collapsed for stage in generic.rounds][: len(exact.rounds)] == [s.collapsed for s in exact.rounds]
    np.testing.assert_allclose(times_of(generic)[: len(exact.rounds)], times_of(exact), rtol=3e-3)


@pytest.mark.parametrize(("depth", "scale"), [(3, 1e-2), pytest.param(3, 1e-3, marks=pytest.mark.slow)])
def test_sparse_regression_is_selected_in_the_predicted_order(depth: int, scale: float) -> None:
    data = sparse_regression(15, 10, 3, 0.0, 0.3, 2, torch.float64, CPU)
    network = DiagonalLinear(data, depth)
    neurons = start(network, "deterministic", scale)
    prediction = diagonal_prediction(network, neurons, AlternationOptions(loss_tolerance=1e-2))
    training = train_by_gradient_flow(network, neurons, 1.3 * prediction.last_time, convergence=1e-3)
    acquired = [event for event in detect_events(training.trajectory, 1.0) if event.kind == "acquisition"]
    expected = list(dict.fromkeys(stage.feature for stage in prediction.rounds))
    measured = list(dict.fromkeys(event.feature for event in acquired))
    shared = min(len(expected), len(measured), 3)
    assert shared == 3
    assert measured[:shared] == expected[:shared]


def test_a_scale_below_every_float() -> None:
    """Depth 2 at 1e-400: the limit's times, times 400 log 10."""
    network = DiagonalLinear(planar())
    prediction = diagonal_prediction(network, start(network, "deterministic", 1.0), EXACT, -400 * math.log(10))
    np.testing.assert_allclose(np.array(times_of(prediction)) / (400 * math.log(10)), [0.193042, 0.600220, 3.457363],
                               atol=6e-7)
    assert float(prediction.trajectory.log_norms.min()) == pytest.approx(-400 * math.log(10) + 0.5 * math.log(2),
                                                                         rel=2e-2)
    assert np.isfinite(prediction.trajectory.log_norms).all()
    torch.testing.assert_close(prediction.final.prod(1), torch.tensor([-0.2, 2.0]), rtol=1e-9, atol=0)


# ---- How a prediction ends


def test_noise_that_cannot_be_fitted_ends_at_least_squares() -> None:
    data = sparse_regression(3, 12, 2, 1.0, 0.0, 0, torch.float64, CPU)
    network = DiagonalLinear(data)
    prediction = diagonal_prediction(network, start(network, "deterministic", 1e-3), EXACT)
    best = torch.linalg.lstsq(data.inputs, data.targets).solution
    torch.testing.assert_close(prediction.final.prod(1), best, rtol=1e-6, atol=1e-9)
    assert prediction.complete
    assert "these are the least squares" in prediction.reason


def test_signs_out_of_reach_end_the_prediction_too() -> None:
    network = DiagonalLinear(published(), 3, False)
    prediction = diagonal_prediction(network, start(network, "deterministic", 1e-3), EXACT)
    assert prediction.complete
    assert "the signs it would need cannot be reached" in prediction.reason
    assert bool((prediction.final > 0).all())


@pytest.mark.parametrize(("options", "reason"), [
    (AlternationOptions(max_time=1000.0, loss_tolerance=1e-12), "before time 1000"),
    (AlternationOptions(max_events=2), "agf.max_events=2"),
])
def test_stopped_predictions_are_not_complete(options: AlternationOptions, reason: str) -> None:
    network = DiagonalLinear(published(), 3)
    prediction = diagonal_prediction(network, start(network, "deterministic", 1e-3), options)
    assert not prediction.complete
    assert reason in prediction.reason
