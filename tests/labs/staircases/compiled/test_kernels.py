"""Every kernel against the coordinates that it is of, which torch computes with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agfrun import load_config
from agfrun.labs.staircases.compiled import kernels
from agfrun.labs.staircases.compiled.compiler import compiled
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.run.problem import build_problem

CASES: dict[str, list[str]] = {
    "two layers": ["model=diagonal_linear"],
    "two layers, many samples": ["model=diagonal_linear", "data=random_regression", "data.samples=40"],
    "two layers, few samples": ["model=diagonal_linear", "data=random_regression", "data.samples=3"],
    "far below floats": ["model=diagonal_linear", "init.log10_scale=-400"],
    "three layers": ["model=diagonal_linear", "model.depth=3"],
    "five layers": ["model=diagonal_linear", "model.depth=5", "init.scale=0.1"],
    "powers": ["model=diagonal_linear", "model.signed=false", "model.depth=3", "init.scale=0.1"],
    "linear": ["model=fully_connected_linear"],
    "attention": ["model=linear_attention"],
    "attention of rank two": ["experiment=attention_rank_two"],
    "modular addition": ["model=quadratic_modadd"],
    "modular addition, p = 7": ["model=quadratic_modadd", "data.p=7", "data.frequencies=[3,1]",
                                "data.amplitudes=[4,2]"],
    "modular addition, Nyquist": ["experiment=modadd_nyquist"],
}


@compiled
def loss_and_velocity(kernel: Any, y: Any, velocity: Any) -> float:
    return kernels.loss_and_velocity(kernel, y, velocity)


@compiled
def solved(kernel: Any, y: Any, step: float, right: Any) -> bool:
    """(I - step J)^-1 right in place of it."""
    matrix, factor = np.empty(kernels.matrix_shape(kernel, y)), np.empty(kernels.matrix_shape(kernel, y))
    pivots = np.empty(y.shape[0], np.int64)
    kernels.jacobian(kernel, y, matrix)
    if not kernels.factorize(kernel, matrix, step, factor, pivots):
        return False
    kernels.solve(kernel, factor, pivots, right)
    return True


@compiled
def relative_error(kernel: Any, error: Any, y: Any, y_new: Any) -> float:
    return kernels.relative_error(kernel, error, y, y_new)


def states(case: str) -> tuple[FlowCoordinates, list[Tensor]]:
    """A network's coordinates, and where they begin, nearby, and where neurons are of size one."""
    problem = build_problem(load_config([*CASES[case], "device=cpu"]))
    coordinates = problem.architecture.flow_coordinates(problem.initial, None, problem.log_factor)
    y, generator = coordinates.encode(problem.initial), torch.Generator().manual_seed(3)
    noise = torch.randn(2, len(y), generator=generator, dtype=y.dtype)
    grown = y - problem.log_factor if problem.log_factor else y
    return coordinates, [y, y + 1e-3 * noise[0], grown + 0.3 * noise[1]]


@pytest.mark.parametrize("case", CASES)
def test_a_kernel_is_its_coordinates_written_out(case: str) -> None:
    coordinates, points = states(case)
    kernel = coordinates.kernel()
    assert kernel is not None
    for y in points:
        velocity = np.empty(len(y))
        loss = loss_and_velocity(kernel, y.numpy(), velocity)
        expected_loss, expected = coordinates.loss_and_velocity(y)
        assert loss == pytest.approx(float(expected_loss), rel=1e-12)
        np.testing.assert_allclose(velocity, expected.numpy(), rtol=0, atol=1e-12 * float(expected.abs().max()))
        # Steps from much shorter than the fastest relaxation to much longer.
        for step in (1e-3, 1.0, 1e3):
            solve, right = coordinates.linearization(y).solver(step), velocity.copy()
            assert solved(kernel, y.numpy(), step, right) == (solve is not None)
            if solve is not None:
                answer = solve(torch.from_numpy(velocity)).numpy()
                np.testing.assert_allclose(right, answer, rtol=0, atol=1e-9 * np.abs(answer).max())
        other = y + 1e-2 * expected
        assert relative_error(kernel, expected.numpy(), y.numpy(), other.numpy()) == pytest.approx(
            float(coordinates.relative_error(expected, y, other)), rel=1e-12)


@compiled
def outworn(kernel: Any, y: Any) -> bool:
    return kernels.outworn(kernel, y)


def test_mixtures_are_outworn_where_their_coordinates_are() -> None:
    coordinates, (y, *_) = states("linear")
    # Orthogonal to one another.
    rows = torch.linalg.qr(y.view(coordinates.shape).T)[0].T  # type: ignore[attr-defined]
    seen = set()
    for share in np.linspace(0, 1, 40):
        turned = rows.clone()
        turned[1] = (1 - share) * rows[1] + share * rows[0]
        flat = turned.reshape(-1)
        worn = bool(coordinates.outworn(flat))  # type: ignore[attr-defined]
        assert outworn(coordinates.kernel(), flat.numpy()) == worn
        seen.add(worn)
    assert seen == {False, True}


@pytest.mark.parametrize(("overrides", "why"), [
    (["dtype=float32"], "single precision"),
    (["model=linear_attention", "model.parameterization=full"], "heads that read labels too"),
    (["model=relu"], "nothing written out"),
    (["experiment=modadd_one_hot", "data.p=31"], "a loss by pairs of neurons"),
    (["model=fully_connected_linear", "init.log10_scale=-400"], "below the smallest float"),
])
def test_what_has_no_kernel_is_left_to_torch(overrides: list[str], why: str) -> None:
    problem = build_problem(load_config([*overrides, "device=cpu"]))
    assert problem.architecture.flow_coordinates(problem.initial, None, problem.log_factor).kernel() is None, why
