from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_staircases import (
    KnownStaircase,
    random_staircase,
    record,
    relaxation,
    sigmoid_in_log_time,
    sigmoid_in_time,
    staircase,
)

from agfrun.labs.staircases.events.plateaus import Staircase, find_drops, find_plateaus, find_staircase
from agfrun.labs.staircases.events.segmentation import StaircaseCriteria

seeds = st.integers(0, 10**6)
PROPERTY = settings(max_examples=40, deadline=None)


def levels(found: Staircase) -> np.ndarray:
    return np.array([plateau.level for plateau in found.plateaus])


def adjacent_drop(known: KnownStaircase) -> np.ndarray:
    """The smaller of the drops beside each plateau."""
    drops = -np.diff(known.levels)
    return np.minimum(np.append(drops, drops[-1]), np.insert(drops, 0, drops[0]))


def assert_found(known: KnownStaircase, level_error: float, time_error: float) -> None:
    """Levels to a part of the smaller drop beside, drop times to a part of the drop's width."""
    found = find_staircase(known.times, known.loss)
    assert levels(found).size == known.levels.size
    assert len(found.drops) == known.levels.size - 1
    assert (np.abs(levels(found) - known.levels) <= level_error * adjacent_drop(known)).all()
    errors = np.abs(np.array([drop.time for drop in found.drops]) - known.drop_times)
    assert (errors <= time_error * known.widths + 1e-12 * known.drop_times).all()


def assert_consistent(found: Staircase, times: np.ndarray) -> None:
    """Plateaus and drops alternate and share their ends."""
    for plateau, drop in zip(found.plateaus, found.drops, strict=False):
        assert plateau.end == drop.start <= drop.time <= drop.end
        assert drop.loss_before == plateau.level > drop.loss_after
    for drop, plateau in zip(found.drops, found.plateaus[1:], strict=False):
        assert drop.end == plateau.start < plateau.end
        assert plateau.start <= plateau.level_time <= plateau.end
    assert found.plateaus[0].start == times[0]
    assert len(found.plateaus) - len(found.drops) in (0, 1)
    assert len(found.plateaus) == len(found.drops) or found.plateaus[-1].end == times[-1]


def test_random_staircases_are_found() -> None:
    for seed in range(200):
        known = random_staircase(seed)
        # Rows are up to a third of the width apart, so that interpolation alone costs 4% of it.
        assert_found(known, level_error=0.01, time_error=0.05)
        assert_consistent(find_staircase(known.times, known.loss), known.times)


def test_random_staircases_are_found_through_noise() -> None:
    for seed in range(100):
        known = random_staircase(seed).with_noise(0.01, np.random.default_rng(seed))
        assert_found(known, level_error=0.05, time_error=0.2)
        assert_consistent(find_staircase(known.times, known.loss), known.times)


@PROPERTY
@given(seeds, st.floats(-6, 6), st.floats(-12, 12))
def test_units_do_not_matter(seed: int, time_exponent: float, loss_exponent: float) -> None:
    known = random_staircase(seed)
    unit, value = 10**time_exponent, 10**loss_exponent
    found = find_staircase(known.times, known.loss)
    scaled = find_staircase(known.times * unit, known.loss * value)
    np.testing.assert_allclose(
        levels(scaled), levels(found) * value, rtol=1e-9, atol=1e-12 * value * known.loss[0])
    np.testing.assert_allclose([drop.time for drop in scaled.drops],
                               [drop.time * unit for drop in found.drops], rtol=1e-9)


@PROPERTY
@given(seeds, st.floats(0.0, 0.01))
def test_interpolated_rows_do_not_matter(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    known = random_staircase(seed).with_noise(noise, rng)
    times, loss = known.times, known.loss
    logarithms = rng.uniform(np.log(times[1]), np.log(times[-1]), 300)
    extra = np.setdiff1d(np.append(rng.uniform(0, times[-1], 300), np.exp(logarithms)), times)
    order = np.argsort(np.append(times, extra), kind="stable")
    finer = np.append(times, extra)[order], np.append(loss, np.interp(extra, times, loss))[order]
    found, again = find_staircase(times, loss), find_staircase(*finer)
    assert len(again.plateaus) == len(found.plateaus)
    tolerance = (0.002 + 5 * noise) * adjacent_drop(known)
    assert (np.abs(levels(again) - levels(found)) <= tolerance).all()
    shifts = np.abs([a.time - b.time for a, b in zip(again.drops, found.drops, strict=True)])
    assert (shifts <= (0.01 + 10 * noise) * known.widths + 1e-12 * known.drop_times).all()


def test_sub_drops_within_features() -> None:
    """Three features of energies 50, 12.5 and 3.125, each learned in five steps within 10% of the time."""
    left = np.array([8 / 9, 5 / 9, 0.326, 1 / 6, 0.0])
    energies = np.array([50.0, 12.5, 3.125])
    after = np.concatenate([energies[k] * left + energies[k + 1:].sum() for k in range(3)])
    starts = np.concatenate([when * (1 + 0.02 * np.arange(5)) for when in (2e2, 3e3, 4e6)])
    widths = 0.003 * starts
    rows = record(starts, widths, 1e8, 80, 16)
    known = staircase(np.insert(after, 0, energies.sum()), starts, widths, [sigmoid_in_time] * 15, rows)
    assert_found(known, level_error=1e-3, time_error=0.01)


def test_eleven_decades_of_time() -> None:
    starts = np.array([3e-3, 2.0, 5e3, 7e3, 4e7])
    widths = np.array([1e-3, 0.5, 300.0, 200.0, 5e6])
    known = staircase(np.array([1.0, 0.7, 0.4, 0.1, 1e-3, 1e-10]), starts, widths, [sigmoid_in_log_time] * 5,
                      record(starts, widths, 1e8, 100, 30))
    assert_found(known, level_error=1e-3, time_error=0.05)


def test_wide_drops_on_the_logarithmic_clock() -> None:
    """Power-law tails, L = sum c_i / (1 + (t / t_i)^4): on the linear clock no stretch is flat."""
    times = np.insert(np.geomspace(1e-3, 1e6, 600), 0, 0.0)
    loss = sum(size / (1 + (times / when) ** 4) for size, when in ((4.0, 1.0), (2.0, 20.0), (1.0, 400.0)))
    found = find_staircase(times, loss)
    np.testing.assert_allclose(levels(found), [7, 3, 1, 0], atol=0.02)
    np.testing.assert_allclose([drop.time for drop in found.drops], [1, 20, 400], rtol=0.02)


def test_slow_saddle() -> None:
    """A 1/t tail towards level 1 that the next drop cuts off when 1/41 of the first is left."""
    tail = np.concatenate([np.linspace(0, 10, 300), np.linspace(10, 80, 300)[1:]])
    times = np.insert(10 + tail, 0, 0.0)
    loss = 1 / (1 + tail) + sigmoid_in_time(times[1:], 50.0, 1.0)
    found = find_staircase(times, np.insert(loss, 0, 2.0))
    assert len(found.plateaus) == 3
    assert found.plateaus[1].level == pytest.approx(1 + 1 / 41, abs=0.002)
    assert found.drops[1].time == pytest.approx(50, abs=0.1)


def test_drops_at_nearly_the_same_time_are_one() -> None:
    starts, widths = np.array([10.0, 10.5, 40.0]), np.array([1.0, 1.0, 1.0])
    known = staircase(np.array([3.0, 2.0, 1.0, 0.0]), starts, widths, [sigmoid_in_time] * 3,
                      record(starts, widths, 100.0, 100, 40))
    found = find_staircase(known.times, known.loss)
    np.testing.assert_allclose(levels(found), [3, 1, 0], atol=1e-3)
    assert found.drops[0].time == pytest.approx(10.25, abs=0.01)


def test_jumps_nearly_together_are_one() -> None:
    times = np.array([0.0, 1.0, 1.0, 1.0001, 1.0001, 2.0, 2.0, 3.0])
    loss = np.array([4.0, 4.0, 3.0, 3.0, 2.0, 2.0, 0.0, 0.0])
    found = find_staircase(times, loss)
    np.testing.assert_array_equal(levels(found), [4, 2, 0])
    separate = find_staircase(times, loss, StaircaseCriteria(min_duration=1e-5))
    np.testing.assert_array_equal(levels(separate), [4, 3, 2, 0])
    assert [drop.time for drop in separate.drops] == [1.0, 1.0001, 2.0]


def test_three_rows_at_one_time_are_one_jump() -> None:
    found = find_staircase(np.array([0.0, 1.0, 1.0, 1.0, 2.0]), np.array([4.0, 4.0, 3.0, 2.0, 2.0]))
    np.testing.assert_array_equal(levels(found), [4, 2])
    assert (found.drops[0].start, found.drops[0].time, found.drops[0].end) == (1.0, 1.0, 1.0)


def grid() -> np.ndarray:
    return np.insert(np.geomspace(1e-3, 1e6, 1200), 0, 0.0)


@pytest.mark.parametrize("curve", [
    lambda t: np.exp(-t),
    lambda t: np.exp(-t) + 1e-10,
    lambda t: 0.5 * np.exp(-t) + 0.5 * np.exp(-t / 20),
    lambda t: 1 / (1 + t),
    lambda t: (1 + t) ** -2,
    lambda t: (1 + t) ** -0.25,
    lambda t: 1 / np.log(np.e + t),
    lambda t: sigmoid_in_time(t, 20.0, 5.0),
], ids=["exponential", "floor", "two_rates", "hyperbola", "square", "slow_power", "logarithm", "logistic"])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_a_smooth_fall_has_no_inner_plateau(curve, noise: float) -> None:  # type: ignore[no-untyped-def]
    loss = curve(grid()) + noise * np.random.default_rng(0).normal(size=grid().size)
    found = find_staircase(grid(), loss)
    assert len(found.drops) == 1
    assert len(found.plateaus) == 2


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0, 2.0])
def test_a_record_that_ends_in_a_fall_has_no_last_plateau(power: float) -> None:
    times = np.linspace(0, 10, 400)
    found = find_staircase(times, 1 - (times / 10) ** power)
    assert len(found.plateaus) == 1
    assert len(found.drops) == 1
    assert found.drops[0].loss_after == 0


def test_a_second_fall_that_is_cut_off() -> None:
    times = np.linspace(0, 50, 2000)
    found = find_staircase(times, sigmoid_in_time(times, 10.0, 2.0) + sigmoid_in_time(times, 50.0, 8.0))
    np.testing.assert_allclose(levels(found), [2, 1], atol=1e-3)
    assert len(found.drops) == 2
    assert found.drops[1].loss_after == pytest.approx(0.5)


def test_single_drop() -> None:
    times = grid()
    found = find_staircase(times, 1 + relaxation(times, 30.0, 1.0))
    assert levels(found) == pytest.approx([2, 1])
    assert found.plateaus[0].start == 0
    assert found.plateaus[-1].end == times[-1]


def test_no_drop() -> None:
    found = find_staircase(grid(), np.full(grid().size, 0.3))
    assert not found.drops
    assert len(found.plateaus) == 1
    assert found.plateaus[0].level == 0.3
    assert (found.plateaus[0].start, found.plateaus[0].end) == (0, grid()[-1])


def test_nothing_but_noise_is_one_plateau() -> None:
    for seed in range(20):
        loss = 1 + 0.05 * np.random.default_rng(seed).normal(size=grid().size)
        found = find_staircase(grid(), loss)
        assert not found.drops
        assert found.plateaus[0].level == pytest.approx(1, abs=0.05)


def test_noise_floor_far_below() -> None:
    """Below the floor of 1e-6 of the initial loss nothing is a drop, whatever the curve does there."""
    rng = np.random.default_rng(1)
    times = grid()
    floor = 1e-9 * np.abs(rng.normal(size=times.size)) + 1e-8 * (times < 1e3)
    loss = sigmoid_in_time(times, 50.0, 5.0) + floor
    assert levels(find_staircase(times, loss)) == pytest.approx([1, 0], abs=1e-7)


def test_drop_below_the_smallest_that_counts() -> None:
    times = grid()
    for size, count in ((0.003, 2), (0.008, 3)):
        loss = size * sigmoid_in_time(times, 50.0, 10.0) + sigmoid_in_time(times, 1000.0, 100.0) + 1e-3
        assert len(find_plateaus(times, loss)) == count
    assert len(find_drops(times, loss, StaircaseCriteria(min_drop=0.02))) == 1


def test_few_rows() -> None:
    one = find_staircase(np.array([0.0]), np.array([2.0]))
    assert (len(one.plateaus), len(one.drops)) == (1, 0)
    level = find_staircase(np.array([0.0, 1.0]), np.array([2.0, 2.0]))
    assert (len(level.plateaus), len(level.drops)) == (1, 0)
    fall = find_staircase(np.array([0.0, 1.0]), np.array([2.0, 1.0]))
    assert (len(fall.plateaus), len(fall.drops)) == (1, 1)
    assert fall.drops[0].time == 0.5
    jump = find_staircase(np.array([1.0, 1.0]), np.array([2.0, 1.0]))
    assert [drop.time for drop in jump.drops] == [1.0]


@pytest.mark.parametrize(("times", "loss"), [
    ([], []),
    ([0.0, 1.0], [1.0]),
    ([[0.0, 1.0]], [[1.0, 0.5]]),
    ([0.0, 1.0], [1.0, np.nan]),
    ([0.0, np.inf], [1.0, 0.5]),
    ([-1.0, 1.0], [1.0, 0.5]),
    ([0.0, 2.0, 1.0], [1.0, 0.5, 0.2]),
])
def test_bad_input_is_refused(times: list[float], loss: list[float]) -> None:
    with pytest.raises(ValueError, match="times"):
        find_staircase(np.array(times), np.array(loss))


def test_drop_index_and_context() -> None:
    times = np.array([0.0, 1.0, 1.0, 3.0, 3.0, 6.0])
    found = find_staircase(times, np.array([4.0, 4.0, 2.0, 2.0, 1.0, 1.0]))
    assert [found.drop_index(time) for time in (0.0, 1.0, 1.5, 2.5, 3.5, 6.0)] == [0, 0, 0, 1, 1, 2]
    assert found.context(0, 0) == {"loss_before": 4, "loss_after": 2, "plateau_start": 1, "plateau_end": 3}
    whole = found.context(0, 1)
    assert (whole["loss_before"], whole["loss_after"], whole["plateau_start"]) == (4, 1, 3)
    assert np.isnan(whole["plateau_end"])
    assert np.isnan(found.context(0, None)["loss_after"])
