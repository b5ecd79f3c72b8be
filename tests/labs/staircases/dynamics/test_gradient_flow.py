"""Gradient flow of both networks against SciPy's stiff integrators and exact solutions."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from explicit_networks import (
    ExplicitNetwork,
    numpy_modadd_gradient,
    paper_modadd,
    regression_2d,
    regression_5d,
    regression_network,
    small_modadd,
)
from scipy.integrate import solve_ivp
from scipy.interpolate import PchipInterpolator
from scipy.signal import find_peaks
from torch import Tensor

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.dynamics.chebyshev import RungeKuttaChebyshev
from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates
from agfrun.labs.staircases.dynamics.gradient_flow import make_stepper
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.rock import Rock4
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

MODADD_CASES = [(5, (1, 2), (5.0, 3.0), 4, 1e-2, 17.0), (6, (1, 3), (5.0, 3.0), 4, 1e-2, 23.0),
                (7, (1, 2, 3), (5.0, 4.0, 3.0), 3, 3e-2, 20.0)]


def initial(network: ExplicitNetwork, kind: str, scale: float, seed: int = 1) -> Tensor:
    return network.architecture.initialize(kind, scale, torch.Generator().manual_seed(seed))


def lsoda(velocity: Any, start: np.ndarray, horizon: float, absolute: float) -> Any:
    """Reference solution; its absolute tolerance must scale with the initialization."""
    solution = solve_ivp(lambda time, y: velocity(y.reshape(start.shape)).ravel(), (0, horizon), start.ravel(),
                         method="LSODA", rtol=1e-11, atol=absolute, dense_output=True)
    assert solution.success
    return solution.sol


@cache
def modadd_case(index: int) -> tuple[ExplicitNetwork, Tensor, float, Any]:
    p, frequencies, amplitudes, width, scale, horizon = MODADD_CASES[index]
    network = small_modadd(p, frequencies, amplitudes, width, seed=1)
    neurons = initial(network, "gaussian", scale)
    assert isinstance(network.architecture, QuadraticModadd)
    gradient = numpy_modadd_gradient(network.architecture.data.template.numpy())
    return network, neurons, horizon, lsoda(lambda y: -gradient(y), neurons.numpy(), horizon, 1e-13 * scale)


def loss_at(trajectory: Trajectory, time: float) -> float:
    return float(np.interp(time, trajectory.times, trajectory.loss))


def largest_relative_error(result: TrainingResult, reference: Any) -> float:
    """Over all kept states and neurons, each relative to its own norm, now or when it started.

    The reference does not resolve a neuron that decays for ever, hence when it started.
    """
    worst = 0.0
    start = result.recorder.states[0][1].norm(dim=1)
    for time, neurons in result.recorder.states:
        expected = torch.tensor(reference(time)).reshape(neurons.shape)
        size = torch.maximum(expected.norm(dim=1), 1e-3 * start)
        worst = max(worst, float(((neurons - expected).norm(dim=1) / size).max()))
    return worst


def test_reference_gradient_is_autograd_s() -> None:
    network = small_modadd(6, (1, 3), (5.0, 3.0))
    neurons = network.random_neurons()
    assert isinstance(network.architecture, QuadraticModadd)
    gradient = numpy_modadd_gradient(network.architecture.data.template.numpy())(neurons.numpy())
    np.testing.assert_allclose(gradient, network.gradient(neurons).numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("method", "tolerance"), [("rosenbrock", 1e-5), ("rosenbrock", 1e-7), ("rkc", 1e-4)])
@pytest.mark.parametrize("index", range(len(MODADD_CASES)))
def test_quadratic_network_against_lsoda(index: int, method: str, tolerance: float) -> None:
    """Every neuron along the whole path relative to its own norm, and the loss of every row.

    The bound holds what the flow itself makes of an error, as a neuron about to activate grows it; and for
    RKC that a method of order 2 makes tolerance^(-1/3) steps of that error each.
    """
    bound = 100 * tolerance if method == "rosenbrock" else 50 * tolerance ** (2 / 3)
    network, neurons, horizon, reference = modadd_case(index)
    result = train_by_gradient_flow(network.architecture, neurons, horizon, tolerance=tolerance, method=method)
    losses = result.trajectory.loss
    assert losses[-1] < 0.75 * losses[0]
    assert largest_relative_error(result, reference) < bound
    expected = [float(network.loss(torch.tensor(reference(time)).view_as(neurons))) for time in result.trajectory.times]
    assert np.abs(losses - expected).max() < 0.3 * bound * losses[0]


def diagonal_reference(network: ExplicitNetwork, neurons: Tensor, horizon: float) -> Any:
    """u + v and u - v as unknowns: in u and v themselves u - v drowns in rounding at small scales."""
    data = network.architecture.data  # type: ignore[attr-defined]
    inputs, targets = data.inputs.numpy(), data.targets.numpy()

    def velocity(y: np.ndarray) -> np.ndarray:
        drives = inputs.T @ (targets - inputs @ (y[0] ** 2 - y[1] ** 2) / 4) / len(targets)
        return np.stack([drives * y[0], -drives * y[1]])

    start = torch.stack([neurons.sum(1), neurons[:, 0] - neurons[:, 1]]).numpy()
    solution = lsoda(velocity, start, horizon, 1e-12 * float(neurons.abs().max()) ** 2)

    def of_neurons(time: float) -> np.ndarray:
        total, difference = solution(time).reshape(2, -1)
        return np.stack([total + difference, total - difference], axis=1) / 2

    return of_neurons


@pytest.mark.parametrize("method", ["rosenbrock", "rkc"])
@pytest.mark.parametrize(("kind", "scale"), [("deterministic", 1e-2), ("deterministic", 1e-6), ("gaussian", 1e-4),
                                             ("balanced", 1e-6)])
@pytest.mark.parametrize("network", [regression_2d(), regression_5d()], ids=lambda network: network.name)
def test_diagonal_network_against_lsoda(network: ExplicitNetwork, kind: str, scale: float, method: str) -> None:
    neurons, horizon = initial(network, kind, scale), -5.0 * float(np.log(scale))
    result = train_by_gradient_flow(network.architecture, neurons, horizon, tolerance=1e-6, method=method)
    assert largest_relative_error(result, diagonal_reference(network, neurons, horizon)) < 1e-4


def test_diagonal_network_against_lsoda_in_its_own_parameters() -> None:
    network = regression_2d()
    neurons = initial(network, "deterministic", 1e-1)
    data = network.architecture.data  # type: ignore[attr-defined]
    inputs, targets = data.inputs.numpy(), data.targets.numpy()

    def velocity(y: np.ndarray) -> np.ndarray:
        return (inputs.T @ (targets - inputs @ y.prod(1)) / len(targets))[:, None] * y[:, ::-1]

    reference = lsoda(velocity, neurons.numpy(), 20.0, 1e-14)
    result = train_by_gradient_flow(network.architecture, neurons, 20.0, tolerance=1e-9, convergence=0.0)
    assert largest_relative_error(result, reference) < 1e-6


def orthogonal_regression(variances: list[float], coefficients: list[float]) -> ExplicitNetwork:
    inputs = torch.diag(torch.tensor(variances).sqrt()) * len(variances) ** 0.5
    return regression_network(Regression(inputs, inputs @ torch.tensor(coefficients)))


@pytest.mark.parametrize(("scale", "method"), [(1e-2, "rosenbrock"), (1e-8, "rosenbrock"), (1e-140, "rosenbrock"),
                                               (1e-8, "rkc")])
def test_balanced_neurons_on_an_orthogonal_design_are_logistic_exactly(scale: float, method: str) -> None:
    """beta' = 2 sigma |beta| (beta* - beta): the time of a drop at 1e-140 is as good as at 1e-2."""
    variances, coefficients = [1.0, 0.5, 2.0, 0.7], [2.0, -1.5, 0.8, 3.0]
    network = orthogonal_regression(variances, coefficients)
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [1.0, -1.0]])  # the last points the wrong way
    horizon = -8.0 * float(np.log(scale))
    result = train_by_gradient_flow(network.architecture, scale * signs, horizon, tolerance=1e-7, method=method,
                                    convergence=0.0)
    trajectory = result.trajectory
    for i, (variance, target) in enumerate(zip(variances[:3], coefficients[:3], strict=True)):
        growth = np.exp(-2 * variance * abs(target) * trajectory.times)
        expected = target / (1 + (abs(target) / scale**2 - 1) * growth)
        np.testing.assert_allclose(trajectory.features[:, i], expected, rtol=2e-3, atol=0)
        half_time = np.log(abs(target) / scale**2 - 1) / (2 * variance * abs(target))
        rise = np.log(np.abs(trajectory.features[:, i] / (target - trajectory.features[:, i])).clip(1e-300, 1e6))
        near = np.abs(rise) < 3
        measured = np.interp(0.0, rise[near], trajectory.times[near])
        assert measured == pytest.approx(half_time, rel=1e-5)
    assert (trajectory.features[:, 3] <= 0).all()
    assert np.abs(trajectory.features[:, 3]).max() == pytest.approx(scale**2)
    assert trajectory.loss[-1] == pytest.approx(0.5 * 0.7 * 3.0**2)
    assert result.status == "horizon"


def test_balanced_neuron_that_can_only_decay_does_so_for_ever() -> None:
    """Its norm underflows long before e^q overflows; neither may reach the numbers of the others."""
    network = orthogonal_regression([1.0, 0.7], [2.0, 30.0])
    start = 1e-6 * torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    result = train_by_gradient_flow(network.architecture, start, 200.0, max_rows=100)
    assert result.status == "horizon"
    assert result.final[0].prod() == pytest.approx(2.0)
    assert torch.equal(result.final[1], torch.zeros(2))
    trajectory = result.trajectory
    assert len(trajectory.times) > 50
    assert np.isfinite(trajectory.accumulated_utility).all()
    expected = -0.7 * 30 * trajectory.times
    visible = trajectory.neuron_norms[:, 1] > 1e-300
    np.testing.assert_allclose(trajectory.accumulated_utility[visible, 1], expected[visible], rtol=1e-6)


@pytest.mark.parametrize(("network", "times", "levels"), [
    (regression_2d(), [0.193042, 0.600220, 3.457363], [2.311099, 1.114650, 0.070000, 0]),
    (regression_5d(), [0.120120, 0.600696, 0.981709, 1.112283, 4.219254],
     [82.416705, 13.322997, 2.267025, 0.988054, 0.165564, 0]),
], ids=["2d", "5d"])
def test_diagonal_flow_at_scale_1e_100_is_the_published_sequence(
    network: ExplicitNetwork, times: list[float], levels: list[float]
) -> None:
    """Levels in the middle of each plateau, and drops at t = tau log(1/alpha) up to O(1)."""
    clock = float(np.log(1e100))
    neurons = initial(network, "deterministic", 1e-100)
    trajectory = train_by_gradient_flow(network.architecture, neurons, 1.3 * times[-1] * clock,
                                        convergence=0.0).trajectory
    middles = np.convolve([0.0, *times, 1.2 * times[-1]], [0.5, 0.5], mode="valid") * clock
    np.testing.assert_allclose([loss_at(trajectory, middle) for middle in middles], levels, atol=1e-6)
    drops = [np.interp(-(before + after) / 2, -trajectory.loss, trajectory.times)
             for before, after in zip(levels, levels[1:], strict=False)]
    np.testing.assert_allclose(np.array(drops) / clock, times, rtol=0.02)


def fastest_losses(trajectory: Trajectory) -> np.ndarray:
    """Losses at which the loss falls fastest, one for each drop."""
    losses = trajectory.loss[:-1]
    speed = -np.diff(trajectory.loss) / np.diff(trajectory.times) * trajectory.times[1:]
    return losses[find_peaks(speed, prominence=0.02 * speed.max())[0]]


def crossing_times(trajectory: Trajectory, losses: np.ndarray) -> np.ndarray:
    lowest = np.minimum.accumulate(trajectory.loss)
    falling = np.append(True, trajectory.loss[1:] < lowest[:-1])
    return np.asarray(PchipInterpolator(-trajectory.loss[falling], trajectory.times[falling])(-losses))


def assert_drop_times_agree(
    network: ExplicitNetwork, neurons: Tensor, horizon: float, losses: list[float] | None = None, fewest: int = 1
) -> None:
    """Times at which the loss passes `losses` (default: where it falls fastest), at tolerances 1e-6 and 1e-9."""
    coarse, fine = (train_by_gradient_flow(network.architecture, neurons, horizon, tolerance=tolerance,
                                           max_rows=20000, convergence=0.0).trajectory for tolerance in (1e-6, 1e-9))
    passed = fastest_losses(fine) if losses is None else np.array(losses)
    assert len(passed) >= fewest
    np.testing.assert_allclose(crossing_times(coarse, passed), crossing_times(fine, passed), rtol=1e-4)


def test_drop_times_at_two_tolerances() -> None:
    network, neurons, horizon, _ = modadd_case(0)
    assert_drop_times_agree(network, neurons, horizon, fewest=2)


@pytest.mark.parametrize("scale", [1e-8, 1e-16])
@pytest.mark.parametrize(("network", "levels"), [
    (regression_2d(), [2.311099, 1.114650, 0.070000, 0]),
    (regression_5d(), [82.416705, 13.322997, 2.267025, 0.988054, 0.165564, 0]),
], ids=["2d", "5d"])
def test_drop_times_of_the_diagonal_network_at_two_tolerances(
    network: ExplicitNetwork, levels: list[float], scale: float
) -> None:
    """Half-way through every published drop."""
    halves = np.convolve(levels, [0.5, 0.5], mode="valid").tolist()
    horizon = -5.0 * float(np.log(scale))
    assert_drop_times_agree(network, initial(network, "deterministic", scale), horizon, halves)


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [60.0, 500.0])
def test_drop_times_of_the_paper_s_experiment_at_two_tolerances(horizon: float) -> None:
    network = paper_modadd()
    assert_drop_times_agree(network, initial(network, "gaussian", 1e-2, seed=0), horizon, fewest=6)


def test_paper_s_first_drop_at_two_tolerances() -> None:
    """Until the first frequency is well under way (t = 21 of 2000)."""
    network = paper_modadd()
    assert_drop_times_agree(network, initial(network, "gaussian", 1e-2, seed=0), 21.0)


def test_methods_agree_with_each_other_and_with_plain_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coordinates decide what the flow costs, never where it goes."""
    network, neurons, horizon, _ = modadd_case(0)
    reduced = train_by_gradient_flow(network.architecture, neurons, horizon / 2, tolerance=1e-7).final
    monkeypatch.setattr(type(network.architecture), "flow_coordinates",
                        lambda self, neurons, index, log_factor: EuclideanCoordinates(self, neurons, index))
    plain = train_by_gradient_flow(network.architecture, neurons, horizon / 2, tolerance=1e-7).final
    torch.testing.assert_close(reduced, plain, rtol=0, atol=1e-5)


def test_make_stepper_chooses_by_size() -> None:
    network = regression_5d()
    coordinates = network.architecture.flow_coordinates(network.random_neurons())
    statistics = IntegrationStatistics()
    assert isinstance(make_stepper("auto", coordinates, 2500, statistics), Rosenbrock)
    assert isinstance(make_stepper("auto", coordinates, 2501, statistics), Rock4)
    assert isinstance(make_stepper("rkc", coordinates, 5, statistics), RungeKuttaChebyshev)
    with pytest.raises(ValueError, match=r"'euler'.*auto, rosenbrock, extrapolation, rkc, rock4"):
        make_stepper("euler", coordinates, 5, statistics)


@pytest.mark.parametrize("network", [regression_2d(), small_modadd()], ids=lambda network: network.name)
def test_trajectory_of_a_flow(network: ExplicitNetwork) -> None:
    neurons = initial(network, "gaussian", 1e-2)
    result = train_by_gradient_flow(network.architecture, neurons, 30.0, max_rows=150)
    trajectory = result.trajectory
    assert trajectory.source == "training"
    assert trajectory.steps is None
    assert result.clock == {}
    assert 20 < len(trajectory.times) <= 150
    assert (np.diff(trajectory.times) > 0).all()
    assert not trajectory.active.any()
    assert (trajectory.accumulated_utility[0] == 0).all()
    assert trajectory.loss[0] == pytest.approx(float(network.loss(neurons)), rel=1e-13)
    assert trajectory.loss[-1] == pytest.approx(float(network.loss(result.final)), rel=1e-9, abs=1e-14)
    np.testing.assert_allclose(trajectory.features[-1], network.architecture.features(result.final))
    np.testing.assert_allclose(trajectory.neuron_norms[[0, -1]],
                               torch.stack([neurons, result.final]).norm(dim=-1))
    strengths = network.architecture.neuron_feature_strengths(result.final)
    np.testing.assert_array_equal(trajectory.direction_feature[-1], strengths.argmax(-1))


def test_single_precision_flow_stays_single_and_follows_the_double_one() -> None:
    double = small_modadd()
    neurons = initial(double, "gaussian", 3e-2)
    data = double.architecture.data  # type: ignore[attr-defined]
    single = QuadraticModadd(type(data)(data.template.float(), data.frequencies, data.spectrum), 3)
    exact = train_by_gradient_flow(double.architecture, neurons, 8.0, tolerance=1e-7)
    result = train_by_gradient_flow(single, neurons.float(), 8.0, tolerance=1e-4)
    assert result.final.dtype == torch.float32
    assert result.status == "horizon"
    expected = [loss_at(exact.trajectory, time) for time in result.trajectory.times]
    np.testing.assert_allclose(result.trajectory.loss, expected, rtol=0, atol=0.02)
