"""Order, levels, bounds and times of linear attention."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agfrun import AlternationOptions, predict, train_by_gradient_descent, train_by_gradient_flow
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegression, in_context_regression
from agfrun.labs.staircases.networks.linear_attention.dormant_head import DormantHead
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.linear_attention.theory import (
    acquisition_norms,
    growth_time,
    idealized_steps,
    incremental_bounds,
    initial_bounds,
    loss_levels,
    maximal_utilities,
)

CPU = torch.device("cpu")
PAPER = [0.96, 0.48, 0.32, 0.24]


def law(eigenvalues: list[float], context_length: int = 32, data_seed: int | None = 0) -> InContextRegression:
    return in_context_regression(eigenvalues, context_length, data_seed, torch.float64, CPU)


def network(eigenvalues: list[float], width: int = 5, rank: int = 1, parameterization: str = "restricted",
            context_length: int = 32) -> LinearAttention:
    return LinearAttention(law(eigenvalues, context_length), width, rank, parameterization)


def started(architecture: LinearAttention, scale: float, seed: int) -> Tensor:
    return architecture.initialize("gaussian", scale, torch.Generator().manual_seed(seed))


def dormant_heads(architecture: LinearAttention, initial: Tensor) -> list[DormantHead]:
    parts = [part.numpy() for part in architecture.parts(initial)]
    return [DormantHead.of(float(v[0]), keys, queries) for v, keys, queries in zip(*parts, strict=True)]


def acquisitions(result: object) -> dict[str, float]:
    events = detect_events(result.trajectory, 1.0)  # type: ignore[attr-defined]
    return {event.feature: event.time for event in events if event.kind == "acquisition"}


def test_published_levels() -> None:
    assert loss_levels(law(PAPER)) == pytest.approx([1.0, 0.562185, 0.355549, 0.225103, 0.132199], abs=5e-7)


@settings(max_examples=25)
@given(eigenvalues=st.lists(st.floats(0.1, 2), min_size=1, max_size=5), context_length=st.integers(1, 60),
       count=st.integers(0, 5))
def test_levels_are_the_losses_of_the_best_maps_of_low_rank(
    eigenvalues: list[float], context_length: int, count: int
) -> None:
    data = law(eigenvalues, context_length)
    count = min(count, data.dimension)
    coefficients = data.optimal_coefficients.clone()
    coefficients[count:] = 0
    unlearned = data.second_moment * data.eigenvalues * (data.optimal_coefficients - coefficients).square()
    best = data.minimal_losses.sum() + 0.5 * unlearned.sum()
    assert loss_levels(data)[count] == pytest.approx(float(best), rel=1e-10)


@pytest.mark.parametrize(("parameterization", "rank"), [("restricted", 1), ("restricted", 3), ("full", 1), ("full", 2)])
def test_no_unit_head_beats_the_maximal_utility(parameterization: str, rank: int) -> None:
    architecture = network(PAPER, 1, rank, parameterization)
    residual = architecture.empty_residual()
    generator = torch.Generator().manual_seed(0)
    heads = torch.randn(3000, architecture.neuron_dimension, generator=generator)
    largest = float(maximal_utilities(architecture.data)[0])
    assert largest == pytest.approx(32 * 0.96**2 / (3 * 3**0.5))
    for _ in range(200):  # projected gradient ascent
        heads = heads / heads.norm(dim=1, keepdim=True)
        heads = heads + 0.02 * architecture.utility_gradient(heads, residual)
    heads = heads / heads.norm(dim=1, keepdim=True)
    utility = architecture.utility(heads, residual)
    assert float(utility.max()) <= largest * (1 + 1e-12)
    assert float(utility.max()) == pytest.approx(largest, rel=1e-5)
    values, keys, queries = architecture.parts(heads[utility.argmax()][None])
    for part in (values, keys, queries):
        assert float(part.norm()) == pytest.approx(3**-0.5, rel=1e-3)
    assert float(queries[0, :, 0].norm()) == pytest.approx(3**-0.5, rel=1e-3)


def test_growth_time_is_that_of_the_fastest_head() -> None:
    """v = |k| = |q| along one mode: the norm obeys n' = 3 U n^2 exactly."""
    data = law([0.8])
    head = DormantHead.of(3**-0.5, torch.full((1, 1), 3**-0.5).numpy(), torch.full((1, 1), 3**-0.5).numpy())
    drives = (32 * data.eigenvalues.square()).numpy()
    expected = growth_time(1.0, 7.0, float(maximal_utilities(data)[0]))
    assert head.activation_time(drives, 7.0) == pytest.approx(expected, rel=1e-9)
    assert growth_time(2.0, 1.0, 1.0) == 0.0


def test_acquisition_norms() -> None:
    """Half of A_i shared by all heads, each balanced, has them at exactly these norms."""
    data = law(PAPER)
    for mode, norm in enumerate(acquisition_norms(data, 5)):
        part = norm / 3**0.5
        assert 5 * part**3 == pytest.approx(0.5 * float(data.optimal_coefficients[mode]))
    assert acquisition_norms(data, 5, 1e-2) == [1e-2] * 4


@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1e-2, 1e-3]), width=st.integers(3, 5))
def test_idealized_steps_respect_the_bounds(seed: int, scale: float, width: int) -> None:
    architecture = network([0.96, 0.48, 0.32], width)
    initial = started(architecture, scale, seed)
    steps = idealized_steps(architecture.data, dormant_heads(architecture, initial), 1.0)
    largest = float(initial.norm(dim=1).max())
    times = [step.time for step in steps]
    assert times == sorted(times)
    assert all(time >= bound for time, bound in zip(
        times, initial_bounds(architecture.data, width, largest), strict=True))
    if [step.modes for step in steps] == [(0,), (1,), (2,)]:
        norms = [largest, *(step.largest_norm for step in steps[:-1])]
        bounds = incremental_bounds(architecture.data, width, [0.0, *times[:-1]], norms)
        assert all(time >= bound for time, bound in zip(times, bounds, strict=True))


def test_growth_at_a_mode_s_own_rate_from_the_start_is_no_bound() -> None:
    """Why `initial_bounds` gives later modes the first one's: a head may grow along another mode before."""
    architecture = network(PAPER)
    initial = started(architecture, 1e-3, 6)
    steps = idealized_steps(architecture.data, dormant_heads(architecture, initial), 1.0)
    utilities = maximal_utilities(architecture.data).tolist()
    assert steps[1].time < 0.9 * growth_time(float(initial.norm(dim=1).max()), 1.0, utilities[steps[1].modes[0]])


@pytest.mark.parametrize("seed", [0, 1])
def test_general_engine_finds_the_quadrature_s_times(seed: int) -> None:
    architecture = network(PAPER)
    initial = started(architecture, 1e-2, seed)
    theory = architecture.theory(initial, math.log(1e-2), 1.0)
    options = AlternationOptions(cost_tolerance=1e-11, max_time=1.5 * theory.events[-1].time)
    prediction = predict(architecture, initial, options, "generic")
    assert [stage.neuron for stage in prediction.rounds] == [event.neuron for event in theory.events]
    assert [stage.feature for stage in prediction.rounds] == [event.feature for event in theory.events]
    for stage, event in zip(prediction.rounds, theory.events, strict=True):
        assert stage.time == pytest.approx(event.time, rel=1e-4)
        assert stage.loss == pytest.approx(event.loss_after, rel=1e-6)
    assert prediction.rounds[0].time == pytest.approx(theory.events[0].time, rel=1e-6)


def test_a_head_of_rank_two_learns_two_modes() -> None:
    architecture = network(PAPER, 3, 2)
    initial = started(architecture, 1e-3, 0)
    theory = architecture.theory(initial, math.log(1e-3), 1.0)
    assert [event.loss_after for event in theory.events] == pytest.approx([loss_levels(architecture.data)[2],
                                                                          loss_levels(architecture.data)[4]])
    assert [feature for feature, _ in theory.levels] == ["1", "2", "3", "4"]
    times = acquisitions(train_by_gradient_flow(architecture, initial, 1.5 * theory.events[-1].time))
    assert list(times) == ["1", "2", "3", "4"]
    assert times["1"] == pytest.approx(theory.events[0].time, rel=0.01)
    # The second follows within a time of order log(1 / scale), not 1 / scale.
    assert times["2"] - times["1"] < 0.2 * times["1"]
    assert times["4"] - times["3"] < 0.2 * times["3"]


def test_training_learns_at_the_quadrature_s_times_as_the_scale_vanishes() -> None:
    errors = []
    for scale in (1e-2, 1e-3):
        architecture = network([0.96, 0.48], 3)
        initial = started(architecture, scale, 0)
        theory = architecture.theory(initial, math.log(scale), 1.0)
        times = acquisitions(train_by_gradient_flow(architecture, initial, 1.3 * theory.events[-1].time + 20))
        assert list(times) == ["1", "2"]
        errors.append(max(abs(times[event.feature] / event.time - 1) for event in theory.events))
    assert errors[0] < 0.05
    assert errors[1] < 0.2 * errors[0]


def test_equal_eigenvalues_are_solved_and_reported() -> None:
    architecture = network([1.0, 0.5, 0.5], 4)
    initial = started(architecture, 1e-3, 1)
    theory = architecture.theory(initial, math.log(1e-3), 1.0)
    assert "2 and 3 share an eigenvalue" in theory.undecided
    assert [event.feature for event in theory.events] == ["1", "2", "3"]
    times = acquisitions(train_by_gradient_flow(architecture, initial, 1.5 * theory.events[-1].time))
    assert [times[event.feature] for event in theory.events] == pytest.approx(
        [event.time for event in theory.events], rel=0.02)
    assert architecture.theory(initial, math.log(1e-3), 1.0).lower_bounds.keys() == {"1", "2", "3"}
    assert network(PAPER).theory(started(network(PAPER), 1e-2, 0), math.log(1e-2), 1.0).undecided == ""


def test_too_few_heads_learn_the_largest_modes_only() -> None:
    architecture = network(PAPER, 2)
    theory = architecture.theory(started(architecture, 1e-2, 0), math.log(1e-2), 1.0)
    assert [feature for feature, _ in theory.levels] == ["1", "2"]
    assert len(theory.events) <= 2
    assert theory.levels[-1][1] == pytest.approx(architecture.minimal_loss)


def test_full_parameterization_has_levels_and_bounds_but_no_times() -> None:
    architecture = network(PAPER, 5, 1, "full")
    initial = started(architecture, 1e-2, 0)
    theory = architecture.theory(initial, math.log(1e-2), 1.0)
    assert theory.events == ()
    assert theory.trajectory(architecture.feature_names, 100.0) is None
    assert [level for _, level in theory.levels] == pytest.approx(loss_levels(architecture.data)[1:])
    assert min(theory.lower_bounds.values()) > 0


def test_full_training_learns_the_same_modes_in_the_same_order_at_the_same_levels() -> None:
    architecture = network([0.96, 0.48], 3, 1, "full")
    initial = started(architecture, 1e-2, 0)
    theory = architecture.theory(initial, math.log(1e-2), 1.0)
    trained = train_by_gradient_flow(architecture, initial, 400.0)
    events = [event for event in detect_events(trained.trajectory, 1.0) if event.kind == "acquisition"]
    assert [event.feature for event in events] == ["1", "2"]
    assert [event.loss_after for event in events] == pytest.approx([level for _, level in theory.levels], rel=1e-2)
    assert all(event.time >= theory.lower_bounds[event.feature] for event in events)


@pytest.mark.slow
def test_the_paper_s_gradient_descent() -> None:
    """1e5 steps of 0.01 from entries of deviation 1e-3: published coefficients, levels, order and bounds."""
    architecture = network(PAPER)
    initial = started(architecture, 3 / 2**0.5 * 1e-3, 0)
    theory = architecture.theory(initial, math.log(3 / 2**0.5 * 1e-3), 1.0)
    result = train_by_gradient_descent(architecture, initial, 100_000, learning_rate=0.01,
                                       loss_normalization="paper", convergence=0.0)
    events = [event for event in detect_events(result.trajectory, 1.0) if event.kind == "acquisition"]
    assert [event.feature for event in events] == ["1", "2", "3", "4"]
    assert [event.loss_after for event in events] == pytest.approx([0.562185, 0.355549, 0.225103, 0.132199], rel=1e-3)
    assert result.trajectory.features[-1] == pytest.approx([0.029691, 0.056054, 0.079618, 0.100806], rel=1e-3)
    starts = [0.0, *(event.plateau_start for event in events[:-1])]
    rows = [int((result.trajectory.times >= start).argmax()) for start in starts]
    norms = [sorted(result.trajectory.neuron_norms[row])[-1 - learned] for learned, row in enumerate(rows)]
    bounds = incremental_bounds(architecture.data, 5, starts, norms)
    for event, bound, predicted in zip(events, bounds, theory.events, strict=True):
        assert event.time >= max(bound, theory.lower_bounds[event.feature])
        assert event.time == pytest.approx(predicted.time, rel=0.02)
    assert math.isfinite(result.trajectory.loss[-1])
