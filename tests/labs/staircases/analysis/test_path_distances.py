from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_paths import TIMES, distance_of_logistic_drops, smooth, steps

from agfrun.labs.staircases.analysis.distances import Curve, distance_between_jumps, integrated_distance, thinned
from agfrun.labs.staircases.analysis.rates import fit_power_law

# Jumps lie on thirds and the oracle's midpoints never do.
moments = st.lists(st.integers(0, 30).map(lambda third: third / 3), min_size=1, max_size=8).map(sorted)


@st.composite
def curves(draw: st.DrawFn, width: int = 1) -> Curve:
    times = draw(moments)
    values = draw(st.lists(st.lists(st.floats(-2, 2), min_size=width, max_size=width),
                           min_size=len(times), max_size=len(times)))
    return Curve(np.array(times), np.array(values))


def value_at(curve: Curve, time: float) -> np.ndarray:
    """The curve at a time at which it does not jump, row by row."""
    if time <= curve.times[0]:
        return curve.values[0]
    if time >= curve.times[-1]:
        return curve.values[-1]
    after = next(row for row in range(len(curve.times)) if curve.times[row] > time)
    share = (time - curve.times[after - 1]) / (curve.times[after] - curve.times[after - 1])
    return (1 - share) * curve.values[after - 1] + share * curve.values[after]


def sampled_distance(first: Curve, second: Curve, end: float, samples: int = 300) -> float:
    """Midpoint rule."""
    middles = (np.arange(samples) + 0.5) * end / samples
    return float(sum(np.abs(value_at(first, t) - value_at(second, t)).sum() for t in middles)) * end / samples


def test_ramps_that_cross() -> None:
    rising = Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    level = Curve(np.array([0.0]), np.array([0.5]))
    assert integrated_distance(rising, level, 1.0) == pytest.approx(0.25)
    assert integrated_distance(rising, level, 3.0) == pytest.approx(0.25 + 2 * 0.5)


def test_a_late_jump_counts_by_its_delay_and_its_height() -> None:
    early, late = steps((1.0,), (2.0, 0.5)), steps((1.25,), (2.0, 0.5))
    assert integrated_distance(early, late, 3.0) == pytest.approx(0.25 * 1.5, rel=1e-14)
    assert integrated_distance(early, late, 1.1) == pytest.approx(0.1 * 1.5, rel=1e-13)


@settings(max_examples=60, deadline=None)
@given(curves(2), curves(2), st.sampled_from([0.3, 2.0, 7.7, 12.0]))
def test_against_the_midpoint_rule(first: Curve, second: Curve, end: float) -> None:
    # A cell that holds one of the 32 rows or changes of sign is off by at most its width times the change there.
    allowed = 32 * (end / 300) * 8
    assert integrated_distance(first, second, end) == pytest.approx(sampled_distance(first, second, end), abs=allowed)


@given(curves(), curves(), curves())
def test_it_is_a_metric(first: Curve, second: Curve, third: Curve) -> None:
    apart = integrated_distance(first, second, 10.0)
    assert integrated_distance(first, first, 10.0) == 0
    assert integrated_distance(second, first, 10.0) == pytest.approx(apart, rel=1e-12)
    around = integrated_distance(first, third, 10.0) + integrated_distance(third, second, 10.0)
    assert apart <= around + 1e-9


@given(curves())
def test_rows_that_interpolate_change_nothing(curve: Curve) -> None:
    between = np.setdiff1d(np.linspace(curve.times[0], curve.times[-1], 7), curve.times)
    inserted = curve.limits(between)[0]
    order = np.argsort(np.append(curve.times, between), kind="stable")
    denser = Curve(np.append(curve.times, between)[order], np.vstack([curve.values, inserted])[order])
    assert integrated_distance(curve, denser, 11.0) == pytest.approx(0, abs=1e-12)


def test_limits_on_both_sides_of_a_jump() -> None:
    before, after = steps((1.0,), (2.0, 0.5)).limits(np.array([0.5, 1.0, 1.5, 9.0]))
    assert before.ravel().tolist() == [2.0, 2.0, 0.5, 0.5]
    assert after.ravel().tolist() == [2.0, 0.5, 0.5, 0.5]


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="no length"):
        integrated_distance(steps(), steps(), 0.0)


@pytest.mark.parametrize(("lag", "width"), [(0.5, 0.1), (0.0, 0.2), (-0.3, 0.25)])
def test_logistic_drops_have_their_closed_form(lag: float, width: float) -> None:
    measured = integrated_distance(smooth(0.05, lag, width), steps(), 3.0)
    assert measured == pytest.approx(distance_of_logistic_drops(0.05, lag, width), rel=1e-4)


def test_what_approaches_in_proportion_to_the_rate_has_exponent_1() -> None:
    rates = [0.1, 0.05, 0.025, 0.0125]
    law = fit_power_law(rates, [integrated_distance(smooth(rate, 0.4, 0.1), steps(), 3.0) for rate in rates])
    assert law is not None
    assert law.covers(1.0)
    assert law.exponent == pytest.approx(1.0, abs=1e-3)
    assert law.prefactor == pytest.approx(distance_of_logistic_drops(1.0, 0.4, 0.1), rel=1e-2)


def test_between_jumps_only_the_plateaus_count() -> None:
    late = steps(tuple(1.1 * time for time in TIMES))
    assert distance_between_jumps(late, steps(), 3.0, [], 0.25) == pytest.approx(0.6)
    assert distance_between_jumps(late, steps(), 3.0, TIMES, 0.25) == pytest.approx(0, abs=1e-15)
    higher = Curve(steps().times, steps().values + np.array([0, 0, 0.03, 0.03, 0, 0, 0, 0]))
    assert distance_between_jumps(higher, steps(), 3.0, TIMES, 0.25) == pytest.approx(0.03)


def test_between_jumps_an_edge_belongs_to_what_is_left() -> None:
    falling = Curve(np.array([0.0, 10.0]), np.array([1.0, 0.0]))
    nothing, one = (Curve(np.array([0.0]), np.array([level])) for level in (0.0, 1.0))
    assert distance_between_jumps(falling, nothing, 10.0, [1.0], 0.5) == pytest.approx(1.0)
    assert distance_between_jumps(falling, one, 1.5, [1.0], 0.5) == pytest.approx(0.15)


def test_thinning_keeps_the_ends_and_the_drops() -> None:
    curve = smooth(0.02, 0.2, 0.1)
    drawn = thinned(curve, 200)
    assert 50 < len(drawn.times) <= 202
    assert (drawn.times[0], drawn.times[-1]) == (curve.times[0], curve.times[-1])
    assert integrated_distance(drawn, curve, 3.0) < 2e-3
    assert thinned(steps(), 200).times.tolist() == steps().times.tolist()


def test_thinning_a_curve_that_does_not_move() -> None:
    still = Curve(np.linspace(0, 1, 1000), np.ones(1000))
    assert len(thinned(still, 50).times) <= 52
