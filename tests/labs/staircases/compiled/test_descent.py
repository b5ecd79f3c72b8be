"""Compiled gradient descent against the same steps by torch, and against itself taken otherwise."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_kernels import CASES
from torch import Tensor

from agfrun import load_config, train_by_gradient_descent
from agfrun.files.checkpoints import read_state, write_state
from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.compiled import descent
from agfrun.labs.staircases.dynamics.heavy_ball import LARGEST_COMPILED, HeavyBall
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.run.problem import Problem, build_problem

DESCENDING = [case for case in CASES if case != "far below floats"]
# At which all grow within a few hundred steps, none from the rounding of its layers.
SIZES = {"two layers": "init.scale=0.1", "three layers": "init.scale=0.1", "linear": "init.scale=1e-2",
         "attention": "init.scale=0.1"}


def problem_of(case: str) -> Problem:
    return build_problem(load_config([*CASES[case], *([SIZES[case]] if case in SIZES else []), "device=cpu"]))


def descend(problem: Problem, steps: int, **options: Any) -> TrainingResult:
    return train_by_gradient_descent(problem.architecture, problem.initial, steps, loss_normalization="paper",
                                     max_rows=10**6, **{"learning_rate": 0.01, "convergence": 0.0, **options})


def optimizer_of(problem: Problem, **options: Any) -> HeavyBall:
    return HeavyBall(problem.architecture, problem.initial, 0.01, 0.0, options.pop("batch_size", None), 0)


def assert_same_bits(one: TrainingResult, other: TrainingResult) -> None:
    assert (one.status, one.reason, one.statistics) == (other.status, other.reason, other.statistics)
    np.testing.assert_array_equal(one.trajectory.steps, other.trajectory.steps)
    np.testing.assert_array_equal(one.trajectory.times, other.trajectory.times)
    np.testing.assert_array_equal(one.trajectory.loss, other.trajectory.loss)
    assert torch.equal(one.final, other.final)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("case", DESCENDING)
def test_steps_are_those_of_torch(case: str, momentum: float, request: pytest.FixtureRequest) -> None:
    problem = problem_of(case)
    assert optimizer_of(problem).kernel() is not None
    one = descend(problem, 400, momentum=momentum)
    request.getfixturevalue("without_kernels")
    assert optimizer_of(problem).kernel() is None
    two = descend(problem, 400, momentum=momentum)
    assert (one.status, one.reason, one.statistics) == (two.status, two.reason, two.statistics)
    np.testing.assert_array_equal(one.trajectory.steps, two.trajectory.steps)
    # Once all is learned, the loss is a square of differences at rounding.
    room = 1e-15 * float(two.trajectory.loss[0])
    np.testing.assert_allclose(one.trajectory.loss, two.trajectory.loss, rtol=1e-10, atol=room)
    np.testing.assert_allclose(one.trajectory.features, two.trajectory.features, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(one.final, two.final, rtol=1e-10, atol=1e-13)
    assert float((one.final - problem.initial).norm()) > 1e-3 * float(problem.initial.norm())


def test_steps_are_those_of_heavy_ball_written_out() -> None:
    """Layers u, w of each coefficient u w, iterated by hand."""
    problem = problem_of("two layers")
    rate, momentum, count = 0.02, 0.7, 60
    inputs, targets = (array.numpy() for array in (problem.architecture.data.inputs,  # type: ignore[attr-defined]
                                                   problem.architecture.data.targets))  # type: ignore[attr-defined]
    layers = problem.initial.numpy().copy()
    speed = np.zeros_like(layers)
    losses = []
    for _ in range(count):
        errors = targets - inputs @ layers.prod(1)
        losses.append(0.5 * float(np.mean(errors**2)))
        speed = momentum * speed + (inputs.T @ errors / len(errors))[:, None] * layers[:, ::-1]
        layers = layers + rate * speed
    found = descend(problem, count, learning_rate=rate, momentum=momentum)
    np.testing.assert_allclose(found.final.numpy(), layers, rtol=1e-11)
    assert found.trajectory.steps is not None
    np.testing.assert_allclose(found.trajectory.loss[:-1], np.array(losses)[found.trajectory.steps[:-1]], rtol=1e-11)


@pytest.mark.parametrize("case", ["two layers", "linear", "attention", "modular addition"])
def test_how_many_steps_are_taken_together_changes_no_bit(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, options = problem_of(case), {"momentum": 0.5, "convergence": 0.3}
    whole = descend(problem, 1500, **options)
    for together in (1, 7, 10_000):
        monkeypatch.setattr(descent, "steps_together", lambda step, size, most=together: most)
        assert_same_bits(descend(problem, 1500, **options), whole)


class EveryFew:
    """Keeps the state after every n-th call, as a file."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every
        self.asked = 0
        self.paths: list[Path] = []

    def due(self) -> bool:
        self.asked += 1
        return self.asked % self.every == 0

    def save(self, state: TrainingState) -> None:
        self.paths.append(self.folder / f"{len(self.paths)}.safetensors")
        write_state(self.paths[-1], state, "hash")


@pytest.mark.parametrize("case", ["two layers", "powers", "linear", "attention", "modular addition"])
def test_a_training_that_is_gone_on_with_is_the_same_to_the_last_bit(case: str, tmp_path: Path) -> None:
    problem, kept = problem_of(case), EveryFew(tmp_path, 7)
    whole = descend(problem, 3000, momentum=0.5, checkpoints=kept)
    assert len(kept.paths) >= 5
    for path in kept.paths:
        again = descend(problem, 3000, momentum=0.5, resume=read_state(path, "hash"))
        assert_same_bits(again, whole)
        np.testing.assert_array_equal(again.trajectory.features, whole.trajectory.features)
        np.testing.assert_array_equal(again.trajectory.log_norms, whole.trajectory.log_norms)


def test_interrupted_and_gone_on_with(tmp_path: Path) -> None:
    """The state is kept at the end of the call in which Ctrl-C arrives."""
    problem, kept = problem_of("modular addition"), EveryFew(tmp_path, 10**9)

    class Interrupted:
        calls = 0

        def __call__(self, time: float, loss: float) -> None:
            self.calls += 1
            if self.calls == 30:
                signal.raise_signal(signal.SIGINT)

    part = descend(problem, 3000, checkpoints=kept, progress=Interrupted())
    assert part.status == "interrupted"
    assert part.trajectory.steps is not None
    assert 30 < part.trajectory.steps[-1] < 3000
    (path,) = kept.paths
    assert_same_bits(descend(problem, 3000, resume=read_state(path, "hash")), descend(problem, 3000))


@pytest.mark.parametrize("case", ["two layers", "linear", "attention", "modular addition"])
def test_a_step_that_diverges_is_told_as_by_torch(case: str, request: pytest.FixtureRequest) -> None:
    problem = problem_of(case)
    grown = problem_with(problem, 50 * problem.initial)
    one = descend(grown, 3000, learning_rate=3.0)
    request.getfixturevalue("without_kernels")
    two = descend(grown, 3000, learning_rate=3.0)
    assert one.status == two.status == "diverged"
    assert one.statistics == two.statistics
    assert one.reason.split(",")[0] == two.reason.split(",")[0]
    np.testing.assert_array_equal(one.trajectory.steps, two.trajectory.steps)
    assert np.isfinite(one.trajectory.loss).all()


def problem_with(problem: Problem, neurons: Tensor) -> Problem:
    return dataclasses.replace(problem, initial=neurons)


def test_progress_is_told_of_the_last_row_of_each_call() -> None:
    told: list[tuple[float, float]] = []
    found = descend(problem_of("two layers"), 2000, progress=lambda time, loss: told.append((time, loss)))
    rows = dict(zip(found.trajectory.times, found.trajectory.loss, strict=True))
    assert 30 < len(told) < len(rows)
    assert all(rows[time] == loss for time, loss in told)
    assert told[-1][0] == found.trajectory.times[-1]


def test_how_many_steps_a_call_takes() -> None:
    """One at the start, where most are recorded; never so many that their states fill the memory."""
    assert descent.steps_together(0, 10) == descent.steps_together(8, 10) == 1
    assert descent.steps_together(800, 10) == 100
    for size in (1, 576, LARGEST_COMPILED, 10**6):
        most = descent.steps_together(10**9, size)
        assert most >= descent.FEWEST_TOGETHER
        assert most * size <= max(descent.NUMBERS_TOGETHER, descent.FEWEST_TOGETHER * size)


@pytest.mark.parametrize(("overrides", "batch_size", "why"), [
    (["model=diagonal_linear"], 8, "batches are drawn by torch"),
    (["model=diagonal_linear", "dtype=float32"], None, "single precision"),
    (["model=relu"], None, "nothing written out"),
    (["model=linear_attention", "model.parameterization=full"], None, "heads that read labels too"),
    (["model=quadratic_modadd", "model.width=400"], None, "products of large matrices"),
])
def test_what_is_left_to_torch(overrides: list[str], batch_size: int | None, why: str) -> None:
    problem = build_problem(load_config([*overrides, "device=cpu"]))
    assert optimizer_of(problem, batch_size=batch_size).kernel() is None, why
