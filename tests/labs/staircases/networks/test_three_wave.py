from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from agfrun.labs.staircases.networks.quadratic_modadd.three_wave import blow_up_time

LARGE = 1e3
# Growth, decay before growth, and phases at a right angle, from three seeds each.
RANDOM = [np.random.default_rng(seed).normal(size=(3, 2)) @ [1, 1j] for seed in range(9)]


def integrated_blow_up(amplitudes: np.ndarray, rate: float) -> float:
    """The system itself up to |u| = LARGE, and 1 / (g |u|) for the rest: then all three are equal up to
    relative 1 / LARGE^2."""

    def velocity(_: float, y: np.ndarray) -> np.ndarray:
        u, v, w = y[:3] + 1j * y[3:]
        slope = rate * np.array([np.conj(v) * w, np.conj(u) * w, u * v])
        return np.concatenate([slope.real, slope.imag])

    def reached(_: float, y: np.ndarray) -> float:
        return float(np.hypot(y[0], y[3]) - LARGE)

    reached.terminal = True  # type: ignore[attr-defined]
    start = np.concatenate([amplitudes.real, amplitudes.imag])
    solution = solve_ivp(velocity, (0, 1e6), start, method="DOP853", rtol=1e-12, atol=1e-13, events=reached)
    assert solution.status == 1
    return float(solution.t_events[0][0]) + 1 / (rate * LARGE)


def growth(amplitudes: np.ndarray) -> float:
    return float((np.conj(amplitudes[0] * amplitudes[1]) * amplitudes[2]).real)


def test_random_cases_cover_initial_growth_and_decay() -> None:
    assert min(map(growth, RANDOM)) < -0.1
    assert max(map(growth, RANDOM)) > 0.1


@pytest.mark.parametrize("amplitudes", RANDOM)
@pytest.mark.parametrize("rate", [1.0, 7.3])
def test_blow_up_is_where_integration_diverges(amplitudes: np.ndarray, rate: float) -> None:
    assert blow_up_time(*amplitudes, rate) == pytest.approx(integrated_blow_up(amplitudes, rate), rel=1e-8)


@pytest.mark.parametrize("amplitudes", [
    (1.0, 1.0, 1j),  # at a right angle: the product starts at its least real part
    (0.0, 1.0, 2.0),  # one amplitude zero
    (1.0, 2.0, -3.0),  # real and decaying: u passes through zero
    (1.0, 1.0, -1 + 0.1j),  # close to the orbit that ends at rest
    (2.0, 1.0, 1.0),  # two smaller amplitudes equal: a double root
    (1.0, 3.0, 3.0),
])
def test_degenerate_cases_match_integration(amplitudes: tuple[complex, complex, complex]) -> None:
    expected = integrated_blow_up(np.array(amplitudes, dtype=complex), 1.0)
    assert blow_up_time(*amplitudes, 1.0) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("amplitude", "rate"), [(1.0, 1.0), (3e-3, 5.0), (1e-150, 2.0)])
def test_equal_amplitudes_in_phase_blow_up_at_one_over_rate_times_amplitude(amplitude: float, rate: float) -> None:
    assert blow_up_time(amplitude, amplitude, amplitude, rate) == pytest.approx(1 / (rate * amplitude), rel=1e-12)


def test_equal_amplitudes_in_phase_ignore_a_common_choice_of_phases() -> None:
    u, v = 0.3 * np.exp(0.7j), 0.3 * np.exp(-2.1j)
    assert blow_up_time(u, v, 0.3 * np.exp(-1.4j), 2.0) == pytest.approx(1 / 0.6, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-160, 1e-6, 1e80])
@pytest.mark.parametrize("amplitudes", RANDOM[:4])
def test_time_is_inverse_to_the_scale_and_to_the_rate(amplitudes: np.ndarray, scale: float) -> None:
    time = blow_up_time(*amplitudes, 1.0)
    assert blow_up_time(*(scale * amplitudes), 1.0) * scale == pytest.approx(time, rel=1e-12)
    assert blow_up_time(*amplitudes, 4.0) * 4 == pytest.approx(time, rel=1e-12)


@pytest.mark.parametrize("amplitudes", RANDOM)
def test_time_depends_on_the_phase_of_the_product_only(amplitudes: np.ndarray) -> None:
    u, v, w = amplitudes
    time = blow_up_time(u, v, w, 1.0)
    assert blow_up_time(v, u, w, 1.0) == pytest.approx(time, rel=1e-9)
    turned = blow_up_time(u * np.exp(0.4j), v * np.exp(1.1j), w * np.exp(1.5j), 1.0)
    assert turned == pytest.approx(time, rel=1e-9)
    mirrored = blow_up_time(np.conj(u), np.conj(v), np.conj(w), 1.0)
    assert mirrored == pytest.approx(time, rel=1e-9)


@pytest.mark.parametrize(("amplitudes", "rate"), [
    ((0.0, 0.0, 1.0), 1.0), ((0.0, 2.0, 0.0), 1.0), ((0.0, 0.0, 0.0), 1.0),  # at rest
    ((1.0, 1.0, 1.0), 0.0),  # no drive
    ((1.0, 1.0, -1.0), 1.0), ((1.0, 1.0, -2.0), 1.0),  # orbits that end at rest
])
def test_systems_that_end_at_rest_never_blow_up(amplitudes: tuple[float, float, float], rate: float) -> None:
    assert blow_up_time(*amplitudes, rate) == math.inf


@pytest.mark.parametrize("amplitudes", RANDOM)
def test_later_states_of_an_orbit_have_less_time_left(amplitudes: np.ndarray) -> None:
    def velocity(_: float, y: np.ndarray) -> np.ndarray:
        u, v, w = y
        return np.array([np.conj(v) * w, np.conj(u) * w, u * v])

    time = blow_up_time(*amplitudes, 1.0)
    path = solve_ivp(velocity, (0, 0.9 * time), amplitudes, method="DOP853", rtol=1e-12, atol=1e-13,
                     t_eval=np.linspace(0, 0.9, 7) * time)
    left = [blow_up_time(*state, 1.0) for state in path.y.T]
    np.testing.assert_allclose(left, time - path.t, rtol=1e-7)
