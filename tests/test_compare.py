from __future__ import annotations

import math

import pytest

from agfrun.compare import compare, match_events, verdict
from agfrun.events.event import Event
from agfrun.theory.theory import Theory


def activation(time: float, neuron: int, feature: str = "a", before: float = 1.0, after: float = 0.5) -> Event:
    return Event("activation", time, feature, neuron, before, after)


def acquisition(time: float, feature: str, before: float = 1.0, after: float = 0.5) -> Event:
    return Event("acquisition", time, feature, None, before, after)


def theory(**bounds: float) -> Theory:
    return Theory("by hand", (("a", 0.5), ("b", 0.0)), "", (), bounds, 1.0)


def test_activations_are_matched_by_neuron_before_feature() -> None:
    predicted = [activation(1, 7, "a"), activation(2, 8, "b")]
    measured = [activation(1.1, 8, "a"), activation(1.9, 7, "b")]
    matches = match_events(predicted, measured, "activation")
    assert [match.measured for match in matches] == [measured[1], measured[0]]


def test_neurons_that_do_not_meet_are_matched_by_feature_in_order() -> None:
    predicted = [activation(1, 1, "a"), activation(2, 2, "a"), activation(3, 3, "b")]
    measured = [activation(1, 9, "a"), activation(2, 1, "b"), activation(4, 8, "a")]
    matches = match_events(predicted, measured, "activation")
    assert [match.measured for match in matches] == [measured[1], measured[0], None]


def test_second_activation_of_a_neuron_is_matched_to_its_second() -> None:
    predicted = [activation(1, 0), activation(5, 0)]
    measured = [activation(1.2, 0), activation(5.5, 0)]
    assert [match.measured for match in match_events(predicted, measured, "activation")] == measured


def test_order_matches_up_to_the_first_difference() -> None:
    predicted = [acquisition(1, "a"), acquisition(2, "b"), acquisition(3, "c")]
    measured = [acquisition(1, "a"), acquisition(2, "c"), acquisition(3, "b")]
    assert [match.order_matches for match in match_events(predicted, measured, "acquisition")] == [True, False, False]


def test_a_row_in_numbers() -> None:
    predicted = [acquisition(2.0, "a", 1.0, 0.5)]
    measured = [acquisition(2.5, "a", 1.0, 0.51)]
    row = compare(predicted, measured, theory(a=1.0), [], 1.0)[0]
    assert row["time_ratio"] == pytest.approx(0.8)
    assert row["level_error"] == pytest.approx(0.02)
    assert row["lower_bound_holds"] is True
    assert row["level_theory"] == 0.5
    assert compare(predicted, measured, theory(a=2.6), [], 1.0)[0]["lower_bound_holds"] is False


def test_an_event_that_did_not_happen_has_no_numbers() -> None:
    row = compare([acquisition(2.0, "a")], [], theory(), [], 1.0)[0]
    assert math.isnan(row["time_training"])
    assert math.isnan(row["time_ratio"])
    assert row["lower_bound_holds"] is None
    assert row["order_matches"] is False


def test_levels_near_zero_are_measured_against_the_initial_loss() -> None:
    row = compare([acquisition(1, "b", 0.5, 0.0)], [acquisition(1, "b", 0.5, 1e-5)], None, [], 10.0)[0]
    assert row["level_error"] == pytest.approx(1e-5 / 1e-2)


def test_verdict_counts_and_takes_the_worst() -> None:
    predicted = [acquisition(1.0, "a", 1, 0.5), acquisition(2.0, "b", 0.5, 0.1), acquisition(3.0, "c", 0.1, 0.0)]
    measured = [acquisition(1.25, "a", 1, 0.5), acquisition(2.0, "b", 0.5, 0.2)]
    numbers = verdict(compare(predicted, measured, None, [], 1.0))
    assert numbers["predicted_acquisitions"] == 3
    assert numbers["measured_acquisitions"] == 2
    assert numbers["in_predicted_order"] == 2
    assert numbers["worst_time_error"] == pytest.approx(0.2)
    assert numbers["worst_level_error"] == pytest.approx(1.0)
    assert verdict([])["worst_time_error"] is None
