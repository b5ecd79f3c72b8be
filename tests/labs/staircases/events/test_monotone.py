from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from agfrun.labs.staircases.events.monotone import FallingCurve, falling_curve, falling_fit

values = st.lists(st.floats(-100, 100), min_size=2, max_size=60)


def trapezoid_weights(times: np.ndarray) -> np.ndarray:
    half = 0.5 * np.diff(times)
    return np.append(half, 0) + np.insert(half, 0, 0)


@settings(max_examples=100, deadline=None)
@given(values, st.integers(0, 1000))
def test_fit_is_the_weighted_isotonic_regression(rows: list[float], seed: int) -> None:
    times = np.cumsum(10 ** np.random.default_rng(seed).uniform(-3, 3, len(rows)))
    expected = isotonic_regression(rows, weights=trapezoid_weights(times), increasing=False).x
    np.testing.assert_allclose(falling_fit(times, np.array(rows)), expected, rtol=1e-9, atol=1e-9)


def test_fit_leaves_a_falling_curve_alone() -> None:
    falling = np.sort(np.random.default_rng(0).normal(size=100))[::-1]
    np.testing.assert_array_equal(falling_fit(np.arange(100.0), falling), falling)


def test_fit_never_rises() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        times = np.sort(rng.integers(0, 50, 200)).astype(float)
        fitted = falling_fit(times, rng.normal(size=200))
        assert (np.diff(fitted) <= 0).all()


def test_crossing() -> None:
    curve = FallingCurve(np.array([0.0, 2.0, 2.0, 4.0, 6.0]), np.array([8.0, 6.0, 4.0, 4.0, 0.0]))
    levels = np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 0.0, -1.0])
    expected = [0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 4.5, 6.0, 6.0]
    np.testing.assert_allclose(curve.crossing(levels), expected)


def test_curve_keeps_only_the_ends_of_level_stretches() -> None:
    curve = falling_curve(np.arange(7.0), np.array([3.0, 3.0, 3.0, 2.0, 1.0, 1.0, 1.0]))
    assert curve.times.tolist() == [0, 2, 3, 4, 6]
    assert curve.levels.tolist() == [3, 3, 2, 1, 1]


def test_single_row() -> None:
    curve = falling_curve(np.array([2.0]), falling_fit(np.array([2.0]), np.array([1.0])))
    assert curve.crossing(np.array([0.5, 1.0, 2.0])) == pytest.approx([2.0, 2.0, 2.0])
