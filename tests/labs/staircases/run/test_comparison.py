from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.run.comparison import compare, match_events, verdict
from agfrun.labs.staircases.run.tables import COMPARISON

NAN = math.nan


def activation(time: float, neuron: int, feature: str = "1", after: float = NAN) -> Event:
    return Event("activation", time, feature, neuron, after + 1, after)


def acquisition(time: float, feature: str, after: float = NAN, before: float | None = None) -> Event:
    """Of a drop by 1 if nothing is said."""
    return Event("acquisition", time, feature, None, after + 1 if before is None else before, after)


def collapse(time: float, neuron: int, feature: str = "1") -> Event:
    return Event("collapse", time, feature, neuron, NAN, NAN)


def theory(levels: tuple[tuple[str, float], ...] = (("1", 1.0), ("2", 0.0)), **changes: Any) -> Theory:
    return replace(Theory("by hand", levels, "", (), {"1": 5.0}, 4.0), **changes)


def partners(predicted: list[Event], measured: list[Event], kind: str) -> list[Event | None]:
    return [match.measured for match in match_events(predicted, measured, kind)]


def orders(predicted: list[Event], measured: list[Event], kind: str = "acquisition") -> list[bool]:
    return [match.order_matches for match in match_events(predicted, measured, kind)]


# ---- Matching


def test_activations_are_matched_by_neuron_whatever_their_order() -> None:
    first, second = activation(3, neuron=7, feature="1"), activation(5, neuron=2, feature="2")
    predicted = [activation(2, neuron=2, feature="2"), activation(4, neuron=7, feature="1")]
    assert partners(predicted, [first, second], "activation") == [second, first]


def test_what_is_left_is_matched_by_feature() -> None:
    """Neuron 4 was predicted, neuron 9 came instead for the same feature; neuron 1 is matched to itself."""
    measured = [activation(3, neuron=9, feature="1"), activation(4, neuron=1, feature="1")]
    predicted = [activation(2, neuron=4, feature="1"), activation(5, neuron=1, feature="2")]
    assert partners(predicted, measured, "activation") == [measured[0], measured[1]]


def test_neuron_matches_take_precedence_over_earlier_events_of_the_feature() -> None:
    measured = [activation(1, neuron=0, feature="1")]
    predicted = [activation(1, neuron=5, feature="1"), activation(2, neuron=0, feature="1")]
    assert partners(predicted, measured, "activation") == [None, measured[0]]


def test_nth_activation_of_a_neuron_is_matched_to_its_nth() -> None:
    """Activated, collapsed, activated again."""
    predicted = [activation(1, 0), activation(2, 1, "2"), activation(9, 0)]
    measured = [activation(1.5, 0), activation(2.5, 1, "2"), activation(8, 0)]
    assert partners(predicted, measured, "activation") == measured


def test_acquisitions_are_matched_by_feature_the_nth_to_the_nth() -> None:
    predicted = [acquisition(1, "a"), acquisition(2, "b"), acquisition(3, "a")]
    measured = [acquisition(1, "b"), acquisition(2, "a"), acquisition(4, "a")]
    assert partners(predicted, measured, "acquisition") == [measured[1], measured[0], measured[2]]


def test_unmatched_events_have_no_partner() -> None:
    predicted = [acquisition(1, "a"), acquisition(2, "b")]
    assert partners(predicted, [acquisition(3, "c")], "acquisition") == [None, None]
    assert partners(predicted, [], "acquisition") == [None, None]
    assert match_events([], predicted, "acquisition") == []


def test_each_measured_event_is_used_once() -> None:
    measured = [acquisition(1, "a")]
    assert partners([acquisition(1, "a"), acquisition(2, "a")], measured, "acquisition") == [measured[0], None]


def test_kinds_are_kept_apart() -> None:
    predicted = [activation(1, 0, "a"), acquisition(1, "a"), collapse(2, 0, "a")]
    measured = [collapse(1, 0, "a"), acquisition(3, "a")]
    assert partners(predicted, measured, "activation") == [None]
    assert partners(predicted, measured, "acquisition") == [measured[1]]


def test_order_matches_up_to_and_including_the_event() -> None:
    predicted = [acquisition(t, feature) for t, feature in enumerate("abcd")]
    same = [acquisition(10 + t, feature) for t, feature in enumerate("abcd")]
    assert orders(predicted, same) == [True] * 4
    swapped = [same[0], same[2], same[1], same[3]]
    assert orders(predicted, swapped) == [True, False, False, False]
    assert orders(predicted, same[:2]) == [True, True, False, False]
    assert orders(predicted[:2], same) == [True, True]
    assert orders(predicted, []) == [False] * 4


def test_order_of_activations_is_that_of_features_not_of_neurons() -> None:
    predicted = [activation(1, 0, "a"), activation(2, 1, "a"), activation(3, 2, "b")]
    measured = [activation(1, 1, "a"), activation(2, 0, "a"), activation(3, 2, "b")]
    assert orders(predicted, measured, "activation") == [True, True, True]


# ---- Rows


def row_of(predicted: Event, measured: list[Event], closed: Theory | None = None,
           closed_events: list[Event] | None = None) -> dict[str, Any]:
    (row,) = compare([predicted], measured, closed, closed_events or [], initial_loss=4.0)
    return row


def test_row_of_a_matched_event() -> None:
    row = row_of(activation(6, 3, "1", after=1.0), [activation(8, 3, "1", after=1.1)], theory())
    assert (row["kind"], row["feature"], row["neuron_predicted"], row["neuron_training"]) == ("activation", "1", 3, 3)
    assert (row["time_predicted"], row["time_training"], row["time_ratio"]) == (6, 8, 0.75)
    assert (row["level_predicted"], row["level_training"]) == (1.0, 1.1)
    assert row["level_error"] == pytest.approx(0.1)  # of the drop, which is 1
    assert row["order_matches"]
    assert (row["source"], row["feature_training"]) == ("agf", "1")
    assert (row["lower_bound"], row["lower_bound_holds"]) == (5.0, True)


def test_row_of_an_event_that_training_does_not_show() -> None:
    row = row_of(activation(6, 3, "1", after=1.0), [], theory())
    assert row["neuron_training"] is None
    for column in ("time_training", "time_ratio", "level_training", "level_error"):
        assert math.isnan(row[column])
    assert not row["order_matches"]
    assert row["lower_bound"] == 5.0
    assert row["lower_bound_holds"] is None  # not decided


def test_lower_bound_is_held_against_the_measured_time() -> None:
    assert row_of(acquisition(3, "1"), [acquisition(5.1, "1")], theory())["lower_bound_holds"] is True
    assert row_of(acquisition(9, "1"), [acquisition(4.9, "1")], theory())["lower_bound_holds"] is False
    assert row_of(acquisition(9, "2"), [acquisition(4.9, "2")], theory())["lower_bound_holds"] is None


def test_without_theory_there_is_no_bound_and_no_level_of_theory() -> None:
    row = row_of(acquisition(3, "1", after=1.0), [acquisition(5, "1", after=1.0)])
    assert math.isnan(row["lower_bound"])
    assert row["lower_bound_holds"] is None
    assert math.isnan(row["level_theory"])
    assert math.isnan(row["time_theory"])


@pytest.mark.parametrize(("predicted", "measured", "error"), [
    ((4.0, 2.0), (4.0, 1.9), 0.1 / 2.1), ((1.0, 0.5), (1.0, 0.6), 0.2),
    ((0.033, 0.03), (0.033, 0.001), 29 / 32),  # thirty times too high: nearly all of the drop
    ((0.033, 0.001), (0.033, 0.03), 29 / 32), ((1.0, 0.0), (1.0, 4e-5), 4e-5),
    ((NAN, 1.0), (2.0, 1.25), 1 / 3), ((1.0, 1.0), (1.0, 1.0), NAN),
])
def test_level_error_is_a_share_of_the_drop(
    predicted: tuple[float, float], measured: tuple[float, float], error: float,
) -> None:
    row = row_of(acquisition(3, "1", predicted[1], predicted[0]), [acquisition(5, "1", measured[1], measured[0])])
    assert row["level_error"] == pytest.approx(error, nan_ok=True)


def test_unresolved_levels_give_no_error() -> None:
    assert math.isnan(row_of(acquisition(3, "1", after=2.0), [acquisition(5, "1", after=NAN)])["level_error"])
    assert math.isnan(row_of(acquisition(3, "1", after=NAN), [acquisition(5, "1", after=1.0)])["level_error"])


def test_measured_time_zero_gives_no_ratio() -> None:
    assert math.isnan(row_of(activation(0.0, 1), [activation(0.0, 1)])["time_ratio"])


def test_theory_beside_activations_is_its_event() -> None:
    closed = [activation(7, 3, "1", after=0.9), activation(2, 4, "1", after=3.0)]
    row = row_of(activation(6, 3, "1", after=1.0), [], theory(), closed)
    assert (row["time_theory"], row["level_theory"]) == (7, 0.9)


def test_a_neuron_that_takes_another_feature_is_no_agreement() -> None:
    """Neuron 2 was to take feature 1 and takes 3, long after the closed form's time for feature 1."""
    closed = [activation(1000, 2, "3", after=0.1), activation(9, 4, "1", after=1.0)]
    row = row_of(activation(10, 2, "1", after=1.0), [activation(12, 2, "3", after=1.0)], theory(), closed)
    assert (row["feature"], row["feature_training"], row["time_training"]) == ("1", "3", 12)
    assert math.isnan(row["time_ratio"])
    assert math.isnan(row["level_error"])
    assert row["lower_bound_holds"] is None
    assert not row["order_matches"]
    assert (row["time_theory"], row["level_theory"]) == (9, 1.0)  # of feature 1, whoever takes it


def test_closed_form_of_another_feature_is_left_out() -> None:
    row = row_of(activation(10, 2, "1"), [activation(10, 2, "1")], theory(), [activation(1000, 2, "3")])
    assert math.isnan(row["time_theory"])


@pytest.mark.parametrize(("measured", "error", "resolution", "within"), [
    (2.1, 0.06, 0.0, True), (2.5, 0.06, 0.0, False), (2.1, NAN, 1.0, None), (2.5, 0.06, 0.15, True)])
def test_estimated_errors_stand_beside_the_measured_ones(measured: float, error: float, resolution: float,
                                                         within: bool | None) -> None:
    event = acquisition(2.0, "1")
    (row,) = compare([event], [acquisition(measured, "1")], None, [], 4.0, source="own_size", errors={event: error},
                     resolution=resolution)
    assert row["source"] == "own_size"
    assert row["time_error_predicted"] == pytest.approx(error, nan_ok=True)
    assert row["within_predicted_error"] is within


def test_an_event_without_a_time_has_no_partner() -> None:
    row = row_of(acquisition(NAN, "1"), [acquisition(5, "1")])
    assert math.isnan(row["time_training"])
    assert row["order_matches"]  # of the order it says something


def test_theory_beside_acquisitions_is_its_level_in_turn() -> None:
    """Feature 1 is acquired, lost to feature 2 and acquired again."""
    levels = (("1", 1.1), ("2", 0.07), ("1", 0.0))
    events = [acquisition(1, "1"), acquisition(2, "2"), acquisition(3, "1"), acquisition(4, "1")]
    rows = compare(events, [], theory(levels), [], 4.0)
    assert [row["level_theory"] for row in rows[:3]] == [1.1, 0.07, 0.0]
    assert math.isnan(rows[3]["level_theory"])


def test_acquisitions_come_first_then_activations_and_collapses_are_not_compared() -> None:
    predicted = [activation(1, 0), acquisition(1.5, "1"), collapse(2, 0), activation(3, 1)]
    rows = compare(predicted, predicted, None, [], 4.0)
    assert [(row["event"], row["kind"], row["time_predicted"]) for row in rows] == [
        (1, "acquisition", 1.5), (2, "activation", 1), (3, "activation", 3)]
    assert [row["time_ratio"] for row in rows] == [1.0, 1.0, 1.0]


def test_columns_are_those_of_the_table() -> None:
    assert list(row_of(acquisition(3, "1"), [])) == COMPARISON.names


def test_nothing_predicted_gives_no_rows() -> None:
    assert compare([], [acquisition(1, "1")], theory(), [], 4.0) == []


# ---- Verdict


def test_verdict_counts_acquisitions_only() -> None:
    predicted = [acquisition(2, "a", 1.0), acquisition(4, "b", 0.5), acquisition(9, "c", 0.0), activation(1, 0)]
    measured = [acquisition(2.5, "a", 1.02), acquisition(3.2, "b", 0.5), activation(9, 0)]
    assert verdict(compare(predicted, measured, None, [], 4.0)) == {
        "order_agrees": False, "predicted_acquisitions": 3, "measured_acquisitions": 2, "in_predicted_order": 2,
        "worst_time_error": pytest.approx(0.25), "worst_level_error": pytest.approx(0.02)}


def test_the_order_agrees_where_all_that_is_predicted_comes_in_order() -> None:
    predicted = [acquisition(2, "a"), acquisition(4, "b")]
    in_order, swapped = [acquisition(3, "a"), acquisition(5, "b")], [acquisition(3, "b"), acquisition(5, "a")]
    assert verdict(compare(predicted, in_order, None, [], 4.0))["order_agrees"] is True
    assert verdict(compare(predicted, swapped, None, [], 4.0))["order_agrees"] is False
    assert verdict(compare(predicted, in_order[:1], None, [], 4.0))["order_agrees"] is False
    # Activations decide nothing.
    assert verdict(compare([activation(1, 0)], [activation(1, 0)], None, [], 4.0))["order_agrees"] is None


def test_verdict_takes_errors_to_either_side() -> None:
    predicted = [acquisition(2, "a", 1.0), acquisition(4, "b", 0.5)]
    measured = [acquisition(4, "a", NAN), acquisition(3.2, "b", 0.25)]
    found = verdict(compare(predicted, measured, None, [], 4.0))
    assert found["worst_time_error"] == pytest.approx(0.5)
    assert found["worst_level_error"] == pytest.approx(0.25)  # the level that is not resolved is left out


@pytest.mark.parametrize("measured", [[], [activation(1, 0)]])
def test_verdict_without_a_measured_acquisition_has_no_errors(measured: list[Event]) -> None:
    found = verdict(compare([acquisition(2, "a", 1.0)], measured, None, [], 4.0))
    assert found["measured_acquisitions"] == 0
    assert found["worst_time_error"] is None
    assert found["worst_level_error"] is None


def test_verdict_of_nothing() -> None:
    assert verdict([]) == {"order_agrees": None, "predicted_acquisitions": 0, "measured_acquisitions": 0,
                           "in_predicted_order": 0, "worst_time_error": None, "worst_level_error": None}
