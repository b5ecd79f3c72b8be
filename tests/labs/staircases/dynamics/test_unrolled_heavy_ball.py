"""Steps that are computed together are the steps taken one by one, whoever compiles them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from explicit_networks import small_modadd

from agfrun import build_problem, load_config, train_by_gradient_descent
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.unrolled_heavy_ball import STEPS_TOGETHER, Steps, unrolled_steps
from agfrun.labs.staircases.run.problem import Problem

NETWORKS = {
    "modular addition": ("model=quadratic_modadd",),
    "modular addition through moments": (
        "model=quadratic_modadd", "data=one_hot_modular_addition", "data.p=23", "model.width=2"),
    "diagonal": ("model=diagonal_linear", "init.scale=1e-2"),
    "diagonal of depth 3": ("model=diagonal_linear", "model.depth=3", "init.scale=0.1"),
    "linear": ("model=fully_connected_linear", "init.scale=1e-2"),
    "attention": ("model=linear_attention", "init.scale=0.1"),
    "relu": ("model=relu", "init.scale=0.1"),
}
ALL = pytest.mark.parametrize("name", NETWORKS)


def problem_of(name: str) -> Problem:
    return build_problem(load_config([*NETWORKS[name], "device=cpu"]))


def as_it_is(steps: Steps) -> Steps:
    return steps


def descend(problem: Problem, steps: int, compiler: Callable[[Steps], Steps] | None) -> TrainingResult:
    return train_by_gradient_descent(problem.architecture, problem.initial, steps, learning_rate=0.01, momentum=0.8,
                                     loss_normalization="paper", convergence=0.0, compiler=compiler)


@ALL
@pytest.mark.parametrize("length", [5 * STEPS_TOGETHER, 7 * STEPS_TOGETHER + 3])
def test_the_same_moments_are_recorded(name: str, length: int) -> None:
    problem = problem_of(name)
    single, together = (descend(problem, length, compiler) for compiler in (None, as_it_is))
    assert (single.status, single.reason, single.statistics) == (together.status, together.reason, together.statistics)
    np.testing.assert_array_equal(single.trajectory.steps, together.trajectory.steps)
    np.testing.assert_allclose(together.trajectory.loss, single.trajectory.loss, rtol=1e-11)
    torch.testing.assert_close(together.final, single.final, rtol=1e-10, atol=1e-13)
    assert float((single.final - problem.initial).norm()) > 1e-4


@ALL
def test_what_torch_can_trace_are_the_same_coordinates(name: str) -> None:
    problem = problem_of(name)
    coordinates = problem.architecture.flow_coordinates(problem.initial, None)
    y = coordinates.encode(problem.initial)
    loss, velocity = coordinates.loss_and_velocity(y)
    traced_loss, traced_velocity = coordinates.traceable().loss_and_velocity(y)
    torch.testing.assert_close(traced_loss, loss, rtol=1e-13, atol=0)
    torch.testing.assert_close(traced_velocity, velocity, rtol=1e-12, atol=1e-15 * float(velocity.abs().max()))


def test_convergence_between_two_groups_of_steps_is_seen_where_it_happens() -> None:
    network = small_modadd()
    start = network.architecture.initialize("gaussian", 0.3, torch.Generator().manual_seed(1))
    options = {"learning_rate": 0.01, "loss_normalization": "paper", "convergence": 0.8}
    single, together = (train_by_gradient_descent(network.architecture, start, 5000, compiler=compiler, **options)
                        for compiler in (None, as_it_is))
    assert single.status == "converged"
    assert single.statistics.accepted_steps % STEPS_TOGETHER != 0
    assert (together.status, together.reason) == (single.status, single.reason)


def test_steps_are_those_of_heavy_ball_on_a_parabola() -> None:
    """L = y^2 / 2 in one dimension, iterated by hand."""

    class Parabola:
        def loss_and_velocity(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return 0.5 * y.square().sum(), -y

    rate, momentum = 0.1, 0.5
    y, term, before, losses = unrolled_steps(Parabola(), 3)(  # type: ignore[arg-type]
        torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor(rate), torch.tensor(momentum))
    place, speed, places = 1.0, 0.0, []
    for _ in range(3):
        places.append(place)
        speed = momentum * speed - place
        place += rate * speed
    assert y.tolist() == pytest.approx([place])
    assert term.tolist() == pytest.approx([speed])
    assert before[:, 0].tolist() == pytest.approx(places)
    assert losses.tolist() == pytest.approx([0.5 * each**2 for each in places])
