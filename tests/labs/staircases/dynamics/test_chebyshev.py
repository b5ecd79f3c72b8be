"""Runge-Kutta-Chebyshev: coefficients against NumPy's Chebyshev polynomials, order, stability."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known_flows import (
    KnownFlow,
    MixedLogistic,
    fixed_steps,
    heat_equation,
    linear_flow,
    make,
    one_step,
    segments,
    stiff_ring,
)
from numpy.polynomial import Chebyshev
from scipy.integrate import solve_ivp

from agfrun.labs.staircases.dynamics.chebyshev import LARGEST_STAGE_COUNT, RungeKuttaChebyshev, chebyshev_coefficients
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock

STAGE_COUNTS = st.integers(2, 150)


def damping(stages: int) -> float:
    return 1 + 2 / (13 * stages**2)


def stability_polynomial(stages: int, z: np.ndarray) -> np.ndarray:
    """What the recurrence makes of y' = z y with y_0 = 1 in one step of length 1."""
    first, recurrence = chebyshev_coefficients(stages)
    before, current = np.ones_like(z), 1 + first * z
    for own, last, second, drive, start_drive in recurrence:
        following = own + last * current + second * before + drive * z * current + start_drive * z
        before, current = current, following
    return current


def published_stability_polynomial(stages: int, z: np.ndarray) -> np.ndarray:
    """a_s + b_s T_s(w0 + w1 z) with b_s = T_s''(w0) / T_s'(w0)^2 (Sommeijer, Shampine & Verwer)."""
    polynomial = Chebyshev.basis(stages)
    w0 = damping(stages)
    slope, curvature = polynomial.deriv()(w0), polynomial.deriv(2)(w0)
    b = curvature / slope**2
    return 1 - b * polynomial(w0) + b * polynomial(w0 + slope / curvature * z)


@settings(max_examples=30, deadline=None)
@given(stages=STAGE_COUNTS)
def test_recurrence_is_the_published_chebyshev_polynomial(stages: int) -> None:
    z = np.linspace(-0.65 * stages**2, 0.5, 300)
    np.testing.assert_allclose(stability_polynomial(stages, z), published_stability_polynomial(stages, z),
                               rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("stages", [2, 3, 5, 17, 80, LARGEST_STAGE_COUNT])
def test_step_is_consistent_to_order_2(stages: int) -> None:
    """P(z) = 1 + z + z^2 / 2 + O(z^3), by a polynomial fitted near zero."""
    z = np.cos(np.linspace(0, np.pi, 41)) * 0.5
    lowest = np.polynomial.Polynomial.fit(z, stability_polynomial(stages, z), 8).convert().coef[:3]
    np.testing.assert_allclose(lowest, [1, 1, 0.5], rtol=0, atol=1e-9)


@pytest.mark.parametrize("stages", [2, 3, 10, 60, 200, LARGEST_STAGE_COUNT])
def test_step_is_stable_over_its_whole_interval(stages: int) -> None:
    """Damped to about 2/3 of (2/3) (s^2 - 1), the interval that the number of stages is chosen for."""
    largest = (stages - 1) ** 2 / 1.54
    assert np.abs(stability_polynomial(stages, -np.linspace(1e-6, largest, 20001))).max() < 1
    assert abs(stability_polynomial(stages, np.array([-0.8 * stages**2]))[0]) > 1


@pytest.mark.parametrize(("step", "radius"), [(0.01, 1.0), (0.1, 1e3), (1.0, 1e4)])
def test_number_of_stages_covers_the_spectrum(step: float, radius: float) -> None:
    matrix = torch.diag(torch.tensor([-radius, -radius / 3, -1.0]))
    stepper = make(RungeKuttaChebyshev, linear_flow(matrix))
    before = stepper.statistics.gradient_evaluations
    one_step(stepper, torch.ones(3), step)
    in_begin = 20  # at most, for the spectral radius
    used = stepper.statistics.gradient_evaluations - before
    needed = math.sqrt(1 + 1.54 * step * radius)
    assert used >= needed
    assert used <= 2 + math.sqrt(1 + 1.54 * 1.2 * step * radius) + in_begin


@settings(max_examples=30, deadline=None)
@given(eigenvalues=st.lists(st.floats(0.01, 1e4), min_size=2, max_size=8), seed=st.integers(0, 10**6))
def test_spectral_radius_is_found_as_steps_go_on(eigenvalues: list[float], seed: int) -> None:
    """Each step takes the power iteration up where the last left it; 20% are added for safety."""
    generator = torch.Generator().manual_seed(seed)
    count = len(eigenvalues)
    rotation = torch.linalg.qr(torch.randn(count, count, generator=generator, dtype=torch.float64)).Q
    matrix = -rotation @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ rotation.T
    stepper = make(RungeKuttaChebyshev, linear_flow(0.5 * (matrix + matrix.T)))
    assert isinstance(stepper, RungeKuttaChebyshev)
    y = torch.randn(count, generator=generator, dtype=torch.float64)
    for _ in range(30):
        stepper.begin(y, matrix @ y)
        assert stepper.radius <= max(eigenvalues) * 1.2 * 1.001
    assert stepper.radius >= max(eigenvalues) * 0.95


def test_spectral_radius_of_a_flow_at_rest() -> None:
    stepper = make(RungeKuttaChebyshev, linear_flow(torch.diag(torch.tensor([-3.0, -2.0]))))
    assert isinstance(stepper, RungeKuttaChebyshev)
    stepper.begin(torch.zeros(2), torch.zeros(2))
    attempt = stepper.attempt(1.0)
    assert attempt is not None
    assert torch.equal(attempt.y, torch.zeros(2))


def largest_error(step: float) -> float:
    flow = MixedLogistic(orthogonal=True)
    path = fixed_steps(make(RungeKuttaChebyshev, flow.coordinates), flow.exact(0.0), step, round(2 / step))
    return max(float((attempt.interpolant(f) - flow.exact((i + f) * step)).norm())
               for i, (_, attempt) in enumerate(path) for f in (0.25, 0.5, 1.0))


def test_observed_order_is_2_at_the_ends_and_between() -> None:
    errors = [largest_error(2.0**-k) for k in (5, 6, 7)]
    assert math.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.2)
    assert errors[2] < 1e-4


def test_error_estimate_falls_like_the_third_power() -> None:
    flow = MixedLogistic(orthogonal=True)
    estimates = [one_step(make(RungeKuttaChebyshev, flow.coordinates), flow.exact(0.0), h).error.norm()
                 for h in (0.02, 0.01)]
    assert float(torch.log2(estimates[0] / estimates[1])) == pytest.approx(3, abs=0.3)


def test_dense_output_meets_both_ends_with_their_velocities() -> None:
    flow = MixedLogistic(orthogonal=True)
    start, step = flow.exact(0.0), 0.1
    attempt = one_step(make(RungeKuttaChebyshev, flow.coordinates), start, step)
    torch.testing.assert_close(attempt.interpolant(0.0), start, rtol=0, atol=0)
    torch.testing.assert_close(attempt.interpolant(1.0), attempt.y, rtol=0, atol=0)
    small = 1e-6
    torch.testing.assert_close((attempt.interpolant(small) - start) / (small * step), flow.velocity(start),
                               rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((attempt.y - attempt.interpolant(1 - small)) / (small * step),
                               flow.velocity(attempt.y), rtol=1e-5, atol=1e-6)


def test_stiff_linear_flow_costs_the_root_of_its_stiffness() -> None:
    """Heat equation on 50 and 200 points: 16 times the stiffness, about 4 times the gradients."""
    evaluations = []
    for count in (50, 200):
        matrix = heat_equation(count)
        position = torch.pi * torch.arange(1, count + 1) / (count + 1)
        start = torch.sin(position) + 0.3 * torch.sin(3 * position)
        stepper = make(RungeKuttaChebyshev, linear_flow(matrix))
        end = segments(stepper, start, 0.5, 1e-4)[-1].y_end
        exact = torch.linalg.matrix_exp(0.5 * matrix) @ start
        assert float((end - exact).norm() / exact.norm()) < 5e-3
        evaluations.append(stepper.statistics.gradient_evaluations)
    assert evaluations[1] < 6 * evaluations[0]
    steps_of_euler = 0.5 * 4 * 201**2 / 2
    assert evaluations[1] < 0.2 * steps_of_euler


def test_stiff_gradient_flow_against_radau() -> None:
    flow, start = stiff_ring(1e3), torch.tensor([0.8, 0.7, 0.1])
    end = segments(make(RungeKuttaChebyshev, flow), start, 1.0, 1e-6)[-1].y_end
    reference = solve_ivp(lambda t, y: flow.velocity(torch.tensor(y)).numpy(), (0, 1), start.numpy(), method="Radau",
                          jac=lambda t, y: flow.jacobian(torch.tensor(y)).numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(end.numpy(), reference.y[:, -1], rtol=0, atol=1e-4)


def test_a_step_of_too_many_stages_is_refused() -> None:
    stepper = make(RungeKuttaChebyshev, linear_flow(torch.tensor([[-1e6]])))
    stepper.begin(torch.ones(1), torch.full((1,), -1e6))
    assert stepper.attempt(1.0) is None
    assert stepper.attempt(0.01) is not None


def test_both_steppers_agree() -> None:
    flow = MixedLogistic(orthogonal=True)
    ends = [segments(make(stepper, flow.coordinates), flow.exact(0.0), 1.5, 1e-7)[-1].y_end
            for stepper in (Rosenbrock, RungeKuttaChebyshev)]
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(ends[0], flow.exact(1.5), rtol=0, atol=1e-6)


def test_known_flow_is_its_own_jacobian() -> None:
    flow: KnownFlow = stiff_ring(10.0)
    y = torch.tensor([0.3, -0.2, 0.9])
    torch.testing.assert_close(flow.jacobian(y), torch.autograd.functional.jacobian(flow.velocity, y))
