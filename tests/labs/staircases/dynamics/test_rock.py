"""The stabilized method of order 4: its stability polynomial, order conditions, order, stiffness, spectral radius."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from known_flows import MixedLogistic, fixed_steps, heat_equation, linear_flow, make, one_step, segments, stiff_ring
from numpy.polynomial import Polynomial
from scipy.integrate import solve_ivp

from agfrun.labs.staircases.dynamics.rock import Rock4, stage_count
from agfrun.labs.staircases.dynamics.rock_coefficients import RIPPLE, STAGE_COUNTS, interval, stabilized_method

SOME = pytest.mark.parametrize("stages", [5, 6, 9, 20, 60, pytest.param(180, marks=pytest.mark.slow)])


def stability(stages: int, z: np.ndarray | Polynomial) -> np.ndarray | Polynomial:
    """What a step of length 1 makes of y' = z y, y_0 = 1, by the stages as they are run."""
    method = stabilized_method(stages)
    before, current = 0 * z, 0 * z + 1
    for drive, last, second in method.recurrence:
        before, current = current, (drive * z + last) * current + second * before
    increments: list = []
    for row in method.coupling:
        increments.append(z * (current + sum(a * k for a, k in zip(row, increments, strict=False))))
    return current + sum(b * k for b, k in zip(method.result, increments, strict=True))


@SOME
def test_steps_are_stable_and_damped_over_the_whole_interval(stages: int) -> None:
    z = -np.linspace(1e-6, interval(stages), 20001)
    assert np.abs(stability(stages, z)).max() < 1
    assert np.abs(stability(stages, z[z < -3])).max() < RIPPLE
    assert abs(stability(stages, np.array([-1.25 * interval(stages)]))[0]) > 1


@pytest.mark.parametrize("stages", [5, 8, 12])
def test_the_polynomial_has_the_degree_of_its_stages_and_agrees_with_the_exponential(stages: int) -> None:
    polynomial = stability(stages, Polynomial([0.0, 1.0]))
    assert isinstance(polynomial, Polynomial)
    np.testing.assert_allclose(polynomial.coef[:5], [1, 1, 1 / 2, 1 / 6, 1 / 24], rtol=0, atol=1e-12)
    assert abs(polynomial.coef[5] - 1 / 120) > 1e-4
    assert polynomial.trim().degree() == stages


def test_the_number_of_stages_is_the_least_that_is_stable() -> None:
    for stiffness in (0.0, 5.25, 5.26, 44.0, 9000.0):
        count = stage_count(stiffness)
        assert count is not None
        assert interval(count) >= stiffness
        assert count == 5 or interval(STAGE_COUNTS[STAGE_COUNTS.index(count) - 1]) < stiffness
    assert stage_count(1e5) is None


def largest_error(step: float, inside: tuple[float, ...]) -> float:
    flow = MixedLogistic(orthogonal=True)
    path = fixed_steps(make(Rock4, flow.coordinates), flow.exact(0.0), step, round(2 / step))
    return max(float((attempt.interpolant(f) - flow.exact((i + f) * step)).norm())
               for i, (_, attempt) in enumerate(path) for f in inside)


def test_observed_order_is_4_of_a_nonlinear_flow() -> None:
    """All eight conditions of order 4 matter here, those that are not linear as well."""
    errors = [largest_error(2.0**-k, (1.0,)) for k in (3, 4, 5)]
    assert math.log2(errors[1] / errors[2]) == pytest.approx(4, abs=0.25)
    between = [largest_error(2.0**-k, (0.25, 0.5)) for k in (4, 5)]
    assert math.log2(between[0] / between[1]) > 3.5


@pytest.mark.parametrize("radius", [1.0, 1e3])
def test_order_of_many_stages(radius: float) -> None:
    """A stiff companion, at rest, forces as many stages: the order is that of each number of stages."""
    flow = MixedLogistic(orthogonal=True)
    errors = []
    for step in (0.1, 0.05):
        stepper = make(Rock4, flow.coordinates)
        stepper.begin(flow.exact(0.0), flow.velocity(flow.exact(0.0)))
        stepper.radius = radius / step
        attempt = stepper.attempt(step)
        assert attempt is not None
        errors.append(float((attempt.y - flow.exact(step)).norm()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(5, abs=0.5)


def test_error_estimate_falls_like_the_fourth_power() -> None:
    flow = MixedLogistic(orthogonal=True)
    estimates = [one_step(make(Rock4, flow.coordinates), flow.exact(0.0), h).error.norm() for h in (0.02, 0.01)]
    assert float(torch.log2(estimates[0] / estimates[1])) == pytest.approx(4, abs=0.3)


def test_what_is_reached_is_what_would_be_evaluated() -> None:
    flow = MixedLogistic(orthogonal=True)
    attempt = one_step(make(Rock4, flow.coordinates), flow.exact(0.0), 0.1)
    assert attempt.reached is not None
    for found, expected in zip(attempt.reached, flow.coordinates.loss_and_velocity(attempt.y), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("count", [50, 200])
def test_a_stiff_linear_flow_costs_the_root_of_its_stiffness(count: int) -> None:
    """Heat equation: 16 times the stiffness on 200 points, about 4 times the gradients."""
    matrix = heat_equation(count)
    position = torch.pi * torch.arange(1, count + 1) / (count + 1)
    start = torch.sin(position) + 0.3 * torch.sin(3 * position)
    stepper = make(Rock4, linear_flow(matrix))
    end = segments(stepper, start, 0.5, 1e-4)[-1].y_end
    exact = torch.linalg.matrix_exp(0.5 * matrix) @ start
    assert float((end - exact).norm() / exact.norm()) < 5e-4
    steps_of_euler = 0.5 * 4 * (count + 1) ** 2 / 2
    assert stepper.statistics.gradient_evaluations < 30 * steps_of_euler**0.5


def test_stiff_gradient_flow_against_radau() -> None:
    flow, start = stiff_ring(1e3), torch.tensor([0.8, 0.7, 0.1])
    end = segments(make(Rock4, flow), start, 1.0, 1e-6)[-1].y_end
    reference = solve_ivp(lambda t, y: flow.velocity(torch.tensor(y)).numpy(), (0, 1), start.numpy(), method="Radau",
                          jac=lambda t, y: flow.jacobian(torch.tensor(y)).numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(end.numpy(), reference.y[:, -1], rtol=0, atol=1e-5)


def test_a_refused_step_estimates_the_radius_anew() -> None:
    stepper = make(Rock4, linear_flow(torch.diag(torch.tensor([-100.0, -1.0]))))
    assert isinstance(stepper, Rock4)
    # Almost along the slow direction, so that one iteration finds too small a radius.
    stepper.direction = torch.tensor([1e-3, 1.0])
    stepper.estimate = 1e9
    stepper.begin(torch.ones(2), torch.tensor([-100.0, -1.0]))
    first = stepper.radius
    stepper.attempt(0.5)
    assert stepper.radius == first
    stepper.attempt(0.25)
    assert stepper.radius > 5 * first
