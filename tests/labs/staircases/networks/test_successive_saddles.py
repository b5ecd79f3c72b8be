from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear, nnls

from agfrun.labs.staircases.networks.diagonal_linear.successive_saddles import (
    Saddle,
    signed_least_squares,
    successive_saddles,
)

FloatArray = np.ndarray
DESIGNS = st.tuples(st.integers(1, 6), st.integers(1, 8), st.integers(0, 10**6))


def random_design(dimension: int, samples: int, seed: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, dimension)), rng.normal(size=samples)


def drives_at(inputs: FloatArray, targets: FloatArray, coefficients: FloatArray) -> FloatArray:
    return inputs.T @ (targets - inputs @ coefficients) / len(targets)


def solve(inputs: FloatArray, targets: FloatArray, **options: float) -> list[Saddle]:
    ends = np.ones(inputs.shape[1])
    return successive_saddles(inputs, targets, -ends, ends, **options)


# ---- Least squares under sign constraints


@settings(max_examples=60, deadline=None)
@given(design=DESIGNS)
def test_signed_least_squares_is_the_bounded_minimum(design: tuple[int, int, int]) -> None:
    dimension, samples, seed = design
    inputs, targets = random_design(dimension, samples, seed)
    signs = np.random.default_rng(seed + 1).integers(-1, 2, dimension)
    ours = signed_least_squares(inputs, targets, signs)
    assert np.all(ours * signs >= 0)
    assert np.all(ours[signs == 0] == 0)
    cost = float(np.sum((targets - inputs @ ours) ** 2))
    free = signs != 0
    best = float(np.sum(targets**2))
    if free.any():
        lower, upper = np.where(signs > 0, 0.0, -np.inf)[free], np.where(signs < 0, 0.0, np.inf)[free]
        found = lsq_linear(inputs[:, free], targets, (lower, upper), method="bvls", tol=1e-14)
        best = 2 * float(found.cost)
        if samples >= free.sum():  # the minimizer is unique
            np.testing.assert_allclose(ours[free], found.x, atol=1e-9)
    assert cost == pytest.approx(best, rel=1e-9, abs=1e-12 * float(np.sum(targets**2)))


@settings(max_examples=60, deadline=None)
@given(design=DESIGNS)
def test_signed_least_squares_satisfies_the_kkt_conditions(design: tuple[int, int, int]) -> None:
    dimension, samples, seed = design
    inputs, targets = random_design(dimension, samples, seed)
    signs = np.random.default_rng(seed + 2).choice([-1, 1], dimension)
    coefficients = signed_least_squares(inputs, targets, signs)
    drives = drives_at(inputs, targets, coefficients)
    size = float(np.linalg.norm(inputs)) * float(np.linalg.norm(targets)) / samples
    assert np.all(np.abs(drives[coefficients != 0]) <= 1e-12 * size)  # stationary where free
    assert np.all((drives * signs)[coefficients == 0] <= 1e-12 * size)  # no gain in the allowed direction


def test_without_signs_all_coefficients_are_zero() -> None:
    inputs, targets = random_design(3, 4, 0)
    assert np.all(signed_least_squares(inputs, targets, np.zeros(3, dtype=int)) == 0)


# ---- The sequence


@settings(max_examples=60, deadline=None)
@given(design=DESIGNS)
def test_sequence_solves_the_differential_inclusion(design: tuple[int, int, int]) -> None:
    """The levels are the integral of the drives and stay in [-1, 1]; a coefficient is not zero only at the
    end of its sign; at either end the coefficient is optimal. This characterizes the limit of the flow."""
    inputs, targets = random_design(*design)
    saddles = solve(inputs, targets)
    size = float(np.abs(drives_at(inputs, targets, np.zeros(inputs.shape[1]))).max())
    assume(saddles and saddles[-1].time * size < 1e6)  # else nearly collinear: rounding decides
    time, levels, coefficients = 0.0, np.zeros(inputs.shape[1]), np.zeros(inputs.shape[1])
    for saddle in saddles:
        drives = drives_at(inputs, targets, coefficients)
        wait = saddle.time - time
        np.testing.assert_allclose(saddle.levels, levels + wait * drives, atol=1e-12 * (1 + wait * size))
        assert np.all(np.abs(saddle.levels) <= 1 + 1e-9)
        time, levels, coefficients = saddle.time, saddle.levels, saddle.coefficients
        assert levels[saddle.coordinate] == saddle.sign
        learned = coefficients != 0
        np.testing.assert_array_equal(levels[learned], np.sign(coefficients[learned]))
        after = drives_at(inputs, targets, coefficients)
        assert np.all(np.abs(after[learned]) <= 1e-10 * size)
        at_end = ~learned & (np.abs(levels) == 1)
        assert np.all((after * levels)[at_end] <= 1e-10 * size)


@settings(max_examples=60, deadline=None)
@given(design=DESIGNS)
def test_loss_falls_and_times_rise(design: tuple[int, int, int]) -> None:
    inputs, targets = random_design(*design)
    saddles = solve(inputs, targets)
    losses = [0.5 * float(np.mean(targets**2)), *(saddle.loss for saddle in saddles)]
    assert all(after < before for before, after in pairwise(losses))
    assert all(first.time <= second.time for first, second in pairwise(saddles))
    for saddle in saddles:
        assert saddle.loss == pytest.approx(0.5 * np.mean((targets - inputs @ saddle.coefficients) ** 2), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(design=DESIGNS)
def test_sequence_ends_at_least_squares(design: tuple[int, int, int]) -> None:
    dimension, samples, seed = design
    inputs, targets = random_design(dimension, samples, seed)
    best = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    expected = 0.5 * float(np.mean((targets - inputs @ best) ** 2))
    final = solve(inputs, targets)[-1]
    assert final.loss == pytest.approx(expected, rel=1e-9, abs=1e-12 * float(np.mean(targets**2)))


@settings(max_examples=40, deadline=None)
@given(design=DESIGNS)
def test_collapsed_coordinates_went_back_to_zero(design: tuple[int, int, int]) -> None:
    inputs, targets = random_design(*design)
    before = np.zeros(inputs.shape[1])
    for saddle in solve(inputs, targets):
        gone = np.flatnonzero((before != 0) & (saddle.coefficients == 0))
        assert saddle.collapsed == tuple(gone.tolist())
        before = saddle.coefficients


def test_orthogonal_design_learns_each_coordinate_at_the_inverse_of_its_drive() -> None:
    """X^T X = n I: coordinates never interact, t_i = 1 / |beta_i|, and the loss loses beta_i^2 / 2."""
    coefficients = np.array([0.5, -3.0, 2.0, 0.0])
    inputs = 2 * np.eye(4)
    saddles = solve(inputs, inputs @ coefficients)
    assert [saddle.coordinate for saddle in saddles] == [1, 2, 0]
    assert [saddle.sign for saddle in saddles] == [-1, 1, 1]
    np.testing.assert_allclose([saddle.time for saddle in saddles], [1 / 3, 1 / 2, 2.0], rtol=1e-12)
    np.testing.assert_allclose([saddle.loss for saddle in saddles], [0.5 * 4.25, 0.125, 0.0], atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(design=DESIGNS, stretch=st.floats(0.1, 50), scale=st.floats(0.1, 20))
def test_times_follow_the_ends_and_the_targets(
    design: tuple[int, int, int], stretch: float, scale: float,
) -> None:
    """Ends `stretch` times as far, targets `scale` times as large: times multiply by stretch / scale."""
    inputs, targets = random_design(*design)
    ends = np.full(inputs.shape[1], stretch)
    reference, other = solve(inputs, targets), successive_saddles(inputs, scale * targets, -ends, ends)
    assert [saddle.coordinate for saddle in other] == [saddle.coordinate for saddle in reference]
    np.testing.assert_allclose([saddle.time for saddle in other],
                               [saddle.time * stretch / scale for saddle in reference], rtol=1e-8)


def test_permuting_the_inputs_permutes_the_sequence() -> None:
    inputs, targets = random_design(5, 8, 3)
    order = np.array([3, 0, 4, 1, 2])
    reference, permuted = solve(inputs, targets), solve(inputs[:, order], targets)
    assert [int(order[saddle.coordinate]) for saddle in permuted] == [saddle.coordinate for saddle in reference]
    np.testing.assert_allclose([saddle.time for saddle in permuted], [saddle.time for saddle in reference], rtol=1e-10)


def test_infinite_end_is_never_reached() -> None:
    """A balanced neuron with u = v can only make its coefficient positive."""
    inputs = np.sqrt(2) * np.eye(2)
    targets = inputs @ np.array([-2.0, 1.0])
    saddles = successive_saddles(inputs, targets, np.array([-np.inf, -1.0]), np.ones(2))
    assert [saddle.coordinate for saddle in saddles] == [1]
    assert saddles[-1].coefficients[0] == 0


def test_stop_rules() -> None:
    inputs, targets = random_design(5, 8, 5)
    everything = solve(inputs, targets)
    assert len(everything) >= 4
    assert [s.time for s in solve(inputs, targets, max_events=2)] == [s.time for s in everything[:2]]
    between = 0.5 * (everything[1].time + everything[2].time)
    assert len(solve(inputs, targets, max_time=between)) == 2
    middle = everything[1].loss / (0.5 * float(np.mean(targets**2))) * (1 + 1e-9)
    assert len(solve(inputs, targets, loss_tolerance=middle)) == 2
    assert solve(inputs, np.zeros(8)) == []


# ---- Against brute force, and where the design is degenerate


def enumerated_minimum(inputs: FloatArray, targets: FloatArray, signs: FloatArray) -> tuple[float, FloatArray]:
    """Least squares under signs by trying every support: cost and coefficients of the best feasible one."""
    free = np.flatnonzero(signs)
    best, found = float(np.sum(targets**2)), np.zeros(inputs.shape[1])
    for size in range(1, len(free) + 1):
        for support in combinations(free.tolist(), size):
            trial = np.zeros(inputs.shape[1])
            trial[list(support)] = np.linalg.lstsq(inputs[:, support], targets, rcond=None)[0]
            cost = float(np.sum((targets - inputs @ trial) ** 2))
            if np.all(trial * signs >= 0) and cost < best * (1 - 1e-12):
                best, found = cost, trial
    return best, found


def enumerated_path(inputs: FloatArray, targets: FloatArray) -> list[tuple[float, FloatArray]]:
    """Times and coefficients when all coordinates at an end are solved for together (the published algorithm)."""
    levels, coefficients = np.zeros(inputs.shape[1]), np.zeros(inputs.shape[1])
    time, path = 0.0, []
    size = float(np.abs(drives_at(inputs, targets, coefficients)).max())
    for _ in range(60):
        drives = drives_at(inputs, targets, coefficients)
        drives[(coefficients != 0) | (np.abs(drives) < 1e-9 * size)] = 0
        # An end that is already reached is left only inwards.
        ahead = np.where(drives > 0, 1 - levels, 1 + levels)
        waits = np.divide(ahead, np.abs(drives), out=np.full(len(levels), np.inf), where=drives != 0)
        if not np.isfinite(waits.min()):
            return path
        time, levels = time + waits.min(), levels + waits.min() * drives
        levels[np.abs(np.abs(levels) - 1) < 1e-9] = np.round(levels[np.abs(np.abs(levels) - 1) < 1e-9])
        coefficients = enumerated_minimum(inputs, targets, np.where(np.abs(levels) == 1, np.sign(levels), 0))[1]
        path.append((time, coefficients))
    raise AssertionError("no end")


@settings(max_examples=60, deadline=None)
@given(dimension=st.integers(1, 4), samples=st.integers(1, 6), seed=st.integers(0, 10**6))
def test_sequence_is_that_of_the_enumeration(dimension: int, samples: int, seed: int) -> None:
    inputs, targets = random_design(dimension, samples, seed)
    saddles, path = solve(inputs, targets), enumerated_path(inputs, targets)
    size = float(np.abs(drives_at(inputs, targets, np.zeros(dimension))).max())
    assume(path and path[-1][0] * size < 1e4)  # else nearly collinear: rounding decides
    assert len(saddles) == len(path)
    for saddle, (time, coefficients) in zip(saddles, path, strict=True):
        assert saddle.time == pytest.approx(time, rel=1e-7)
        np.testing.assert_allclose(saddle.coefficients, coefficients, atol=1e-7 * (1 + np.abs(coefficients).max()))


def test_equal_columns_share_one_event_s_loss() -> None:
    """Two equal columns arrive together; the second finds nothing left."""
    column, other = np.array([1.0, 2.0, -1.0]), np.array([0.3, -0.2, 0.4])
    inputs = np.stack([column, column, other], axis=1)
    saddles = solve(inputs, inputs @ np.array([1.0, 1.0, 0.5]))
    alone = solve(inputs[:, [0, 2]], inputs @ np.array([1.0, 1.0, 0.5]))
    np.testing.assert_allclose([s.time for s in saddles], [s.time for s in alone], rtol=1e-12)
    np.testing.assert_allclose([s.loss for s in saddles], [s.loss for s in alone], atol=1e-14)
    assert saddles[-1].coefficients[0] + saddles[-1].coefficients[1] == pytest.approx(2.0, rel=1e-12)


def test_opposite_columns_are_two_names_of_one_coefficient() -> None:
    column = np.array([1.0, 2.0, -1.0])
    saddles = solve(np.stack([column, -column], axis=1), 3 * column)
    assert len(saddles) == 1
    assert float(np.array([1.0, -1.0]) @ saddles[0].coefficients) == pytest.approx(3.0)
    assert saddles[0].loss == pytest.approx(0.0, abs=1e-25)


def test_equal_drives_come_one_after_the_other_after_no_wait() -> None:
    inputs = np.sqrt(3) * np.eye(3)
    saddles = solve(inputs, inputs @ np.array([2.0, -2.0, 1.0]))
    assert [saddle.coordinate for saddle in saddles] == [0, 1, 2]
    np.testing.assert_allclose([saddle.time for saddle in saddles], [0.5, 0.5, 1.0], rtol=1e-12)
    assert [saddle.collapsed for saddle in saddles] == [(), (), ()]


def test_zero_columns_and_orthogonal_columns_never_move() -> None:
    inputs = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    saddles = solve(inputs, np.array([1.0, 1.0, 0.0]))
    assert [saddle.coordinate for saddle in saddles] == [0]
    np.testing.assert_allclose(saddles[0].levels[1:], 0.0)


@settings(max_examples=40, deadline=None)
@given(design=DESIGNS, rank=st.integers(1, 3), noise=st.booleans())
def test_rank_deficient_designs_end_at_least_squares(
    design: tuple[int, int, int], rank: int, noise: bool,
) -> None:
    """Dependent columns and noise: the loss ends at its minimum, after finitely many events, none of them rounding."""
    dimension, samples, seed = design
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(samples, rank)) @ rng.normal(size=(rank, dimension))
    targets = inputs @ rng.normal(size=dimension) + noise * rng.normal(size=samples)
    saddles = solve(inputs, targets)
    best = np.linalg.lstsq(inputs, targets, rcond=1e-12)[0]
    expected = 0.5 * float(np.mean((targets - inputs @ best) ** 2))
    initial = 0.5 * float(np.mean(targets**2))
    final = saddles[-1].loss if saddles else initial
    assert final == pytest.approx(expected, rel=1e-7, abs=1e-11 * initial)
    assert len(saddles) < 60
    losses = [initial, *(saddle.loss for saddle in saddles)]
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(losses))


@settings(max_examples=30, deadline=None)
@given(design=DESIGNS, exponent=st.floats(-8, 8))
def test_badly_scaled_columns_follow_their_own_thresholds(design: tuple[int, int, int], exponent: float) -> None:
    """Rescaling column i by c and its ends by c leaves times and outputs as they are."""
    dimension, samples, seed = design
    inputs, targets = random_design(dimension, samples, seed)
    assume(dimension < samples)
    factors = 10 ** (exponent * np.random.default_rng(seed).random(dimension))
    reference = solve(inputs, targets)
    scaled = successive_saddles(inputs * factors, targets, -factors, factors)
    assert [s.coordinate for s in scaled] == [s.coordinate for s in reference]
    np.testing.assert_allclose([s.time for s in scaled], [s.time for s in reference], rtol=1e-6)
    for ours, theirs in zip(scaled, reference, strict=True):
        np.testing.assert_allclose(ours.coefficients * factors, theirs.coefficients, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(design=DESIGNS)
def test_without_lower_ends_the_sequence_ends_at_nonnegative_least_squares(design: tuple[int, int, int]) -> None:
    inputs, targets = random_design(*design)
    ends = np.ones(inputs.shape[1])
    saddles = successive_saddles(inputs, targets, np.full_like(ends, -np.inf), ends)
    expected = nnls(inputs, targets)[1]
    final = saddles[-1].coefficients if saddles else np.zeros(inputs.shape[1])
    assert np.all(final >= 0)
    assert float(np.linalg.norm(targets - inputs @ final)) == pytest.approx(expected, rel=1e-9, abs=1e-7)
