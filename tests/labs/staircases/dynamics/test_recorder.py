"""Recording: bounded rows, dense where something happens; bounded states; norms as accumulated utility."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explicit_networks import regression_2d, regression_5d, small_modadd
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.labs.staircases.dynamics import recorder as recorder_module
from agfrun.labs.staircases.dynamics.recorder import (
    OBSERVE_TOGETHER,
    Recorder,
    accumulated_utility,
    observe,
    select_rows,
)

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@st.composite
def paths(draw: st.DrawFn) -> Columns:
    """Times that never decrease, some rows repeated, some neurons decayed to nothing."""
    count = draw(st.integers(1, 120))
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    times = np.cumsum(generator.exponential(size=count)) * 10.0 ** draw(st.integers(-5, 5))
    times[0] = 0.0
    loss = np.sort(generator.uniform(size=count))[::-1] * 10.0 ** draw(st.integers(-12, 3))
    features = generator.normal(size=(count, 2))
    norms = 10.0 ** generator.uniform(-200, 0, size=(count, 3))
    if draw(st.booleans()):
        norms[count // 2 :, 1] = 0.0
    if draw(st.booleans()):
        tail = draw(st.integers(0, count - 1))
        for column in (times, loss, features, norms):
            column[tail:] = column[tail]
    return times, loss, features, norms


@settings(max_examples=200, deadline=None)
@given(path=paths(), max_rows=st.integers(2, 150))
def test_selection_is_bounded_ordered_and_keeps_both_ends(path: Columns, max_rows: int) -> None:
    chosen = select_rows(*path, max_rows)
    count = len(path[0])
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) <= max_rows
    if count <= max_rows:
        np.testing.assert_array_equal(chosen, np.arange(count))


def staircase(count: int, drops: list[tuple[float, float]]) -> Columns:
    """Log-spaced rows of a loss of 1 with (time, width) drops, each to a third of the loss before."""
    times = np.concatenate([[0.0], np.logspace(-3, 4, count - 1)])
    fallen = [1 / (1 + np.exp(-np.clip((times - time) / width, -500, 500))) for time, width in drops]
    loss = np.prod([1 - 2 / 3 * part for part in fallen], axis=0)
    norms = 1e-6 ** (1 - np.stack(fallen, axis=1))
    return times, loss, np.stack(fallen, axis=1), norms


def largest_parts(path: Columns, chosen: np.ndarray) -> list[float]:
    """Largest change between chosen rows in what one looks at, as a share of its whole variation."""
    times, loss, features, norms = path
    first = times[1]
    columns = [np.log(np.maximum(times, first)), np.log(loss), loss, np.log(norms)]
    shares = []
    for column in columns:
        rows = column.reshape(len(times), -1)
        change = np.abs(np.diff(rows[chosen], axis=0)).max()
        shares.append(change / np.abs(np.diff(rows, axis=0)).max(1).sum())
    return shares


@pytest.mark.parametrize("max_rows", [100, 400])
def test_no_two_rows_are_far_apart_in_anything(max_rows: int) -> None:
    """Five lengths of 1 are shared by max_rows - 1 intervals; a row may lie one original step off."""
    path = staircase(100_000, [(1.0, 0.02), (30.0, 0.3), (2000.0, 5.0)])
    chosen = select_rows(*path, max_rows)
    original_step = max(largest_parts(path, np.arange(len(path[0]))))
    assert max(largest_parts(path, chosen)) <= 5 / (max_rows - 1) + 2 * original_step


def test_selection_is_dense_in_the_drops() -> None:
    """Three drops fill a hundredth of the logarithmic time, and a good part of the rows."""
    drops = [(1.0, 0.002), (30.0, 0.05), (2000.0, 3.0)]
    path = staircase(200_000, drops)
    chosen = path[0][select_rows(*path, 300)]
    evenly = np.logspace(-3, 4, 300)
    for time, width in drops:
        inside = ((chosen > time - 4 * width) & (chosen < time + 4 * width)).sum()
        assert inside >= 25
        assert inside > 5 * ((evenly > time - 4 * width) & (evenly < time + 4 * width)).sum()


def test_a_feature_that_moves_alone_is_not_missed() -> None:
    times = np.linspace(0, 10, 5001)
    bump = np.exp(-((times - 5) ** 2) / 2e-4)
    flat = np.ones_like(times)
    chosen = select_rows(times, flat, np.stack([flat, bump], axis=1), np.ones((5001, 2)), 100)
    assert bump[chosen].max() > 0.9
    assert (np.abs(times[chosen] - 5) < 0.05).sum() >= 20


def filled(count: int, max_rows: int = 2000, steps: bool = False) -> tuple[Recorder, torch.Tensor]:
    architecture = regression_5d().architecture
    recorder = Recorder(architecture, "training", max_rows)
    states = torch.randn(count, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i, state in enumerate(states):
        recorder.record(0.5 * i, state, 100.0 / (1 + i), i if steps else -1)
    return recorder, states


@pytest.mark.parametrize("count", [1, OBSERVE_TOGETHER - 1, OBSERVE_TOGETHER, 3 * OBSERVE_TOGETHER + 1])
def test_trajectory_holds_the_observables_of_each_state(count: int) -> None:
    recorder, states = filled(count, steps=True)
    trajectory = recorder.trajectory()
    architecture = recorder.architecture
    np.testing.assert_allclose(trajectory.times, 0.5 * np.arange(count))
    np.testing.assert_allclose(trajectory.loss, 100.0 / (1 + np.arange(count)))
    np.testing.assert_array_equal(trajectory.steps, np.arange(count))
    np.testing.assert_allclose(trajectory.features, states.prod(-1))
    np.testing.assert_allclose(trajectory.neuron_norms, states.norm(dim=-1))
    np.testing.assert_array_equal(trajectory.direction_feature, np.tile(np.arange(5), (count, 1)))
    np.testing.assert_allclose(trajectory.accumulated_utility, (states.norm(dim=-1) / states[0].norm(dim=-1)).log())
    assert trajectory.feature_names == architecture.feature_names
    assert trajectory.active.shape == (count, 5)
    assert not trajectory.active.any()


def test_trajectory_can_be_asked_for_again() -> None:
    recorder, _ = filled(70)
    first = recorder.trajectory()
    recorder.record(1000.0, torch.ones(5, 2, dtype=torch.float64), 0.5)
    second = recorder.trajectory()
    assert len(second.times) == len(first.times) + 1
    assert first.steps is None
    np.testing.assert_array_equal(second.features[:70], first.features)


@pytest.mark.parametrize("max_rows", [100, 250])
def test_long_recording_is_boiled_down(max_rows: int) -> None:
    recorder, states = filled(3000, max_rows)
    trajectory = recorder.trajectory()
    assert max_rows // 2 < len(trajectory.times) <= max_rows
    assert (trajectory.times[0], trajectory.times[-1]) == (0.0, 0.5 * 2999)
    index = np.round(trajectory.times / 0.5).astype(int)
    np.testing.assert_allclose(trajectory.features, states[index].prod(-1))
    # The utility accumulated from the initialization, though rows between were left out.
    expected = (states[index].norm(dim=-1) / states[0].norm(dim=-1)).log()
    np.testing.assert_allclose(trajectory.accumulated_utility, expected)


def test_states_stay_within_their_memory_evenly_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "STATE_BYTES", 40 * 5 * 2 * 8)
    architecture = regression_5d().architecture
    recorder = Recorder(architecture, "training", 2000)
    for i in range(1000):
        recorder.record(float(i), torch.full((5, 2), float(i)), 1.0)
        assert len(recorder.states) <= 40
        kept = np.array([time for time, _ in recorder.states])
        assert kept[0] == 0.0
        assert (np.diff(kept) == recorder.state_stride).all()
    assert len(recorder.states) > 10
    assert len(recorder.trajectory().times) == 1000
    for time in (0.0, 123.4, 500.0, 999.0, 5000.0):
        near, state = recorder.state_near(time)
        assert abs(near - min(time, 999.0)) <= recorder.state_stride
        assert bool((state == near).all())


def test_state_near_is_the_nearest() -> None:
    recorder, states = filled(100)
    for time, index in ((0.0, 0), (3.1, 6), (3.3, 7), (49.5, 99), (1e9, 99), (-5.0, 0)):
        kept_time, state = recorder.state_near(time)
        assert kept_time == 0.5 * index
        assert torch.equal(state, states[index])


def test_observe_of_both_networks() -> None:
    for network in (regression_5d(), small_modadd()):
        architecture = network.architecture
        states = torch.stack([network.random_neurons(seed=seed) for seed in range(4)])
        seen = observe(architecture, states)
        for i, state in enumerate(states):
            np.testing.assert_allclose(seen.features[i], architecture.features(state), rtol=1e-13)
            np.testing.assert_allclose(np.exp(seen.log_norms[i]), state.norm(dim=1))
            np.testing.assert_array_equal(seen.directions[i], architecture.neuron_feature_strengths(state).argmax(1))


@given(seed=st.integers(0, 10**6), degree=st.integers(2, 6))
def test_accumulated_utility_of_a_neuron_of_constant_utility(seed: int, degree: int) -> None:
    """With U constant the norm solves d|theta|/dt = kappa U |theta|^(kappa - 1), so S = kappa U t."""
    generator = np.random.default_rng(seed)
    start = generator.uniform(0.01, 0.1, size=3)
    utility = generator.uniform(0.1, 1.0, size=3)
    threshold = (start ** (2.0 - degree) - 1) / (degree - 2) if degree > 2 else -np.log(start)
    latest = 0.9 * threshold.min() / utility.max()
    expected = np.linspace(0, latest, 20)[:, None] * utility
    norms = start * np.exp(expected) if degree == 2 else (
        start ** (2.0 - degree) - (degree - 2) * expected) ** (1 / (2 - degree))
    np.testing.assert_allclose(accumulated_utility(np.log(norms), degree), expected, rtol=1e-9, atol=1e-9)


def test_a_neuron_at_the_origin_has_a_finite_log_norm() -> None:
    network = regression_2d()
    states = torch.tensor([[[1e-6, 0.0], [1e-6, 0.0]], [[1e-300, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    seen = observe(network.architecture, states)
    np.testing.assert_allclose(seen.log_norms[:2, 0], np.log([1e-6, 1e-300]))
    assert seen.log_norms[2, 0] == pytest.approx(np.log(np.finfo(float).tiny))
    assert np.isfinite(accumulated_utility(seen.log_norms, 2)).all()


def test_log_factors_carry_norms_below_the_smallest_float() -> None:
    network = regression_2d()
    states = network.random_neurons(seed=3)[None].repeat(2, 1, 1)
    scales = torch.tensor([[-2000.0, 0.0], [0.5, -3000.0]])
    seen = observe(network.architecture, states, scales)
    np.testing.assert_allclose(seen.log_norms, states.norm(dim=-1).log() + scales, rtol=1e-14)
    np.testing.assert_allclose(seen.features, network.architecture.features(states * scales.exp()[..., None]))
    np.testing.assert_array_equal(seen.directions, [[0, 1], [0, 1]])


def test_states_are_thinned_to_a_size_and_keep_the_first() -> None:
    recorder = Recorder.__new__(Recorder)
    recorder.states = [(float(time), torch.zeros(4, 2, dtype=torch.float64)) for time in range(100)]
    recorder.thin_states(10 * 64)
    assert 4 <= len(recorder.states) <= 10
    assert recorder.states[0][0] == 0.0
    steps = np.diff([time for time, _ in recorder.states])
    assert np.ptp(steps) == 0
    assert recorder.state_near(50.0)[0] == pytest.approx(50.0, abs=steps[0] / 2)
