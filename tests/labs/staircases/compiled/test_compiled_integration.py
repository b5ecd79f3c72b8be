"""Compiled steps against the same steps by torch, and against themselves taken otherwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from test_kernels import CASES

from agfrun import load_config
from agfrun.labs.staircases.compiled import integration
from agfrun.labs.staircases.compiled.integration import CompiledIntegration
from agfrun.labs.staircases.dynamics.gradient_flow import follow_flow, train_by_gradient_flow
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.run.problem import Problem, build_problem
from agfrun.study.errors import DivergenceError

HORIZONS = {"far below floats": 1e4, "three layers": 1e6, "five layers": 1e5, "linear": 1e4}


def problem_of(case: str) -> Problem:
    return build_problem(load_config([*CASES[case], "device=cpu"]))


def trained(problem: Problem, horizon: float, **options: Any) -> TrainingResult:
    return train_by_gradient_flow(problem.architecture, problem.initial, horizon, log_factor=problem.log_factor,
                                  max_rows=10**6, **options)


@pytest.mark.parametrize("case", CASES)
def test_training_is_that_of_torch(case: str, request: pytest.FixtureRequest) -> None:
    problem, horizon = problem_of(case), HORIZONS.get(case, 400.0)
    one = trained(problem, horizon, tolerance=1e-7)
    request.getfixturevalue("without_kernels")
    two = trained(problem, horizon, tolerance=1e-7)
    assert (one.status, one.reason.split()[0]) == (two.status, two.reason.split()[0])
    for name in ("accepted_steps", "gradient_evaluations", "factorizations"):
        mine, theirs = (getattr(result.statistics, name) for result in (one, two))
        if case.startswith("attention"):  # growth is made straight, in compiled steps alone
            assert mine < 1.05 * theirs, name
        else:
            assert abs(mine - theirs) <= 3 + 0.05 * theirs, name
    # Where times differ by rounding, losses in the middle of a drop do, too: times at levels are compared.
    path, other = one.trajectory, two.trajectory
    for share in (0.9, 0.5, 0.1, 1e-2, 1e-4):
        level = problem.architecture.minimal_loss + share * (other.loss[0] - problem.architecture.minimal_loss)
        if other.loss[-1] < level:
            mine, theirs = (crossing(each.times, each.loss, level) for each in (path, other))
            assert mine == pytest.approx(theirs, rel=1e-3), share


def crossing(times: Any, loss: Any, level: float) -> float:
    """When a loss falls below a level, by the logarithms between two rows."""
    row = int(np.argmax(loss < level))
    share = math.log(loss[row - 1] / level) / math.log(loss[row - 1] / loss[row])
    return float(times[row - 1] + share * (times[row] - times[row - 1]))


@pytest.mark.parametrize("case", ["two layers", "attention", "linear"])
def test_how_many_steps_are_taken_together_changes_no_bit(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, horizon = problem_of(case), HORIZONS.get(case, 100.0)
    whole = trained(problem, horizon)
    for together in (1, 7):
        monkeypatch.setattr(integration, "STEPS_TOGETHER", together)
        other = trained(problem, horizon)
        np.testing.assert_array_equal(other.trajectory.times, whole.trajectory.times)
        np.testing.assert_array_equal(other.trajectory.loss, whole.trajectory.loss)
        assert torch.equal(other.final, whole.final)
        assert other.statistics == whole.statistics


@pytest.mark.parametrize("case", ["two layers", "linear", "attention"])
def test_step_by_step_is_the_same_path(case: str) -> None:
    problem = problem_of(case)
    coordinates = problem.architecture.flow_coordinates(problem.initial)
    statistics = IntegrationStatistics()
    ends, losses = [], []
    for segment in follow_flow(coordinates, coordinates.encode(problem.initial), 0.0, 50.0, 1e-6, statistics):
        assert torch.equal(segment.interpolant(0.0), segment.y_start)
        # To rounding where an end lies on a clock of its own; `Segment.at` gives the end itself.
        torch.testing.assert_close(segment.interpolant(1.0), segment.y_end, rtol=1e-12, atol=1e-18)
        loss, velocity = coordinates.loss_and_velocity(segment.y_end)
        torch.testing.assert_close(segment.velocity_end, velocity, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(segment.loss_end, loss, rtol=1e-10, atol=0)
        ends.append(segment.end)
        losses.append(float(segment.loss_end))
    whole = trained(problem, 50.0, convergence=0.0)
    assert ends[-1] == 50.0
    assert set(ends) <= set(whole.trajectory.times)
    assert set(losses) <= set(whole.trajectory.loss)
    assert statistics.accepted_steps == whole.statistics.accepted_steps == len(ends)


def test_a_loss_that_is_not_finite_is_reported() -> None:
    problem = problem_of("two layers")
    coordinates = problem.architecture.flow_coordinates(problem.initial)
    kernel = coordinates.kernel()
    assert kernel is not None
    broken = CompiledIntegration(coordinates, kernel._replace(targets=np.full_like(kernel.targets, np.inf)),
                                 IntegrationStatistics(), coordinates.encode(problem.initial), 0.0, 1.0, 1e-6)
    with pytest.raises(DivergenceError, match="no step is short enough|not finite"):
        list(broken)


def test_at_rest_the_path_ends() -> None:
    """Nothing to learn: steps grow until time overflows."""
    problem = problem_of("two layers")
    coordinates = problem.architecture.flow_coordinates(problem.initial)
    kernel = coordinates.kernel()
    assert kernel is not None
    still = kernel._replace(inputs=np.zeros_like(kernel.inputs))
    steps = CompiledIntegration(coordinates, still, IntegrationStatistics(), coordinates.encode(problem.initial), 0.0,
                                math.inf, 1e-6)
    assert all(math.isfinite(stretch.times[-1]) for stretch in steps)
