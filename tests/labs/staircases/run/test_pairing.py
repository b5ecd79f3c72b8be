from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from agfrun.labs.staircases.events.event import Event, EventKind
from agfrun.labs.staircases.run.pairing import align, pair

NAN = math.nan


def event(time: float, feature: str = "a", neuron: int | None = None, size: float = NAN,
          kind: EventKind = "acquisition") -> Event:
    return Event(kind, time, feature, neuron, NAN, NAN, size=size)


def times(*values: float) -> list[Event]:
    return [event(value) for value in values]


def distance(one: Event, other: Event) -> float:
    return abs(math.log(one.time / other.time))


# ---- The alignment


@pytest.mark.parametrize("seed", range(12))
def test_the_alignment_is_the_best_of_all(seed: int) -> None:
    """Against all pairs of subsequences of the same, largest, length."""
    generator = np.random.default_rng(seed)
    ours, theirs = (times(*np.sort(generator.uniform(1, 100, count))) for count in generator.integers(0, 6, 2))
    count = min(len(ours), len(theirs))
    costs = [sum(distance(ours[i], theirs[j]) for i, j in zip(one, other, strict=True))
             for one in itertools.combinations(range(len(ours)), count)
             for other in itertools.combinations(range(len(theirs)), count)]
    found = align(ours, theirs, distance)
    assert len(found) == count
    assert found == sorted(found)
    assert sum(distance(ours[i], theirs[j]) for i, j in found) == pytest.approx(min(costs), abs=1e-12)


def test_pairs_that_cannot_be_are_left_out_and_the_others_kept() -> None:
    ours, theirs = times(1, 2, 3), times(1, 2, 3)
    assert align(ours, theirs, lambda one, other: math.inf if one.time == 2 else distance(one, other)) == [
        (0, 0), (2, 2)]
    assert align(ours, theirs, lambda one, other: math.inf) == []


# ---- Acquisitions


@pytest.mark.parametrize(("ours", "theirs", "expected"), [
    ((10, 100), (2, 11, 95), {0: 1, 1: 2}),  # training shows a transient first
    ((10, 100), (11, 30, 95), {0: 0, 1: 2}),  # or in between
    ((2, 10, 100), (11, 95), {1: 0, 2: 1}),  # the prediction has one too many
    ((10, 100), (95,), {1: 0}), ((10,), (9.0, 400.0), {0: 0}),
    ((10,), (4000,), {0: 0}),  # far off is far off, and not missing
    ((0.0, 5.0), (0.0, 6.0), {0: 0, 1: 1}),
])
def test_an_invented_or_missing_event_shifts_no_other(
    ours: tuple[float, ...], theirs: tuple[float, ...], expected: dict[int, int],
) -> None:
    assert pair(times(*ours), times(*theirs)) == expected


def test_features_are_apart_even_where_they_are_swapped() -> None:
    ours = [event(1, "a"), event(2, "b")]
    assert pair(ours, [event(1, "b"), event(2, "a")]) == {0: 1, 1: 0}


def test_ties_are_paired_within_their_features() -> None:
    ours = [event(5, "a"), event(5, "b"), event(5, "a")]
    theirs = [event(5, "b"), event(5, "a"), event(5, "a")]
    assert pair(ours, theirs) == {0: 1, 1: 0, 2: 2}


def test_another_sign_is_another_event() -> None:
    """The transient of the wrong sign comes first: it is not what was predicted, however near its time is."""
    ours = [event(10, size=2.0)]
    assert pair(ours, [event(10, size=-0.1), event(30, size=2.1)]) == {0: 1}
    assert pair(ours, [event(10, size=-0.1)]) == {}
    assert pair(ours, [event(10)]) == {0: 0}  # a size that is not known rules nothing out


def test_events_without_a_time_have_no_partner() -> None:
    assert pair(times(NAN, 3), times(3, NAN)) == {1: 0}


def test_nothing_has_no_partner() -> None:
    assert pair([], times(1)) == {}
    assert pair(times(1), []) == {}


# ---- Activations


def activation(time: float, neuron: int | None, feature: str = "a") -> Event:
    return event(time, feature, neuron, kind="activation")


def test_a_neuron_is_paired_with_itself_at_its_feature_first() -> None:
    """It takes b for a while, against the prediction, and then a as predicted."""
    assert pair([activation(10, 2, "a")], [activation(10, 2, "b"), activation(40, 2, "a")]) == {0: 1}


def test_a_neuron_that_takes_another_feature_is_paired_with_itself() -> None:
    ours = [activation(10, 2, "a"), activation(20, 5, "b")]
    assert pair(ours, [activation(12, 5, "a"), activation(21, 2, "b")]) == {0: 1, 1: 0}


def test_another_neuron_may_take_what_is_left_of_a_feature() -> None:
    ours = [activation(10, 2, "a"), activation(20, 5, "a")]
    assert pair(ours, [activation(11, 9, "a"), activation(19, 5, "a")]) == {0: 0, 1: 1}
    assert pair([activation(10, 2, "a")], [activation(11, 9, "b")]) == {}


def test_a_reactivation_that_training_lacks_shifts_no_other() -> None:
    """Activated, collapsed, activated again: training shows the second only."""
    assert pair([activation(1, 0), activation(50, 0)], [activation(49, 0)]) == {1: 0}


# ---- Drops of the loss


def drop(time: float, before: float, after: float, feature: str = "") -> Event:
    return replace(event(time, feature, kind="drop"), loss_before=before, loss_after=after)


def test_drops_are_paired_by_levels_and_times_whatever_their_features() -> None:
    ours = [drop(4.1, 2.0, 1.2, "a"), drop(6.5, 1.2, 0.1, "b")]
    assert pair(ours, [drop(4.3, 2.0, 1.2, "x"), drop(6.8, 1.2, 0.1)], 2.0) == {0: 0, 1: 1}


def test_the_level_tells_which_of_two_drops_is_missing() -> None:
    """In time the only measured drop is between both; its levels are those of the second."""
    ours = [drop(4.0, 2.0, 1.9), drop(9.0, 1.9, 0.1)]
    assert pair(ours, [drop(6.0, 1.9, 0.1)], 2.0) == {1: 0}
    assert pair(ours, [drop(6.0, 2.0, 1.9)], 2.0) == {0: 0}
