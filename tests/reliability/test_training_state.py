"""A training that is taken up again from any of its states ends as one that was never interrupted, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agfrun import (
    CheckpointError,
    RunConfig,
    build_problem,
    load_config,
    train_by_gradient_descent,
    train_by_gradient_flow,
)
from agfrun.files.checkpoints import read_state, write_state
from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.torch_optimizer import train_by_optimizer
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig
from agfrun.labs.staircases.run.problem import Problem
from agfrun.labs.staircases.trainers.optimizer import OptimizerConfig

pytestmark = pytest.mark.usefixtures("steps_alone")


class EveryFew:
    """Keeps every n-th state, as a file."""

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


def problem_of(name: str) -> Problem:
    configs: dict[str, Callable[[], RunConfig]] = {
        "modadd": lambda: RunConfig(
            model=QuadraticModaddConfig(width=3), device="cpu",
            data=ModularAdditionConfig(p=5, frequencies=[1, 2], amplitudes=[4.0, 2.0])),
        "diagonal": lambda: load_config(["model=diagonal_linear", "init.scale=1e-6"]),
        "linear": lambda: load_config(["model=fully_connected_linear", "init.scale=1e-3"]),
        "attention": lambda: load_config(["model=linear_attention"]),
        "below the smallest float": lambda: load_config(["model=diagonal_linear", "init.log10_scale=-400"]),
        "linear below the smallest float": lambda: load_config(
            ["model=fully_connected_linear", "init.log10_scale=-400"]),
    }
    return build_problem(configs[name]())


def flow(problem: Problem, horizon: float, method: str = "auto") -> Callable[..., TrainingResult]:
    return partial(train_by_gradient_flow, problem.architecture, problem.initial, horizon, tolerance=1e-5,
                   method=method, log_factor=problem.log_factor)


def resumed(train: Callable[..., TrainingResult], folder: Path, every: int) -> tuple[TrainingResult, int]:
    """The whole training, after checking that it equals what comes of each state on its way; how many they were."""
    kept = EveryFew(folder, every)
    whole = train(checkpoints=kept)
    for path in kept.paths:
        assert_same(train(resume=read_state(path, "hash")), whole)
    return whole, len(kept.paths)


def assert_same(one: TrainingResult, other: TrainingResult) -> None:
    assert (one.status, one.reason) == (other.status, other.reason)
    assert one.statistics == other.statistics
    torch.testing.assert_close(one.final, other.final, rtol=0, atol=0)
    first, second = one.trajectory, other.trajectory
    for name in ("times", "loss", "features", "log_norms", "direction_feature", "accumulated_utility", "steps"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    assert first.observables.keys() == second.observables.keys()
    for name, values in first.observables.items():
        np.testing.assert_array_equal(values, second.observables[name], err_msg=name)
    assert [time for time, _ in one.recorder.states] == [time for time, _ in other.recorder.states]
    for (_, state), (_, same) in zip(one.recorder.states, other.recorder.states, strict=True):
        torch.testing.assert_close(state, same, rtol=0, atol=0)


@pytest.mark.parametrize("options", [{"momentum": 0.0}, {"momentum": 0.9}, {"batch_size": 3},
                                     {"momentum": 0.5, "batch_size": 7}],
                         ids=["momentum 0", "momentum 0.9", "batches", "batches with momentum"])
@pytest.mark.parametrize("by", ["compiled steps", "torch"])
def test_gradient_descent_goes_on_to_the_last_bit(options: dict[str, Any], by: str, tmp_path: Path,
                                                  request: pytest.FixtureRequest) -> None:
    if by == "torch":
        request.getfixturevalue("without_kernels")
    problem = problem_of("modadd")
    train = partial(train_by_gradient_descent, problem.architecture, problem.initial, 4000,
                    learning_rate=0.05 * (1 - options.get("momentum", 0.0)), seed=3, **options)
    whole, states = resumed(train, tmp_path, 600)
    assert states == 6
    assert whole.trajectory.loss[-1] < 0.9 * whole.trajectory.loss[0]


@pytest.mark.parametrize("options", [
    {"optimizer": "Adam", "label_noise": 0.5, "schedule": "cosine"}, {"optimizer": "AdamW", "batch_size": 3},
    {"optimizer": "SGD", "momentum": 0.9, "clip": 1.0}, {"optimizer": "ASGD"}, {"optimizer": "Rprop"},
], ids=lambda options: options["optimizer"])
def test_an_optimizer_of_torch_goes_on_to_the_last_bit(options: dict[str, Any], tmp_path: Path) -> None:
    problem = problem_of("modadd")
    settings = OptimizerConfig(max_steps=200, learning_rate=0.01, **options)
    train = partial(train_by_optimizer, problem.architecture, problem.initial, settings, seed=3)
    assert resumed(train, tmp_path, 50)[1] == 3


# Horizon, and after how many steps each state is kept.
FLOWS = {"modadd": (60.0, 20), "diagonal": (12.0, 10), "linear": (8.0, 10), "attention": (400.0, 30),
         "below the smallest float": (800.0, 20), "linear below the smallest float": (300.0, 700)}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if every > 100 else name
                                  for name, (_, every) in FLOWS.items()])
def test_gradient_flow_goes_on_to_the_last_bit(name: str, tmp_path: Path) -> None:
    horizon, every = FLOWS[name]
    whole, states = resumed(flow(problem_of(name), horizon), tmp_path, every)
    assert states >= 2
    assert whole.trajectory.loss[-1] < 0.9 * whole.trajectory.loss[0]


@pytest.mark.parametrize("method", ["rosenbrock", "extrapolation", "rock4"])
def test_each_method_goes_on_to_the_last_bit(method: str, tmp_path: Path) -> None:
    assert resumed(flow(problem_of("modadd"), 30.0, method), tmp_path, 4)[1] >= 2


def test_lsoda_goes_on_to_its_tolerance(tmp_path: Path) -> None:
    train = flow(problem_of("modadd"), 60.0, "lsoda")
    kept = EveryFew(tmp_path, 50)
    whole = train(checkpoints=kept)
    assert len(kept.paths) >= 3
    for path in kept.paths:
        again = train(resume=read_state(path, "hash"))
        assert again.status == whole.status
        torch.testing.assert_close(again.final, whole.final, rtol=1e-3, atol=1e-5)


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    kept = EveryFew(tmp_path, 5)
    flow(problem_of("modadd"), 20.0)(checkpoints=kept)
    with pytest.raises(CheckpointError, match="none of this training"):
        flow(problem_of("linear"), 20.0)(resume=read_state(kept.paths[0], "hash"))
    problem = problem_of("modadd")
    with pytest.raises(CheckpointError, match="none of this training"):
        train_by_gradient_descent(problem.architecture, problem.initial, 10, learning_rate=0.1,
                                  resume=read_state(kept.paths[0], "hash"))
