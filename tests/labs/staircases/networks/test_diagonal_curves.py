"""Curves of the neurons of diagonal networks against an integrator, elliptic integrals and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from agfrun.labs.staircases.networks.diagonal_linear.curves import (
    NeuronCurves,
    PowerCurves,
    ProductCurves,
    neuron_curves,
)
from agfrun.labs.staircases.networks.quadratic_modadd.three_wave import blow_up_time

FloatArray = np.ndarray
DEPTHS = pytest.mark.parametrize("depth", [2, 3, 4, 6])


def random_neurons(count: int, depth: int, scale: float, seed: int = 0) -> FloatArray:
    return scale * np.random.default_rng(seed).normal(size=(count, depth))


def states_at(curves: NeuronCurves, levels: FloatArray) -> FloatArray:
    neurons, log_factors = curves.at(curves.positions(levels))
    return neurons * np.exp(log_factors)[..., None]


def integrated(neuron: FloatArray, level: float) -> FloatArray:
    """du_l/dq = product of the other layers, from an independent integrator."""
    def velocity(_: float, layers: FloatArray) -> FloatArray:
        return np.array([np.prod(np.delete(layers, i)) for i in range(len(layers))])

    return np.asarray(solve_ivp(velocity, (0, level), neuron, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1])


@DEPTHS
def test_neurons_along_their_curves(depth: int) -> None:
    neurons = random_neurons(3, depth, 0.3)
    curves = ProductCurves(neurons)
    ends = curves.ends(1.0)
    for share in (-1.0, -0.7, 0.0, 0.2, 0.9, 1.0):
        levels = share * np.where(share < 0, -ends[0], ends[1])
        found = states_at(curves, levels[None])[0]
        for i in range(3):
            np.testing.assert_allclose(found[i], integrated(neurons[i], levels[i]), atol=1e-10)


@DEPTHS
@pytest.mark.parametrize("scale", [0.2, 1e-3, 1e-12, 1e-40])
def test_norm_is_the_threshold_at_the_ends(depth: int, scale: float) -> None:
    curves = ProductCurves(random_neurons(5, depth, scale))
    for positions, sign in zip(curves.end_positions(1.0), (-1, 1), strict=True):
        neurons, log_factors = curves.at(positions)
        neurons = neurons * np.exp(log_factors)[:, None]
        np.testing.assert_allclose(np.linalg.norm(neurons, axis=1), 1.0, rtol=1e-12)
        assert np.all(np.sign(neurons.prod(axis=1)) == sign)


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(2, 6), seed=st.integers(0, 10**6), exponent=st.floats(-8, -0.5), share=st.floats(0, 1))
def test_differences_of_squares_are_conserved(depth: int, seed: int, exponent: float, share: float) -> None:
    neurons = random_neurons(4, depth, 10**exponent, seed)
    curves = ProductCurves(neurons)
    lower, upper = curves.end_positions(1.0)
    moved, log_factors = curves.at(lower + share * (upper - lower))
    moved = moved * np.exp(log_factors)[:, None]
    squares = (moved**2).sum(axis=1)[:, None]
    drift = (moved**2 - moved[:, :1] ** 2) - (neurons**2 - neurons[:, :1] ** 2)
    assert np.all(np.abs(drift) <= 1e-13 * squares)


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(2, 6), seed=st.integers(0, 10**6), exponent=st.floats(-3, -0.5), share=st.floats(0.01, 0.99))
def test_levels_and_positions_are_inverse(depth: int, seed: int, exponent: float, share: float) -> None:
    curves = ProductCurves(random_neurons(4, depth, 10**exponent, seed))
    lower, upper = curves.ends(1.0)
    levels = lower + share * (upper - lower)
    again = curves.levels(curves.positions(levels[None])[0])
    np.testing.assert_allclose(again, levels, atol=1e-12 * float(np.abs(upper - lower).max()))
    np.testing.assert_allclose(states_at(curves, np.zeros((1, 4)))[0], random_neurons(4, depth, 10**exponent, seed),
                               rtol=1e-9, atol=1e-12 * 10**exponent)


@pytest.mark.parametrize("scale", [0.1, 1e-3, 1e-30, 1e-90])
def test_blow_up_at_depth_three_is_an_elliptic_integral(scale: float) -> None:
    neurons = random_neurons(6, 3, scale)
    lower, upper = ProductCurves(neurons).limit_ends(math.log(scale))
    np.testing.assert_allclose(upper, [blow_up_time(u, v, w, 1.0) for u, v, w in neurons], rtol=1e-11)
    np.testing.assert_allclose(lower, [-blow_up_time(-u, v, w, 1.0) for u, v, w in neurons], rtol=1e-11)


@pytest.mark.parametrize("depth", [4, 5, 7])
def test_blow_up_of_deeper_neurons_by_quadrature(depth: int) -> None:
    """From the smallest layer r: integral of dr / prod sqrt(r^2 + c_m) to infinity."""
    neurons = np.sort(np.abs(random_neurons(3, depth, 1.0)), axis=1)
    lower, upper = ProductCurves(neurons).limit_ends(math.log(1.0))
    for i, layers in enumerate(neurons):
        squares = layers[1:] ** 2 - layers[0] ** 2

        def speed(r: float, squares: FloatArray = squares) -> float:
            return float(1 / np.sqrt(r * r + squares).prod())

        assert upper[i] == pytest.approx(quad(speed, layers[0], np.inf, epsabs=0, epsrel=1e-11)[0], rel=1e-9)
        whole = 2 * quad(speed, 0, np.inf, epsabs=0, epsrel=1e-11)[0]
        assert upper[i] - lower[i] == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_blow_up_scales_with_the_initialization(depth: int) -> None:
    neurons = random_neurons(4, depth, 1.0)
    unit = ProductCurves(neurons).limit_ends(0.0)
    small = ProductCurves(1e-7 * neurons).limit_ends(math.log(1e-7))
    for at_unit, at_small in zip(unit, small, strict=True):
        np.testing.assert_allclose(at_small, at_unit * 1e7 ** (depth - 2), rtol=1e-11)


@pytest.mark.parametrize("depth", [3, 4])
def test_ends_approach_the_blow_up(depth: int) -> None:
    """What is left at norm 1 is that of layers that are all equal: L^((L - 2) / 2) / (L - 2)."""
    curves = ProductCurves(random_neurons(4, depth, 1e-2))
    for end, limit in zip(curves.ends(1.0), curves.limit_ends(math.log(1e-2)), strict=True):
        left = depth ** ((depth - 2) / 2) / (depth - 2)
        np.testing.assert_allclose(np.abs(limit - end), left, rtol=2e-2)


# ---- Depth 2: hyperbolas


@pytest.mark.parametrize("scale", [0.3, 1e-2, 1e-6])
def test_ends_of_the_deterministic_initialization(scale: float) -> None:
    lower, upper = ProductCurves(np.array([[math.sqrt(2) * scale, 0.0]])).ends(1.0)
    expected = 0.5 * math.acosh(1 / (2 * scale**2))
    assert upper[0] == pytest.approx(expected, rel=1e-12)
    assert lower[0] == pytest.approx(-expected, rel=1e-12)


@pytest.mark.parametrize("log_factor", [-200 * math.log(10), -400 * math.log(10)])
def test_ends_at_a_scale_whose_square_underflows(log_factor: float) -> None:
    """arccosh(1 / (2 a^2)) / 2 = log(1 / a) to double precision once a < 1e-8."""
    lower, upper = ProductCurves(np.array([[math.sqrt(2), 0.0]]), log_factor).ends(1.0)
    assert upper[0] == pytest.approx(-log_factor, rel=1e-14)
    assert lower[0] == pytest.approx(log_factor, rel=1e-14)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_a_separate_scale_changes_nothing(depth: int) -> None:
    neurons, scale = random_neurons(3, depth, 1.0), 1e-5
    together, apart = ProductCurves(scale * neurons), ProductCurves(neurons, math.log(scale))
    for one, other in zip(together.ends(1.0), apart.ends(1.0), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10)
    levels = 0.5 * np.stack(together.ends(1.0))
    np.testing.assert_allclose(states_at(apart, levels), states_at(together, levels), rtol=1e-8, atol=1e-12 * scale)
    learned = np.array([0.3, -1.2, 2.0])
    np.testing.assert_allclose(apart.with_coefficients(learned), together.with_coefficients(learned), rtol=1e-12,
                               atol=1e-9 * scale)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), exponent=st.floats(-12, -1), threshold=st.floats(0.5, 2.0))
def test_ends_of_a_hyperbola(seed: int, exponent: float, threshold: float) -> None:
    u, v = 10**exponent * np.random.default_rng(seed).normal(size=2)
    assume(u**2 + v**2 < 0.9 * threshold**2)
    lower, upper = ProductCurves(np.array([[u, v]])).ends(threshold)

    def excess(q: float) -> float:
        grown, shrunk = (u + v) * math.exp(q), (u - v) * math.exp(-q)
        return (grown**2 + shrunk**2) / 2 - threshold**2

    # The squared norm is convex in q and below the threshold at q = 0: one end on each side.
    assert upper[0] == pytest.approx(brentq(excess, 0, 60, xtol=1e-14), rel=1e-9, abs=1e-9)
    assert lower[0] == pytest.approx(brentq(excess, -60, 0, xtol=1e-14), rel=1e-9, abs=1e-9)


def test_limit_of_depth_two_is_the_logarithm_of_the_scale() -> None:
    lower, upper = ProductCurves(random_neurons(3, 2, 1e-5)).limit_ends(math.log(1e-5))
    np.testing.assert_allclose([upper, -lower], math.log(1e5), rtol=1e-15)


# ---- Special neurons


@DEPTHS
@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_balanced_neurons_have_one_end(depth: int, threshold: float) -> None:
    """All layers equal: u' = u^(L - 1), and the coefficient keeps its sign."""
    size = 1e-2
    neurons = np.full((2, depth), size)
    neurons[1, -1] = -size
    curves = ProductCurves(neurons)
    lower, upper = curves.ends(threshold)
    layer = threshold / math.sqrt(depth)
    reached = math.log(layer / size) if depth == 2 else (size ** (2 - depth) - layer ** (2 - depth)) / (depth - 2)
    np.testing.assert_allclose([upper[0], lower[1]], [reached, -reached], rtol=1e-12)
    assert lower[0] == -math.inf
    assert upper[1] == math.inf
    assert curves.limit_ends(math.log(size))[0][0] == -math.inf
    shrunk = states_at(curves, np.array([[-3.0, 3.0]]))[0]
    exact = size * math.exp(-3) if depth == 2 else (size ** (2 - depth) + 3 * (depth - 2)) ** (1 / (2 - depth))
    np.testing.assert_allclose(np.abs(shrunk), exact, rtol=1e-9)


@pytest.mark.parametrize("depth", [3, 5])
def test_two_layers_at_zero_are_at_rest(depth: int) -> None:
    neurons = random_neurons(2, depth, 0.1)
    neurons[0, [0, 2]] = 0.0
    curves = ProductCurves(neurons)
    lower, upper = curves.ends(1.0)
    assert [lower[0], upper[0]] == [-math.inf, math.inf]
    assert np.isfinite([lower[1], upper[1]]).all()
    found = states_at(curves, np.array([[0.4, 0.1]]))[0]
    np.testing.assert_allclose(found[0], neurons[0], atol=1e-15)


@DEPTHS
def test_one_layer_at_zero_is_symmetric(depth: int) -> None:
    neurons = np.full((1, depth), 1e-2)
    neurons[0, -1] = 0.0
    lower, upper = ProductCurves(neurons).ends(1.0)
    assert upper[0] == pytest.approx(-lower[0], rel=1e-12)
    assert np.isfinite(upper[0])


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(2, 6), seed=st.integers(0, 10**6), exponent=st.floats(-20, -0.5))
def test_neurons_with_given_coefficients_lie_on_their_curves(depth: int, seed: int, exponent: float) -> None:
    neurons = random_neurons(4, depth, 10**exponent, seed)
    coefficients = np.random.default_rng(seed + 1).normal(size=4)
    found = ProductCurves(neurons).with_coefficients(coefficients)
    np.testing.assert_allclose(found.prod(axis=1), coefficients, rtol=1e-12)
    difference = (found**2 - found[:, :1] ** 2) - (neurons**2 - neurons[:, :1] ** 2)
    assert np.all(np.abs(difference) <= 1e-13 * (found**2).sum(axis=1)[:, None])
    # Only the smallest layer may have changed its sign.
    largest = np.argsort(np.abs(neurons), axis=1)[:, 1:]
    for of in (largest,):
        np.testing.assert_array_equal(np.sign(np.take_along_axis(found, of, 1)),
                                      np.sign(np.take_along_axis(neurons, of, 1)))


def test_an_unreachable_coefficient_has_no_neuron() -> None:
    found = ProductCurves(np.array([[0.1, 0.1], [0.1, 0.1]])).with_coefficients(np.array([1.0, -1.0]))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1, 0])


# ---- Powers of one parameter


@DEPTHS
def test_powers_along_their_curves(depth: int) -> None:
    neurons = 0.2 + np.abs(random_neurons(3, 1, 0.3))  # not so small that rounding of the level counts
    curves = neuron_curves(neurons, depth)
    assert isinstance(curves, PowerCurves)
    lower, upper = curves.ends(1.0)
    assert np.all(lower == -np.inf)
    for levels in (upper, 0.5 * upper, -0.7 * upper):
        found = states_at(curves, levels[None])[0, :, 0]
        for i in range(3):
            path = solve_ivp(lambda _, u: depth * u ** (depth - 1), (0, levels[i]), neurons[i],
                             method="DOP853", rtol=1e-12, atol=1e-14)
            assert found[i] == pytest.approx(path.y[0, -1], rel=1e-8)
    np.testing.assert_allclose(curves.with_coefficients(np.array([2.0, 3.0, 0.5]))[:, 0] ** depth, [2.0, 3.0, 0.5])
    np.testing.assert_allclose(curves.levels(curves.positions(0.3 * upper[None])[0]), 0.3 * upper, rtol=1e-12)


@pytest.mark.parametrize("depth", [3, 4])
def test_blow_up_of_powers(depth: int) -> None:
    start = 1e-3
    upper = PowerCurves(np.array([[start]]), depth).limit_ends(math.log(start))[1]
    assert upper[0] == pytest.approx(start ** (2 - depth) / (depth * (depth - 2)), rel=1e-13)
    assert PowerCurves(np.array([[start]]), 2).limit_ends(math.log(start))[1][0] == pytest.approx(0.5 * math.log(1e3))


def test_slopes_are_derivatives_of_the_coefficients() -> None:
    neurons = random_neurons(2, 4, 1.0)
    slopes = ProductCurves(neurons).slopes(neurons)
    np.testing.assert_allclose(slopes, neurons.prod(axis=1, keepdims=True) / neurons, rtol=1e-12)
    power = np.array([[1.5]])
    np.testing.assert_allclose(PowerCurves(power, 3).slopes(power), 3 * 1.5**2)
