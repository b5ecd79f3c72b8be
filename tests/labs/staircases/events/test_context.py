from __future__ import annotations

import math

import pytest

from agfrun.labs.staircases.events.context import place_on_plateaus
from agfrun.labs.staircases.events.event import Event, EventKind
from agfrun.labs.staircases.events.plateaus import Drop, Plateau, Staircase

NAN = math.nan
# Levels 4, 2, 1, 0; drops at 10, 20, 30; flattest points in the middle of the plateaus.
PLATEAUS = [Plateau(0, 9, 4.0, 0), Plateau(11, 19, 2.0, 15), Plateau(21, 29, 1.0, 25), Plateau(31, 50, 0.0, 50)]
DROPS = [Drop(9, 10, 11, 4.0, 2.0), Drop(19, 20, 21, 2.0, 1.0), Drop(29, 30, 31, 1.0, 0.0)]
STAIRCASE = Staircase(PLATEAUS, DROPS)


def event(time: float, kind: EventKind = "activation", neuron: int = 0) -> Event:
    return Event(kind, time, "1", neuron, -1.0, -1.0, -1.0, -1.0)


def contexts(events: list[Event], staircase: Staircase = STAIRCASE) -> list[tuple[float, float, float, float]]:
    return [(e.loss_before, e.loss_after, e.plateau_start, e.plateau_end) for e in place_on_plateaus(events, staircase)]


def same(found: list[tuple[float, ...]], expected: list[tuple[float, ...]]) -> bool:
    return [pytest.approx(row, nan_ok=True) for row in expected] == found


def test_each_event_gets_the_plateaus_around_its_drop() -> None:
    assert same(contexts([event(9.5), event(20), event(31)]),
                [(4, 2, 11, 19), (2, 1, 21, 29), (1, 0, 31, NAN)])


@pytest.mark.parametrize(
    ("time", "before"), [(0.1, 4.0), (14.9, 4.0), (15.1, 2.0), (24.9, 2.0), (25.1, 1.0), (49, 1.0)])
def test_drop_owns_the_time_between_the_flattest_points_beside_it(time: float, before: float) -> None:
    assert place_on_plateaus([event(time)], STAIRCASE)[0].loss_before == before


def test_only_the_last_of_several_events_in_a_drop_has_the_plateau_after_it() -> None:
    assert same(contexts([event(9), event(10), event(12)]),
                [(4, NAN, NAN, NAN), (4, NAN, NAN, NAN), (4, 2, 11, 19)])


def test_other_kinds_do_not_share_a_drop() -> None:
    """A neuron collapses in the drop in which another activates, before or after it."""
    found = contexts([event(19, "collapse"), event(20, "activation", 1), event(21, "collapse", 2)])
    assert same(found, [(2, NAN, NAN, NAN), (2, 1, 21, 29), (2, 1, 21, 29)])


def test_events_are_put_in_order_of_time_and_keep_what_they_are() -> None:
    late, early = event(20, neuron=1), event(10, "collapse", 2)
    placed = place_on_plateaus([late, early], STAIRCASE)
    assert [(e.time, e.kind, e.neuron, e.feature) for e in placed] == [
        (10, "collapse", 2, "1"), (20, "activation", 1, "1")]


def test_plateau_that_lasts_has_no_end() -> None:
    assert math.isnan(place_on_plateaus([event(30)], STAIRCASE)[0].plateau_end)


def test_record_that_ends_within_a_drop_has_no_plateau_after_it() -> None:
    unsettled = Staircase(PLATEAUS[:3], DROPS)
    assert same(contexts([event(20), event(30)], unsettled), [(2, 1, 21, 29), (1, NAN, NAN, NAN)])


def test_event_after_all_drops_stands_on_the_last_plateau() -> None:
    assert same(contexts([event(30), event(60)]), [(1, 0, 31, NAN), (0, NAN, NAN, NAN)])


def test_flat_record_has_its_one_level_before_the_event() -> None:
    flat = Staircase([Plateau(0, 50, 4.0, 25)], [])
    assert same(contexts([event(30)], flat), [(4, NAN, NAN, NAN)])


def test_no_events() -> None:
    assert place_on_plateaus([], STAIRCASE) == []
