from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, lsq_linear

from agfrun.theory.successive_saddles import Saddle, hyperbola_ends, signed_least_squares, successive_saddles

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


# ---- Ends of the hyperbolas


def squared_norm(q: float, total: float, difference: float) -> float:
    """From the parameters: u + v = total e^q, u - v = difference e^-q."""
    grown, shrunk = total * math.exp(q), difference * math.exp(-q)
    u, v = (grown + shrunk) / 2, (grown - shrunk) / 2
    return u**2 + v**2


@pytest.mark.parametrize("scale", [0.3, 1e-2, 1e-6])
def test_ends_of_the_deterministic_initialization(scale: float) -> None:
    start = math.sqrt(2) * scale
    lower, upper = hyperbola_ends(np.array([start]), np.array([start]), 1.0)
    expected = 0.5 * math.acosh(1 / (2 * scale**2))
    assert upper[0] == pytest.approx(expected, rel=1e-12)
    assert lower[0] == pytest.approx(-expected, rel=1e-12)


def test_ends_at_a_scale_whose_square_underflows() -> None:
    """arccosh(1 / (2 a^2)) / 2 = log(1 / a) to double precision once a < 1e-8."""
    start = np.array([math.sqrt(2) * 1e-200])
    lower, upper = hyperbola_ends(start, start, 1.0)
    assert upper[0] == pytest.approx(200 * math.log(10), rel=1e-14)
    assert lower[0] == pytest.approx(-200 * math.log(10), rel=1e-14)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), exponent=st.floats(-12, -1), threshold=st.floats(0.5, 2.0))
def test_ends_of_a_gaussian_initialization_are_where_the_norm_reaches_the_threshold(
    seed: int, exponent: float, threshold: float,
) -> None:
    u, v = 10**exponent * np.random.default_rng(seed).normal(size=2)
    assume(u**2 + v**2 < 0.9 * threshold**2)
    total, difference = u + v, u - v
    lower, upper = hyperbola_ends(np.array([total]), np.array([difference]), threshold)

    def excess(q: float) -> float:
        return squared_norm(q, total, difference) - threshold**2

    # The squared norm is convex in q and below the threshold at q = 0: one end on each side.
    assert upper[0] == pytest.approx(brentq(excess, 0, 60, xtol=1e-14), rel=1e-9, abs=1e-9)
    assert lower[0] == pytest.approx(brentq(excess, -60, 0, xtol=1e-14), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_balanced_neurons_have_one_end(threshold: float) -> None:
    scale = 1e-3
    lower, upper = hyperbola_ends(np.array([2 * scale, 0.0]), np.array([0.0, 2 * scale]), threshold)
    reached = math.log(threshold / (math.sqrt(2) * scale))
    np.testing.assert_allclose([upper[0], lower[1]], [reached, -reached], rtol=1e-12)
    assert lower[0] == -math.inf
    assert upper[1] == math.inf
