from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agfrun.labs.staircases.events.acquisitions import feature_acquisitions
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import find_staircase

TIMES = np.linspace(0, 40, 4001)


def smooth(points: list[tuple[float, float]]) -> np.ndarray:
    """Curve that goes to each value at each time, along a logistic function of width 1."""
    curve = np.zeros_like(TIMES)
    last = 0.0
    for when, value in points:
        curve += (value - last) / (1 + np.exp(-np.clip((TIMES - when) * 10, -500, 500)))
        last = value
    return curve


def loss_steps(*points: tuple[float, float]) -> np.ndarray:
    """Loss that starts at 1."""
    return 1 + smooth([(when, value - 1) for when, value in points])


def events_of(loss: np.ndarray, *features: np.ndarray, final: list[float] | None = None) -> list[Event]:
    names = tuple("abcdef"[: len(features)])
    sizes = None if final is None else np.array(final)
    return feature_acquisitions(TIMES, np.stack(features, axis=1), names, find_staircase(TIMES, loss), sizes)


def summary(found: list[Event]) -> list[tuple[str, str]]:
    return [(event.kind, event.feature) for event in found]


def test_one_feature() -> None:
    found = events_of(loss_steps((10, 0.2)), smooth([(10, -3.0)]))
    assert summary(found) == [("acquisition", "a")]
    event = found[0]
    assert event.time == pytest.approx(10, abs=1e-6)
    assert (event.loss_before, event.loss_after) == pytest.approx((1, 0.2), abs=1e-4)
    assert event.plateau_start == pytest.approx(10.3, abs=0.05)
    assert math.isnan(event.plateau_end)
    assert event.neuron is None


def test_half_of_the_final_size() -> None:
    """0.5 on the first plateau, 2 on the second: half is passed on the way to the second."""
    found = events_of(loss_steps((10, 0.5), (20, 0.1)), smooth([(10, 0.5), (20, 2.0)]))
    assert summary(found) == [("acquisition", "a")]
    assert found[0].time == pytest.approx(20 + 0.1 * math.log(0.5 / 1.0), abs=1e-3)
    # Both drops are this feature's.
    assert (found[0].loss_before, found[0].loss_after) == pytest.approx((1, 0.1), abs=1e-4)


def test_sub_drops_are_grouped_and_other_features_readjust() -> None:
    first = smooth([(5, 0.11), (7, 0.44), (9, 1.0), (20, 1.02)])
    second = smooth([(5, 0.005), (20, 0.5), (25, 0.8)])
    loss = loss_steps((5, 0.9), (7, 0.7), (9, 0.4), (20, 0.2), (25, 0.1))
    found = events_of(loss, first, second)
    assert summary(found) == [("acquisition", "a"), ("acquisition", "b")]
    assert [event.loss_before for event in found] == pytest.approx([1, 0.4], abs=1e-4)
    assert [event.loss_after for event in found] == pytest.approx([0.4, 0.1], abs=1e-4)
    assert found[0].plateau_end == pytest.approx(20, abs=0.4)


def test_a_late_sub_drop_beyond_another_feature_is_not_grouped() -> None:
    first = smooth([(5, 0.8), (20, 1.0)])
    second = smooth([(10, 2.0)])
    found = events_of(loss_steps((5, 0.7), (10, 0.2), (20, 0.1)), first, second)
    assert [event.loss_after for event in found] == pytest.approx([0.7, 0.2], abs=1e-4)


def test_two_features_in_one_drop() -> None:
    found = events_of(loss_steps((10, 0.2)), smooth([(10, 3.0)]), smooth([(10.2, 1.0)]))
    assert summary(found) == [("acquisition", "a"), ("acquisition", "b")]
    assert math.isnan(found[0].loss_after)  # no plateau lies between the two
    assert found[1].loss_after == pytest.approx(0.2, abs=1e-4)


def test_collapse_and_return_with_the_other_sign() -> None:
    loss = loss_steps((5, 0.6), (15, 0.3), (30, 0.1))
    found = events_of(loss, smooth([(5, 0.5), (15, 0.0), (30, -0.2)]), smooth([(15, 1.5), (30, 2.0)]))
    assert summary(found) == [
        ("acquisition", "a"), ("collapse", "a"), ("acquisition", "b"), ("acquisition", "a")]
    _, collapse, other, again = found
    assert collapse.time == pytest.approx(15, abs=0.01)
    assert (collapse.loss_before, collapse.loss_after) == pytest.approx((0.6, 0.3), abs=1e-4)
    assert again.time == pytest.approx(30, abs=0.01)
    assert (again.loss_before, again.loss_after) == pytest.approx((0.3, 0.1), abs=1e-4)
    # The last drop is chiefly a's: b's acquisition is over before.
    assert (other.loss_before, other.loss_after) == pytest.approx((0.6, 0.3), abs=1e-4)


def test_sign_change_within_one_drop() -> None:
    found = events_of(loss_steps((5, 0.6), (15, 0.1)), smooth([(5, 1.0), (15, -1.0)]))
    assert summary(found) == [("acquisition", "a"), ("collapse", "a"), ("acquisition", "a")]
    # +1/2 and -1/2 of a logistic step from 1 to -1 are passed at odds 1:3 and 3:1.
    assert [event.time for event in found[1:]] == pytest.approx(
        [15 - 0.1 * math.log(3), 15 + 0.1 * math.log(3)], abs=1e-3)


def test_overshoot_and_transients_are_no_events() -> None:
    bump = np.exp(-(((TIMES - 10.5) / 0.2) ** 2))
    found = events_of(loss_steps((10, 0.2)), smooth([(10, 1.0)]) + 0.8 * bump, 0.7 * bump)
    assert summary(found) == [("acquisition", "a")]
    assert found[0].time == pytest.approx(10, abs=0.02)


def test_absent_and_small_features() -> None:
    """0.06 of the largest feature is real; fluctuations of 1e-3 are not."""
    noise = 1e-3 * 19 * np.random.default_rng(0).normal(size=TIMES.size)
    loss = loss_steps((10, 0.2), (20, 0.19))
    found = events_of(loss, smooth([(10, 19.0)]), smooth([(20, -1.2)]), np.clip(noise, -0.019, 0.019))
    assert summary(found) == [("acquisition", "a"), ("acquisition", "b")]


def test_jumps_are_dated_exactly() -> None:
    times = np.array([0.0, 1.0, 1.0, 3.0, 3.0, 7.0])
    features = np.array([[0, 0], [0, 0], [0.46, 0], [0.46, 0], [0, 1.58], [0, 1.58]])
    staircase = find_staircase(times, np.array([2.3, 2.3, 1.1, 1.1, 0.07, 0.07]))
    found = feature_acquisitions(times, features, ("a", "b"), staircase)
    assert sorted((event.time, event.kind, event.feature) for event in found) == [
        (1.0, "acquisition", "a"), (3.0, "acquisition", "b"), (3.0, "collapse", "a")]
    assert [event.plateau_start for event in found] == [1.0, 3.0, 3.0]


def test_record_that_ends_before_the_feature_has_settled() -> None:
    cut = TIMES <= 10.05
    times, loss = TIMES[cut], loss_steps((5, 0.7), (10, 0.2))[cut]
    features = np.stack([smooth([(5, 1.0)]), smooth([(10, 3.0)])], axis=1)[cut]
    found = feature_acquisitions(times, features, ("a", "b"), find_staircase(times, loss))
    assert summary(found) == [("acquisition", "a"), ("acquisition", "b")]
    assert found[1].loss_before == pytest.approx(0.7, abs=1e-4)
    assert math.isnan(found[1].loss_after)
    assert found[0].plateau_end == pytest.approx(9.7, abs=0.2)


def test_feature_that_is_there_from_the_start() -> None:
    """No acquisition to date, but its collapse is one."""
    found = events_of(loss_steps((10, 0.2)), 1 + smooth([(10, -1.0)]), smooth([(10, 2.0)]))
    assert sorted(summary(found)) == [("acquisition", "b"), ("collapse", "a")]


def test_no_features_and_no_drops() -> None:
    staircase = find_staircase(TIMES, np.ones_like(TIMES))
    assert feature_acquisitions(TIMES, np.zeros((TIMES.size, 0)), (), staircase) == []
    assert feature_acquisitions(TIMES, np.zeros((TIMES.size, 2)), ("a", "b"), staircase) == []
    assert feature_acquisitions(TIMES, smooth([(10, 1.0)])[:, None], ("a",), staircase) == []


def test_simultaneous_features_are_both_followed_by_the_plateau() -> None:
    """Rounding does not decide which of two features that come at one time ends the drop."""
    for first, second in ((1.0, 0.3), (0.3, 1.0), (-1.7, 2.9)):
        found = events_of(loss_steps((10, 0.4)), smooth([(10, first)]), smooth([(10, second)]))
        assert [event.loss_after for event in found] == pytest.approx([0.4, 0.4], abs=1e-3)


@settings(max_examples=40, deadline=None)
@example(379426, [0, 1, 2, 3], 2.0, 0.0)
@given(st.integers(0, 10**6), st.permutations(range(4)), st.floats(-6, 6), st.floats(-9, 9))
def test_order_of_features_and_units_do_not_matter(
    seed: int, order: list[int], time_exponent: float, size_exponent: float
) -> None:
    rng = np.random.default_rng(seed)
    when = (4, 10, 17, 28)
    features = np.stack([smooth([(time, rng.choice([-1, 0, 1]) * rng.uniform(0.2, 3)) for time in when])
                         for _ in range(4)], axis=1)
    loss = loss_steps(*zip(when, (0.7, 0.4, 0.2, 0.1), strict=True))
    unit, size = 10**time_exponent, 10**size_exponent
    found = feature_acquisitions(TIMES, features, tuple("abcd"), find_staircase(TIMES, loss))
    again = feature_acquisitions(
        TIMES * unit, size * features[:, order], tuple("abcd"[index] for index in order),
        find_staircase(TIMES * unit, size * loss))
    for left, right in zip(sorted(found, key=lambda e: (e.feature, e.time)),
                           sorted(again, key=lambda e: (e.feature, e.time)), strict=True):
        assert (left.kind, left.feature) == (right.kind, right.feature)
        assert right.time == pytest.approx(left.time * unit, rel=1e-9)
        assert right.loss_after == pytest.approx(left.loss_after * size, rel=1e-6, nan_ok=True)


def test_growth_that_the_loss_does_not_notice_is_no_acquisition() -> None:
    times = np.linspace(0.0, 10.0, 200)
    features = 1e-6 * np.exp(times / 2)[:, None]
    loss = 1.0 - 1e-4 * features[:, 0]
    assert feature_acquisitions(times, features, ("1",), find_staircase(times, loss)) == []


def test_a_readjustment_is_no_acquisition_and_no_collapse() -> None:
    """The second feature is pushed to 2% of its final size, with the other sign, on the first plateau."""
    loss, first = loss_steps((10, 0.5), (20, 0.1)), smooth([(10, 4.0)])
    found = events_of(loss, first, smooth([(10, -0.048), (20, 2.47)]))
    assert summary(found) == [("acquisition", "a"), ("acquisition", "b")]
    assert (found[1].time, found[1].sign) == (pytest.approx(20, abs=0.01), 1)
    # What it comes to in the end is known, though the record ends before.
    early = TIMES < 15
    known = feature_acquisitions(
        TIMES[early], np.stack([first, smooth([(10, -0.048)])], axis=1)[early], ("a", "b"),
        find_staircase(TIMES[early], loss[early]), np.array([4.0, 2.47]))
    assert summary(known) == [("acquisition", "a")]


def test_size_and_sign_of_what_is_gained_and_lost() -> None:
    found = events_of(loss_steps((5, 0.6), (15, 0.1)), smooth([(5, 1.0), (15, -2.0)]))
    assert [(event.kind, event.sign) for event in found] == [
        ("acquisition", 1), ("collapse", 1), ("acquisition", -1)]
    assert [event.size for event in found] == pytest.approx([1.0, 1.0, -2.0], abs=1e-4)


# The fall takes what a feature lacks of 3.0 from 1.5 on to zero with rate 0.4, and the loss with the square of it.
RATE = 0.4
LACK = np.where(TIMES < 10, 3.0, 3.0 * np.exp(-RATE * (TIMES - 10)))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("end", [18.0, 22.0, 30.0, 40.0])
def test_time_does_not_depend_on_where_the_record_ends(known: bool, end: float) -> None:
    """3 (1 - e^(-rate t)) is at half of 3 after log 2 / rate, at half of what the record ends with before that."""
    kept = np.less_equal(TIMES, end)
    found = feature_acquisitions(
        TIMES[kept], (3.0 - LACK)[kept, None], ("a",), find_staircase(TIMES[kept], np.square(LACK)[kept]),
        np.array([3.0]) if known else None)
    (event,) = found
    expected = 10 + math.log(2) / RATE
    assert event.time == pytest.approx(expected, rel=1e-6)
    assert abs(event.time / expected - 1) <= event.time_error < 1e-2
    assert event.size == pytest.approx(3.0, rel=1e-5)
    # Half of what the record ends with would be off by more than that where it ends early.
    assert end > 25 or 10 - math.log(1 - 0.5 * (1 - math.exp(-RATE * (end - 10)))) / RATE < expected * (1 - 1e-4)


def test_a_known_size_counts_only_if_half_of_it_is_reached_or_still_to_come() -> None:
    loss, feature = loss_steps((10, 0.5), (20, 0.1)), smooth([(10, 1.0), (20, 1.02)])
    assert events_of(loss, feature, final=[1.5])[0].size == 1.5
    for elsewhere in (5.0, -1.0, math.nan):  # it has settled at another size than the solution's
        (event,) = events_of(loss, feature, final=[elsewhere])
        assert event.size == pytest.approx(1.02, rel=1e-3)
    # Half-grown at the end of the record, in the midst of a drop: not acquired yet.
    cut = TIMES <= 9.9
    staircase = find_staircase(TIMES[cut], loss[cut])
    assert len(staircase.drops) == len(staircase.plateaus)
    sizes = feature[cut, None]
    assert feature_acquisitions(TIMES[cut], sizes, ("a",), staircase, np.array([1.0])) == []
    (unknown,) = feature_acquisitions(TIMES[cut], sizes, ("a",), staircase)
    assert math.isnan(unknown.time_error)


@pytest.mark.parametrize("spacing", [1, 4, 16])
def test_time_error_covers_the_distance_between_rows(spacing: int) -> None:
    rows = slice(spacing // 2, None, spacing)
    times, feature = TIMES[rows], (2 / (1 + np.exp(-np.clip((TIMES - 10.037) / 0.31, -500, 500))))[rows]
    staircase = find_staircase(times, 1 - 0.4 * feature)
    (event,) = feature_acquisitions(times, feature[:, None], ("a",), staircase, np.array([2.0]))
    assert abs(event.time / 10.037 - 1) <= event.time_error < 5e-3
