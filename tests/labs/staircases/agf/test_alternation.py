"""The general engine: equal to the closed form where there is one, and to training once nothing is idealized."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from explicit_networks import ExplicitNetwork, regression_2d, regression_5d, small_modadd
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from torch import Tensor

from agfrun import AlternationOptions, ConfigError, predict, train_by_gradient_flow
from agfrun.labs.staircases.agf.alternation import shortest_activation_time
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.agf.rest import AT_REST, IN_A_VALLEY
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.quadratic_modadd.theory import shares_left

TIGHT = AlternationOptions(tolerance=1e-10, cost_tolerance=1e-8, loss_tolerance=1e-10)


def gaussian(network: ExplicitNetwork, scale: float, seed: int = 0, kind: str = "gaussian") -> Tensor:
    return network.architecture.initialize(kind, scale, torch.Generator().manual_seed(seed))


def kinds(prediction: Prediction) -> list[tuple[str, int | None, str]]:
    return [(event.kind, event.neuron, event.feature) for event in prediction.events]


def times_of(prediction: Prediction) -> list[float]:
    return [stage.time for stage in prediction.rounds]


# ---- Generic engine against closed form


@cache
def both(dimension: int, kind: str, scale: float, seed: int) -> tuple[Prediction, Prediction]:
    """Closed form and generic engine from one initialization."""
    network = regression_2d() if dimension == 2 else regression_5d()
    neurons = gaussian(network, scale, seed, kind)
    closed, generic = (predict(network.architecture, neurons, TIGHT, method) for method in ("closed_form", "generic"))
    return closed, generic


CASES = [(2, "deterministic", 1e-2, 0), (2, "deterministic", 1e-3, 0), (2, "gaussian", 1e-2, 1),
         (2, "gaussian", 1e-3, 2), (5, "deterministic", 1e-2, 0), (5, "gaussian", 1e-2, 0), (5, "gaussian", 1e-3, 1)]
EITHER_WAY = pytest.mark.parametrize("case", CASES, ids=str)


@EITHER_WAY
def test_generic_engine_finds_the_events_of_the_closed_form(case: tuple[int, str, float, int]) -> None:
    closed, generic = both(*case)
    assert generic.method == "generic"
    assert closed.method == "closed_form"
    assert kinds(generic) == kinds(closed)
    np.testing.assert_allclose(times_of(generic), times_of(closed), rtol=1e-4)
    levels = [float(closed.trajectory.loss[0]), *(stage.loss for stage in closed.rounds)]
    np.testing.assert_allclose([stage.loss for stage in generic.rounds], levels[1:], rtol=1e-6, atol=1e-7 * levels[0])


@EITHER_WAY
def test_generic_engine_ends_at_the_neurons_of_the_closed_form(case: tuple[int, str, float, int]) -> None:
    closed, generic = both(*case)
    torch.testing.assert_close(generic.final, closed.final, rtol=1e-4, atol=1e-4)


@EITHER_WAY
def test_dormant_norms_agree_along_the_way(case: tuple[int, str, float, int]) -> None:
    """Collapsed neurons on their way down and up included."""
    closed, generic = both(*case)
    path, reference = generic.trajectory, closed.trajectory
    for start, end in pairwise([0.0, *times_of(closed)]):
        middle = (reference.times > start + 0.05 * (end - start)) & (reference.times < end - 0.05 * (end - start))
        for neuron in range(reference.neuron_norms.shape[1]):
            rows = middle & ~reference.active[:, neuron]
            # Straight lines between rows err where a collapsed neuron turns around.
            ours = np.interp(reference.times[rows], path.times, np.log(path.neuron_norms[:, neuron]))
            np.testing.assert_allclose(ours, np.log(reference.neuron_norms[rows, neuron]), atol=2e-2)


def test_sign_flip_is_a_collapse_and_a_reentry_on_the_threshold() -> None:
    _, generic = both(2, "deterministic", 1e-3, 0)
    assert kinds(generic) == [("activation", 0, "1"), ("activation", 1, "2"), ("collapse", 0, "1"),
                              ("activation", 0, "1")]
    first, second, third = generic.rounds
    path = generic.trajectory
    after = int(np.flatnonzero(path.times == second.time)[-1])
    assert path.neuron_norms[after, 0] == pytest.approx(1.0, rel=1e-9)
    assert not path.active[after, 0]
    waiting = (path.times > second.time) & (path.times < third.time)
    assert path.neuron_norms[waiting, 0].min() < 2e-3  # all the way down
    assert generic.final[0].prod() < 0


@pytest.mark.parametrize("method", ["generic", "closed_form"])
def test_balanced_neuron_never_changes_its_sign(method: str) -> None:
    network = regression_2d()
    neurons = 1e-3 * torch.tensor([[1.0, 1.0], [1.0, 1.0]])
    prediction = predict(network.architecture, neurons, dataclasses.replace(TIGHT, max_time=60.0), method)
    assert [stage.neuron for stage in prediction.rounds] == [0, 1]
    assert prediction.rounds[1].collapsed == (0,)
    assert prediction.final[0].prod() >= 0
    assert "time 60" in prediction.reason


@pytest.mark.parametrize("method", ["generic", "closed_form"])
def test_simultaneous_activations_are_handled_one_by_one(method: str) -> None:
    """Orthogonal inputs with equal targets: both coordinates reach the threshold at once."""
    network = DiagonalLinear(Regression(2**0.5 * torch.eye(2), 2**0.5 * torch.tensor([1.5, 1.5])))
    neurons = 1e-3 * torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    prediction = predict(network, neurons, TIGHT, method)
    assert sorted(stage.neuron for stage in prediction.rounds) == [0, 1]
    first, second = times_of(prediction)
    assert second == pytest.approx(first, rel=1e-9)
    np.testing.assert_allclose([stage.loss for stage in prediction.rounds], [0.5 * 1.5**2, 0.0], atol=1e-6)


def test_closed_form_is_chosen_where_it_holds_and_refused_elsewhere() -> None:
    regression, modadd = regression_2d(), small_modadd(4, (1,), (4.0,), 2)
    decoupled = AlternationOptions(cost_phase="decoupled", max_time=1.0)
    assert predict(regression.architecture, gaussian(regression, 1e-3)).method == "closed_form"
    assert predict(regression.architecture, gaussian(regression, 1e-3), decoupled).method == "generic"
    brief = AlternationOptions(max_time=1.0)
    assert predict(modadd.architecture, gaussian(modadd, 1e-3), brief).method == "generic"
    for network, options in ((regression, decoupled), (modadd, brief)):
        with pytest.raises(ConfigError, match=r"agf\.method=closed_form"):
            predict(network.architecture, gaussian(network, 1e-3), options, "closed_form")


# ---- Modular addition


def modadd() -> ExplicitNetwork:
    """Frequency 1 has order 4 and takes four neurons, frequency 2 is Nyquist's."""
    return small_modadd(4, (1, 2), (4.0, 2.0), 6)


@cache
def of_modadd(order: tuple[int, ...] = (0, 1, 2, 3, 4, 5), **options: float) -> Prediction:
    network = modadd()
    return predict(network.architecture, gaussian(network, 1e-2)[list(order)],
                   AlternationOptions(**{"max_time": 400.0, "cost_tolerance": 3e-3} | options))  # type: ignore[arg-type]


def test_modular_addition_activates_and_falls() -> None:
    prediction = of_modadd()
    assert len(prediction.rounds) >= 5
    assert times_of(prediction) == sorted(times_of(prediction))
    losses = [float(prediction.trajectory.loss[0]), *(stage.loss for stage in prediction.rounds)]
    assert all(after < before for before, after in pairwise(losses))
    neurons = [stage.neuron for stage in prediction.rounds]
    assert len(set(neurons)) == len(neurons)


def test_modular_addition_levels_are_the_shares_of_the_frequencies() -> None:
    """Infima that are approached with diverging weights: a cost phase stops a little above."""
    first, second = 4.0, 0.5  # energies of the frequencies
    found = [stage.loss for stage in of_modadd().rounds]
    alone, later = shares_left(4, 1, False), shares_left(4, 2, True)
    expected = [second + first * alone[1], second + first * alone[2], second, second * later[1]]
    for level, tolerance in zip(expected, (1e-3, 1e-2, 1e-2, 1e-2), strict=True):
        assert min(abs(loss - level) for loss in found) < tolerance
    assert [stage.feature for stage in of_modadd().rounds[:2]] == ["1", "1"]


def test_features_of_the_path_are_learned_one_after_the_other() -> None:
    path = of_modadd().trajectory
    np.testing.assert_allclose(path.features[0], 0.0, atol=1e-12)
    np.testing.assert_allclose(path.features[-1], [4.0, 2.0], atol=0.05)
    half = [path.times[np.flatnonzero(column > 0.5 * final)[0]]
            for column, final in zip(path.features.T, (4.0, 2.0), strict=True)]
    assert half[0] < half[1]


def test_rounds_certify_critical_points() -> None:
    for stage in of_modadd().rounds:
        assert stage.remaining < 3e-3
        assert stage.gradient_norm < 0.1
        assert stage.cost_reason in (AT_REST, IN_A_VALLEY)


def test_interval_over_the_cuts_holds_the_activation_and_only_follows_valleys() -> None:
    rounds = of_modadd().rounds
    assert rounds[0].earliest == rounds[0].time == rounds[0].latest
    for before, stage in pairwise(rounds):
        assert stage.earliest <= stage.time <= stage.latest
        if before.cost_reason == AT_REST:
            assert stage.earliest == stage.time == stage.latest
    valleys = [stage for before, stage in pairwise(rounds) if before.cost_reason == IN_A_VALLEY]
    assert any(stage.latest > stage.earliest for stage in valleys)


def test_events_restate_the_rounds() -> None:
    prediction = of_modadd()
    activations = [event for event in prediction.events if event.kind == "activation"]
    assert [(e.time, e.neuron, e.feature, e.loss_after) for e in activations] == [
        (stage.time, stage.neuron, stage.feature, stage.loss) for stage in prediction.rounds]
    for event, following in pairwise(activations):
        assert event.plateau_end == following.time
        assert following.loss_before == event.loss_after
    assert np.isnan(activations[-1].plateau_end)
    assert prediction.last_time == activations[-1].time


def test_path_is_a_staircase_with_neurons_active_after_their_activation() -> None:
    prediction = of_modadd()
    path = prediction.trajectory
    assert path.source == "agf"
    assert np.all(np.diff(path.times) >= 0)
    assert set(np.unique(path.loss)) == {path.loss[0], *(stage.loss for stage in prediction.rounds)}
    for stage in prediction.rounds:
        assert not path.active[path.times < stage.time, stage.neuron].any()
        assert path.active[path.times > stage.time, stage.neuron].all()


def test_accumulated_utility_is_carried_across_rounds_up_to_the_threshold() -> None:
    """S_i never resets: at the activation it is 1 / ||theta_0|| - 1, and stays there."""
    prediction = of_modadd()
    path, norms = prediction.trajectory, torch.linalg.vector_norm(gaussian(modadd(), 1e-2), dim=1)
    for stage in prediction.rounds:
        distance = 1 / float(norms[stage.neuron]) - 1
        rows = path.active[:, stage.neuron]
        np.testing.assert_allclose(path.accumulated_utility[rows, stage.neuron], distance, rtol=1e-9)
        # The rate 3 U is bounded, so that no row jumps (a reset would jump by much of the distance).
        steps = np.diff(path.accumulated_utility[:, stage.neuron]) / np.maximum(np.diff(path.times), 1e-12)
        assert np.abs(steps).max() < 3 * 10.0


def test_permuting_the_neurons_permutes_the_prediction() -> None:
    order = (3, 0, 5, 1, 4, 2)
    reference, permuted = of_modadd(), of_modadd(order)
    assert [order[stage.neuron] for stage in permuted.rounds] == [stage.neuron for stage in reference.rounds]
    np.testing.assert_allclose(times_of(permuted), times_of(reference), rtol=1e-6)
    np.testing.assert_allclose([stage.loss for stage in permuted.rounds], [stage.loss for stage in reference.rounds],
                               rtol=1e-4, atol=1e-6)


def test_same_bits_twice() -> None:
    network = small_modadd(4, (1,), (4.0,), 2)
    first, second = (predict(network.architecture, gaussian(network, 1e-2), AlternationOptions(max_time=60.0))
                     for _ in range(2))
    assert first.rounds == second.rounds
    for name in ("times", "loss", "features", "neuron_norms", "accumulated_utility"):
        np.testing.assert_array_equal(getattr(first.trajectory, name), getattr(second.trajectory, name))
    assert torch.equal(first.final, second.final)


# ---- Stop rules


@pytest.mark.parametrize(("options", "width", "reason"), [
    (AlternationOptions(max_events=1), 3, "agf.max_events=1 activations were reached"),
    (AlternationOptions(max_time=2.0), 3, "no dormant neuron activates before time 2"),
    (AlternationOptions(loss_tolerance=0.9), 3, "all but 0.9 of the loss was learned"),
    (AlternationOptions(), 1, "no dormant neuron is left"),
])
def test_stop_rules_explain_themselves(options: AlternationOptions, width: int, reason: str) -> None:
    network = small_modadd(4, (1,), (4.0,), width)
    prediction = predict(network.architecture, gaussian(network, 1e-2), options)
    assert reason in prediction.reason
    assert len(prediction.rounds) == (0 if options.max_time else 1)
    assert prediction.complete == ("was learned" in reason)


def test_prediction_without_activation_is_all_dormant() -> None:
    network = small_modadd(4, (1,), (4.0,), 3)
    neurons = gaussian(network, 1e-2)
    prediction = predict(network.architecture, neurons, AlternationOptions(max_time=0.1))
    assert prediction.events == ()
    assert prediction.last_time == 0.0
    assert prediction.trajectory.times[-1] == pytest.approx(0.1)
    np.testing.assert_array_equal(np.unique(prediction.trajectory.loss), [prediction.trajectory.loss[0]])
    assert float((prediction.final - neurons).abs().max()) < 1e-4


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_shortest_activation_time_is_a_lower_bound_and_the_problems_unit(threshold: float) -> None:
    network = small_modadd(4, (1,), (4.0,), 4)
    neurons = gaussian(network, 1e-2)
    unit = shortest_activation_time(network.architecture, neurons, threshold)
    first = predict(network.architecture, neurons, AlternationOptions(threshold=threshold, max_events=1))
    assert 0 < unit < 10 * first.rounds[0].time
    other = small_modadd(4, (1,), (8.0,), 4)  # utility is cubic in the amplitude
    assert shortest_activation_time(other.architecture, neurons, threshold) == pytest.approx(unit / 8, rel=1e-9)


# ---- Nothing idealized: training

HORIZON = 60.0


def race() -> ExplicitNetwork:
    """Four neurons for one frequency of order 4."""
    return small_modadd(4, (1,), (4.0,), 4)


@pytest.fixture(scope="module")
def training() -> TrainingResult:
    network = race()
    return train_by_gradient_flow(network.architecture, gaussian(network, 1e-2), HORIZON, tolerance=1e-7,
                                  max_rows=20000)


def of_race(**options: float | str | bool) -> Prediction:
    network = race()
    return predict(network.architecture, gaussian(network, 1e-2),
                   AlternationOptions(max_time=HORIZON, loss_tolerance=0.0, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def decoupled() -> list[Prediction]:
    """The decoupled flow with ever lower thresholds."""
    return [of_race(cost_phase="decoupled", threshold=threshold) for threshold in (1.0, 0.25, 0.05)]


def loss_error(prediction: Prediction, training: TrainingResult) -> float:
    """Largest difference of the losses as a fraction of the initial loss."""
    ours, path = prediction.trajectory, training.trajectory
    return float(np.abs(np.interp(ours.times, path.times, path.loss) - ours.loss).max() / path.loss[0])


def crossing_times(training: TrainingResult, neurons: Sequence[int], threshold: float) -> list[float]:
    """When these neurons' norms first reach the threshold, by a spline through the recorded norms."""
    path, found = training.trajectory, []
    for neuron in neurons:
        distance = CubicSpline(path.times, 1 / threshold - 1 / path.neuron_norms[:, neuron])
        row = int(np.flatnonzero(path.neuron_norms[:, neuron] >= threshold)[0])
        found.append(float(brentq(distance, path.times[row - 1], path.times[row])))
    return found


def test_decoupled_and_interacting_from_the_start_is_gradient_flow(training: TrainingResult) -> None:
    threshold = 1.001 * float(torch.linalg.vector_norm(gaussian(race(), 1e-2), dim=1).max())
    prediction = of_race(cost_phase="decoupled", dormant_interaction=True, threshold=threshold)
    assert len(prediction.rounds) == 4
    assert loss_error(prediction, training) < 5e-4
    expected = crossing_times(training, [stage.neuron for stage in prediction.rounds], threshold)
    np.testing.assert_allclose(times_of(prediction), expected, rtol=1e-4)
    assert prediction.trajectory.times[-1] == training.trajectory.times[-1] == HORIZON
    torch.testing.assert_close(prediction.final, training.final, atol=2e-5, rtol=0)


def test_interacting_dormant_neurons_follow_training_up_to_the_first_activation(training: TrainingResult) -> None:
    """At norm 0.5 a neuron's own output already slows it down."""
    interacting, blind = (of_race(threshold=0.5, max_events=1, dormant_interaction=interaction)
                          for interaction in (True, False))
    (expected,) = crossing_times(training, [interacting.rounds[0].neuron], 0.5)
    assert interacting.last_time == pytest.approx(expected, rel=2e-5)
    assert blind.last_time < expected * (1 - 2e-4)


def test_decoupled_variant_tends_to_training_as_the_threshold_falls(
    training: TrainingResult, decoupled: list[Prediction],
) -> None:
    errors = [loss_error(prediction, training) for prediction in decoupled]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[-1] < 1e-3


def test_decoupled_loss_is_that_of_all_neurons_and_continuous(decoupled: list[Prediction]) -> None:
    path = decoupled[1].trajectory
    network = race()
    assert path.loss[-1] == pytest.approx(float(network.loss(decoupled[1].final)), abs=1e-10)
    at_activation = np.flatnonzero(np.diff(path.times) == 0)
    np.testing.assert_allclose(np.diff(path.loss)[at_activation], 0.0, atol=1e-9)


def test_decoupled_path_shows_drops_and_no_ramps_before_them(
    training: TrainingResult, decoupled: list[Prediction],
) -> None:
    """Between rows the loss changes little, so that straight lines between them are the path."""
    for prediction in decoupled:
        path = prediction.trajectory
        assert np.abs(np.diff(path.loss)).max() < 0.0101 * path.loss[0]
        assert bool((np.diff(path.times) >= 0).all())


def test_decoupled_activations_cross_the_threshold_in_training_too(
    training: TrainingResult, decoupled: list[Prediction],
) -> None:
    """At a low threshold, in the same order and at the same times."""
    rounds = decoupled[-1].rounds
    expected = crossing_times(training, [stage.neuron for stage in rounds], 0.05)
    np.testing.assert_allclose(times_of(decoupled[-1]), expected, rtol=5e-3)


def test_decoupled_diagonal_network_collapses_and_comes_back() -> None:
    """The path through the sign flip, against training."""
    network = regression_2d()
    neurons = gaussian(network, 1e-3, kind="deterministic")
    trained = train_by_gradient_flow(network.architecture, neurons, 60.0, tolerance=1e-8, max_rows=20000)
    options = AlternationOptions(cost_phase="decoupled", threshold=0.02, max_time=60.0, loss_tolerance=1e-8)
    prediction = predict(network.architecture, neurons, options)
    assert loss_error(prediction, trained) < 5e-3
    assert ("collapse", 0, "1") in kinds(prediction)
    torch.testing.assert_close(prediction.final.prod(1), torch.tensor([-0.2, 2.0]), atol=1e-3, rtol=0)
