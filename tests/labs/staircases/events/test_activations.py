from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.labs.staircases.events.activations import neuron_events
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import Staircase, find_staircase

NAMES = ("a", "b")


def through(times: np.ndarray, points: list[tuple[float, float]]) -> np.ndarray:
    """Norm that is exponential between (time, norm) points."""
    when, norm = np.array(points).T
    return np.exp(np.interp(times, when, np.log(norm)))


def steps(times: np.ndarray, drops: list[tuple[float, float]], first: float) -> Staircase:
    """Staircase of a loss that starts at `first` and falls to each level at each time, within 2% of it."""
    when = [0.0, *(x for time, _ in drops for x in (time * 0.99, time * 1.01))]
    what = [first, *(x for index in range(len(drops)) for x in ([first, *(v for _, v in drops)][index],
                                                                 drops[index][1]))]
    return find_staircase(times, np.interp(times, when, what))


def events_of(times: np.ndarray, norms: list[np.ndarray], staircase: Staircase, threshold: float = 1.0,
              directions: np.ndarray | None = None) -> list[Event]:
    stacked = np.stack(norms, axis=1)
    if directions is None:
        directions = np.zeros(stacked.shape, dtype=np.int64)
    with np.errstate(divide="ignore"):  # a neuron at the origin
        logs = np.log(stacked)
    return neuron_events(times, logs, directions, NAMES, staircase, threshold)


TIMES = np.linspace(0, 20, 2001)
FLAT = find_staircase(TIMES, np.ones_like(TIMES))


def test_crossing_is_interpolated_on_the_logarithmic_scale() -> None:
    """A norm that grows like exp(t) from 1e-6 and settles at 2 passes 1 at log(1e6), however few the rows."""
    times = np.array([0.0, 5.0, 11.0, math.log(2e6), 20.0])
    norms = np.minimum(1e-6 * np.exp(times), 2.0)
    found = events_of(times, [norms], find_staircase(times, np.array([1.0, 1.0, 1.0, 0.0, 0.0])))
    assert [event.kind for event in found] == ["activation"]
    assert found[0].time == pytest.approx(math.log(1e6), rel=1e-12)
    assert found[0].neuron == 0


@pytest.mark.parametrize("threshold", [0.1, 1.0, 3.0])
def test_threshold(threshold: float) -> None:
    norms = through(TIMES, [(0, 1e-4), (10, 10), (20, 10)])
    found = events_of(TIMES, [norms], FLAT, threshold)
    assert found[0].time == pytest.approx(10 * math.log(threshold / 1e-4) / math.log(1e5), rel=1e-9)


def test_a_neuron_that_settles_below_the_threshold() -> None:
    """It settles at 0.7 with the first drop, at time 5, and grows to 2 with the second, at time 12."""
    norms = through(TIMES, [(0, 1e-3), (4.5, 1e-2), (5, 0.7), (12, 0.7), (12.5, 2), (20, 2)])
    found = events_of(TIMES, [norms], steps(TIMES, [(5, 0.5), (12, 0.1)], 1.0))
    assert [event.kind for event in found] == ["activation"]
    assert found[0].time == pytest.approx(4.5 + 0.5 * math.log(35) / math.log(70), rel=1e-6)
    assert (found[0].loss_before, found[0].loss_after) == pytest.approx((1.0, 0.5))


def test_a_neuron_that_is_on_its_way_during_a_plateau() -> None:
    """It has gone 80% of the way when the plateau before its drop is flattest: not settled there."""
    norms = through(TIMES, [(0, 1e-3), (12, 1.0), (12.1, 1.5), (20, 1.5)])
    found = events_of(TIMES, [norms], steps(TIMES, [(8, 0.5), (12, 0.1)], 1.0))
    level = 0.5 * 1.5
    assert found[0].time == pytest.approx(12 * math.log(level / 1e-3) / math.log(1e3), rel=1e-6)


def test_neurons_that_stay_behind_never_activate() -> None:
    """Three quarters of the way from 1e-4 to 1 is 0.1."""
    behind = through(TIMES, [(0, 1e-4), (10, 0.09), (20, 0.09)])
    beyond = through(TIMES, [(0, 1e-4), (10, 0.11), (20, 0.11)])
    found = events_of(TIMES, [behind, np.full_like(TIMES, 1e-4), np.zeros_like(TIMES), beyond], FLAT)
    assert [(event.kind, event.neuron) for event in found] == [("activation", 3)]


def test_a_neuron_that_starts_at_the_threshold_has_no_events() -> None:
    assert not events_of(TIMES, [through(TIMES, [(0, 1.0), (5, 3.0), (10, 1e-5), (20, 1.0)])], FLAT)


def test_collapse_and_second_activation_in_another_direction() -> None:
    norms = through(TIMES, [(0, 1e-6), (4, 2), (8, 2), (11, 2e-6), (12, 2e-6), (16, 2), (20, 2)])
    directions = np.where(TIMES < 11.5, 1, 0)[:, None]
    loss = steps(TIMES, [(4, 0.6), (8, 0.3), (16, 0.1)], 1.0)
    found = events_of(TIMES, [norms], loss, 1.0, directions)
    assert [(event.kind, event.feature) for event in found] == [
        ("activation", "b"), ("collapse", "b"), ("activation", "a")]
    rate = math.log(1e6) / 3
    # Dated at half the activation level, although half-way back to the start is reached 3 / 2 later.
    assert found[1].time == pytest.approx(8 + math.log(4) / rate, rel=1e-6)
    assert (found[1].loss_before, found[1].loss_after) == pytest.approx((0.6, 0.3))


def test_a_dip_is_no_collapse() -> None:
    """Half-way back from 1 to 1e-6 is 1e-3."""
    dip = through(TIMES, [(0, 1e-6), (4, 2), (8, 2), (10, 2e-3), (12, 2), (20, 2)])
    assert [event.kind for event in events_of(TIMES, [dip], FLAT)] == ["activation"]
    fall = through(TIMES, [(0, 1e-6), (4, 2), (8, 2), (10, 5e-4), (12, 2), (20, 2)])
    assert [event.kind for event in events_of(TIMES, [fall], FLAT)] == [
        "activation", "collapse", "activation"]


def test_loss_around_activations() -> None:
    """Neurons 0 and 1 share the first drop; between them no plateau is resolved."""
    loss = steps(TIMES, [(5, 0.5), (12, 0.1)], 1.0)
    norms = [through(TIMES, [(0, 1e-3), (when, 2), (20, 2)]) for when in (5, 5.05, 12)]
    found = events_of(TIMES, norms, loss)
    assert [event.neuron for event in found] == [0, 1, 2]
    assert [event.loss_before for event in found] == pytest.approx([1.0, 1.0, 0.5])
    assert [event.loss_after for event in found] == pytest.approx([math.nan, 0.5, 0.1], nan_ok=True)
    assert found[1].plateau_start == pytest.approx(5, rel=0.02)
    assert found[1].plateau_end == pytest.approx(12, rel=0.02)
    assert math.isnan(found[2].plateau_end)
    assert math.isnan(found[0].plateau_start)


def test_no_neurons() -> None:
    empty = np.zeros((TIMES.size, 0))
    assert neuron_events(TIMES, empty, empty.astype(np.int64), NAMES, FLAT, 1.0) == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(-6, 6), st.permutations(range(6)))
def test_units_of_time_and_order_of_neurons_do_not_matter(
    seed: int, exponent: float, order: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    norms = np.stack([through(TIMES, [(0, 1e-4), *((time, 10 ** rng.uniform(-4, 0.5)) for time in (4, 8, 14)),
                                      (20, 1)]) for _ in range(6)], axis=1)
    directions = rng.integers(0, 2, norms.shape)
    loss = np.interp(TIMES, [0, 4, 4.1, 9, 9.1, 20], [1, 1, 0.5, 0.5, 0.1, 0.1])
    unit = 10**exponent
    found = neuron_events(TIMES, np.log(norms), directions, NAMES, find_staircase(TIMES, loss), 1.0)
    again = neuron_events(TIMES * unit, np.log(norms[:, order]), directions[:, order], NAMES,
                          find_staircase(TIMES * unit, loss), 1.0)
    moved = [(event.kind, event.feature, order[event.neuron or 0]) for event in again]
    assert sorted(moved) == sorted((event.kind, event.feature, event.neuron) for event in found)
    np.testing.assert_allclose(
        [event.time for event in again], [event.time * unit for event in found], rtol=1e-9)
