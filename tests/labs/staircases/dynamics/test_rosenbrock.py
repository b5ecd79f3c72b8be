"""Rodas5P: its coefficients against the order conditions, its behaviour against exact solutions."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from known_flows import (
    MixedLogistic,
    fixed_steps,
    linear_flow,
    make,
    one_step,
    prothero_robinson,
    segments,
    stiff_ring,
)
from scipy.integrate import solve_ivp

from agfrun.labs.staircases.dynamics.rosenbrock import COUPLING, DENSE, GAMMA, RESULT, STAGE, Rosenbrock

STAGES = 8
Tree = tuple  # a rooted tree is the sorted tuple of its root's subtrees; () is a single node


def lower(rows: tuple[tuple[float, ...], ...]) -> np.ndarray:
    matrix = np.zeros((STAGES, STAGES))
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix


# Hairer & Wanner IV.7: u = Gamma k, coupling C = 1/gamma - Gamma^-1, a = alpha Gamma^-1, m = b Gamma^-1.
TRANSFORM = np.linalg.inv(np.eye(STAGES) / GAMMA - lower(COUPLING))
ALPHA = lower(STAGE) @ TRANSFORM
BETA = ALPHA + TRANSFORM


@cache
def trees(order: int) -> tuple[Tree, ...]:
    """All rooted trees of an order."""
    if order == 1:
        return ((),)
    found = set()

    def grow(left: int, branches: tuple[Tree, ...]) -> None:
        if left == 0:
            found.add(tuple(sorted(branches)))
            return
        for size in range(1, left + 1):
            for branch in trees(size):
                grow(left - size, (*branches, branch))

    grow(order - 1, ())
    return tuple(sorted(found))


def order_of(tree: Tree) -> int:
    return 1 + sum(order_of(branch) for branch in tree)


def density(tree: Tree) -> int:
    return order_of(tree) * int(np.prod([density(branch) for branch in tree], dtype=int))


def elementary_weight(tree: Tree) -> np.ndarray:
    """A node with one branch passes through beta = alpha + Gamma, one with several through alpha."""
    if not tree:
        return np.ones(STAGES)
    if len(tree) == 1:
        return BETA @ elementary_weight(tree[0])
    return np.prod([ALPHA @ elementary_weight(branch) for branch in tree], axis=0)


def violations(weights: np.ndarray, order: int, fraction: float = 1.0) -> list[float]:
    """How far `weights` (in the transformed variables) are from each condition up to an order."""
    plain = weights @ TRANSFORM
    return [abs(plain @ elementary_weight(tree) - fraction**size / density(tree))
            for size in range(1, order + 1) for tree in trees(size)]


def dense_weights(fraction: float) -> np.ndarray:
    bend = np.array(DENSE).T @ [1, fraction, fraction**2]
    return fraction * (np.array(RESULT) + (1 - fraction) * bend)


def test_rooted_trees_are_all_there() -> None:
    assert [len(trees(order)) for order in range(1, 7)] == [1, 1, 2, 4, 9, 20]
    assert density(((), ((),))) == 4 * 2


def test_result_satisfies_the_order_conditions_to_order_5() -> None:
    assert max(violations(np.array(RESULT), 5)) < 1e-13
    assert max(violations(np.array(RESULT), 6)) > 1e-6


def test_error_estimate_compares_with_order_4() -> None:
    embedded = np.array(RESULT) - np.eye(STAGES)[7]
    assert max(violations(embedded, 4)) < 1e-13
    assert max(violations(embedded, 5)) > 1e-5


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.9])
def test_dense_output_satisfies_the_order_conditions_to_order_4(fraction: float) -> None:
    assert max(violations(dense_weights(fraction), 4, fraction)) < 1e-13
    assert max(violations(dense_weights(fraction), 5, fraction)) > 1e-6


def test_all_stages_share_one_gamma_and_the_abscissae_are_the_published_ones() -> None:
    np.testing.assert_allclose(np.diag(TRANSFORM), GAMMA, rtol=1e-14)
    published = [0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1, 1, 1]
    np.testing.assert_allclose(ALPHA.sum(1), published, rtol=0, atol=1e-12)


def stability_function(z: complex) -> complex:
    weights = np.array(RESULT) @ TRANSFORM
    return complex(1 + z * weights @ np.linalg.solve(np.eye(STAGES) - z * BETA, np.ones(STAGES)))


def test_method_is_a_stable_and_l_stable() -> None:
    assert all(abs(stability_function(1j * y)) <= 1 + 1e-12 for y in np.logspace(-3, 6, 400))
    assert all(abs(stability_function(-x)) <= 1 for x in np.logspace(-3, 6, 400))
    assert abs(stability_function(-1e8)) < 1e-6
    assert abs(stability_function(1e8j)) < 1e-6


@pytest.mark.parametrize("stiffness", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_step_of_a_linear_flow_is_the_stability_function(stiffness: float, symmetric: bool) -> None:
    matrix = torch.tensor([[-1.0, 0.0], [0.0 if symmetric else 0.5, -2.0]]) * stiffness
    stepper = make(Rosenbrock, linear_flow(matrix))
    measured = one_step(stepper, torch.tensor([1.0, 0.0]), 1.0).y
    assert float(measured[0]) == pytest.approx(stability_function(-stiffness).real, rel=1e-9, abs=1e-12)


def test_l_stability_forgets_a_stiff_transient_in_one_step() -> None:
    """R(z) falls like 1/z, and the estimate sees the transient that is left."""
    for stiffness in (1e4, 1e6, 1e8):
        attempt = one_step(make(Rosenbrock, linear_flow(torch.tensor([[-stiffness]]))), torch.ones(1), 1.0)
        assert abs(float(attempt.y)) < 13 / stiffness
        assert abs(float(attempt.error)) > 0.5 * abs(float(attempt.y))


def largest_errors(flow: MixedLogistic, step: float) -> tuple[float, float]:
    """Of the end points, and of the dense output between them, over a time of 2."""
    path = fixed_steps(make(Rosenbrock, flow.coordinates), flow.exact(0.0), step, round(2 / step))
    ends = [float((attempt.y - flow.exact((i + 1) * step)).norm()) for i, (_, attempt) in enumerate(path)]
    between = [float((attempt.interpolant(f) - flow.exact((i + f) * step)).norm())
               for i, (_, attempt) in enumerate(path) for f in (0.15, 0.4, 0.6, 0.85)]
    return max(ends), max(between)


@pytest.mark.parametrize("orthogonal", [True, False])
def test_observed_order_is_5(orthogonal: bool) -> None:
    """Both ways of solving: Cholesky for a gradient flow, LU otherwise."""
    errors = np.array([largest_errors(MixedLogistic(orthogonal), 2.0**-k) for k in (3, 4, 5)])
    orders = np.log2(errors[:-1] / errors[1:])
    assert (orders[-1] > [4.8, 4.6]).all()
    assert (orders[-1] < 5.6).all()


def test_dense_output_meets_both_ends() -> None:
    flow = MixedLogistic(orthogonal=True)
    start = flow.exact(0.0)
    attempt = one_step(make(Rosenbrock, flow.coordinates), start, 0.25)
    torch.testing.assert_close(attempt.interpolant(0.0), start, rtol=0, atol=0)
    torch.testing.assert_close(attempt.interpolant(1.0), attempt.y, rtol=0, atol=0)


def test_error_estimate_is_of_the_size_of_the_lower_order_s_error() -> None:
    flow = MixedLogistic(orthogonal=True)
    estimates = [one_step(make(Rosenbrock, flow.coordinates), flow.exact(0.0), h).error.norm()
                 for h in (0.025, 0.0125)]
    assert float(torch.log2(estimates[0] / estimates[1])) == pytest.approx(5, abs=0.4)


def slow_solution_error(stiffness: float, count: int) -> float:
    """Largest error of `count` equal steps along cos t up to t = 2."""
    path = fixed_steps(make(Rosenbrock, prothero_robinson(stiffness)), torch.tensor([1.0, 0.0]), 2 / count, count)
    return max(abs(float(attempt.y[0] - torch.cos(attempt.y[1]))) for _, attempt in path)


@pytest.mark.parametrize("stiffness", [1.0, 1e2, 1e4, 1e6])
def test_stiffness_costs_no_accuracy_on_a_slow_solution(stiffness: float) -> None:
    errors = [slow_solution_error(stiffness, count) for count in (16, 64)]
    assert errors[0] < 1e-7
    assert errors[1] < errors[0] / 4**2.8


def test_steps_follow_accuracy_however_stiff_the_flow() -> None:
    counts = []
    for stiffness in (1e3, 1e6, 1e9):
        stepper = make(Rosenbrock, prothero_robinson(stiffness))
        end = segments(stepper, torch.tensor([1.0, 0.0]), 3.0, 1e-7)[-1].y_end
        assert float(end[0]) == pytest.approx(np.cos(3.0), abs=1e-6)
        counts.append(stepper.statistics.accepted_steps)
    assert max(counts) < 60


def test_stiff_gradient_flow_against_radau() -> None:
    flow, start = stiff_ring(1e4), torch.tensor([0.8, 0.7, 0.1])
    path = segments(make(Rosenbrock, flow), start, 1.0, 1e-9)
    reference = solve_ivp(lambda t, y: flow.velocity(torch.tensor(y)).numpy(), (0, 1), start.numpy(), method="Radau",
                          jac=lambda t, y: flow.jacobian(torch.tensor(y)).numpy(), rtol=1e-10, atol=1e-12,
                          dense_output=True)
    for segment in path[::5] + path[-1:]:
        np.testing.assert_allclose(segment.y_end.numpy(), reference.sol(segment.end), rtol=0, atol=1e-7)
    assert len(path) < len(reference.t)


def test_a_step_longer_than_growth_allows_is_refused() -> None:
    """I - h gamma J must be positive definite: y' = y with h gamma > 1 cannot be factorized."""
    stepper = make(Rosenbrock, linear_flow(torch.tensor([[1.0]])))
    stepper.begin(torch.ones(1), torch.ones(1))
    assert stepper.attempt(1.01 / GAMMA) is None
    assert stepper.attempt(0.5) is not None


def test_statistics_count_what_is_done() -> None:
    stepper = make(Rosenbrock, MixedLogistic(orthogonal=True).coordinates)
    path = segments(stepper, MixedLogistic(orthogonal=True).exact(0.0), 1.0, 1e-8)
    statistics = stepper.statistics
    assert statistics.accepted_steps == statistics.jacobian_evaluations == len(path)
    assert statistics.factorizations == statistics.accepted_steps + statistics.rejected_steps
    assert statistics.gradient_evaluations == 1 + statistics.accepted_steps + 7 * statistics.factorizations
