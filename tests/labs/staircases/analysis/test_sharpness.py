from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_paths import smooth, steps

from agfrun.labs.staircases.analysis.sharpness import sharpness, steepest_fall


def log_time_ramps(ends: list[tuple[float, float]], falls: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """A loss that falls in proportion to log time between each pair of times and is level between the pairs."""
    times = np.geomspace(ends[0][0] / 10, ends[-1][1] * 10, 4000)
    loss = np.ones(4000)
    for (start, end), fall in zip(ends, falls, strict=True):
        loss -= fall * np.clip(np.log(times / start) / math.log(end / start), 0, 1)
    return times, loss


def test_jumps_are_perfectly_sharp() -> None:
    found = sharpness(steps().times, steps().values)
    assert (found.drops, found.drop_duration, found.plateau_share) == (3, 0.0, 1.0)
    assert found.steepest_fall == pytest.approx(0.6)


def test_one_drop_along_log_time() -> None:
    """From 5% to 95% is 0.9 of its log duration, and 10% of time are log 1.1 of it."""
    found = sharpness(*log_time_ramps([(2.0, 10.0)], [0.7]))
    assert found.drops == 1
    assert found.drop_duration == pytest.approx(0.9 * math.log(5), rel=2e-3)
    assert found.plateau_share == pytest.approx(0.0, abs=1e-12)
    assert found.steepest_fall == pytest.approx(math.log(1.1) / math.log(5), rel=5e-3)


def test_two_drops_are_weighted_by_their_falls() -> None:
    found = sharpness(*log_time_ramps([(1.0, 2.0), (40.0, 120.0)], [0.6, 0.2]))
    assert found.drops == 2
    assert found.drop_duration == pytest.approx(0.9 * (0.75 * math.log(2) + 0.25 * math.log(3)), rel=5e-3)
    # From 5% of the first to 95% of the second; the drops are 0.9 of their lengths.
    whole = math.log(120 * 3**-0.05) - math.log(2**0.05)
    assert found.plateau_share == pytest.approx(1 - 0.9 * math.log(6) / whole, rel=5e-3)
    assert found.steepest_fall == pytest.approx(0.75 * math.log(1.1) / math.log(2), rel=5e-3)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_units_do_not_matter(time_unit: float, loss_unit: float) -> None:
    curve = smooth(0.1, 0.2, 0.1)
    rows = slice(None, None, 200)
    here, there = (dataclasses.astuple(sharpness(curve.times[rows] * t, curve.values[rows] * u))
                   for t, u in ((1.0, 1.0), (time_unit, loss_unit)))
    assert there == pytest.approx(here, rel=1e-6)


def test_every_number_says_that_longer_drops_are_smoother() -> None:
    curves = [smooth(1.0, 0.0, width) for width in (0.003, 0.01, 0.02)]
    found = [sharpness(curve.times[::30], curve.values[::30]) for curve in curves]
    assert all(sharper.drop_duration < other.drop_duration for sharper, other in zip(found, found[1:], strict=False))
    assert all(sharper.plateau_share > other.plateau_share for sharper, other in zip(found, found[1:], strict=False))
    assert all(sharper.steepest_fall > other.steepest_fall for sharper, other in zip(found, found[1:], strict=False))


def test_a_loss_that_does_not_fall_has_no_sharpness() -> None:
    found = sharpness(np.array([0.0, 1.0, 2.0]), np.ones(3))
    assert found.drops == 0
    assert all(math.isnan(value) for value in (found.drop_duration, found.plateau_share, found.steepest_fall))


def test_noise_is_no_fall() -> None:
    times = np.linspace(0.1, 10, 200)
    generator = np.random.default_rng(0)
    loss = np.where(times < 5, 1.0, 0.0)
    noisy = loss + 1e-3 * generator.standard_normal(200)
    assert steepest_fall(times, noisy) == pytest.approx(steepest_fall(times, loss), abs=5e-3)
