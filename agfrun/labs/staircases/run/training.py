"""Training as a configuration says: gradient flow or gradient descent, with a progress bar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import singledispatch

import torch
from threadpoolctl import threadpool_limits

from agfrun.files.training_state import Checkpoints, TrainingState
from agfrun.labs.staircases.config import GradientDescentConfig, GradientFlowConfig, RunConfig, TrainConfig
from agfrun.labs.staircases.dynamics.clock import flow_time_per_step
from agfrun.labs.staircases.dynamics.gradient_descent import train_by_gradient_descent
from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.run.problem import Problem, build_problem
from agfrun.labs.staircases.run.progress import TrainingBar
from agfrun.study.errors import ConfigError, DivergenceError
from agfrun.study.interruption import interruption_of

# Below this many unknowns a second thread costs more than it saves.
SINGLE_THREAD_SIZE = 4000
# At 20 microseconds a step, the least that a step takes, these are two years.
MOST_STEPS = 3e12
# Of which the paths between say something.
FEWEST_STEPS = 20


def choose_threads(problem: Problem) -> None:
    """Use one thread for a small network, in torch and in the linear algebra below NumPy and SciPy."""
    coordinates = problem.architecture.flow_coordinates(problem.initial, None, problem.log_factor)
    if coordinates.encode(problem.initial).numel() <= SINGLE_THREAD_SIZE:
        torch.set_num_threads(1)
        threadpool_limits(1)


def optimizer_steps(settings: GradientDescentConfig, horizon: float, flow_time_per_step: float) -> int:
    """How many steps gradient descent takes at most: as many as asked for, else those to the horizon."""
    return settings.max_steps or math.ceil(horizon / flow_time_per_step)


def check_length(config: RunConfig, architecture: Architecture, horizon: float) -> None:
    """Refuse a training of so many steps that nobody lives to see its end, or so few that none of it is seen.

    Raises:
        ConfigError: gradient descent would take more than `MOST_STEPS` steps, or fewer than `FEWEST_STEPS`.
    """
    settings = config.train
    if not isinstance(settings, GradientDescentConfig):
        return
    per_step = flow_time_per_step(settings.learning_rate, settings.momentum, settings.loss_normalization,
                                  architecture.output_dimension)
    steps = settings.max_steps or (horizon / per_step if per_step > 0 else math.inf)
    if settings.max_steps is None and steps < FEWEST_STEPS:
        largest = settings.learning_rate * steps / FEWEST_STEPS
        raise ConfigError("train.learning_rate", settings.learning_rate, f"a step takes {per_step:.4g} of the "
                          f"training's time of {horizon:.4g}; take one below {largest:.2g}")
    if steps > MOST_STEPS:
        key = "learning_rate" if settings.max_steps is None else "max_steps"
        raise ConfigError(f"train.{key}", getattr(settings, key), f"it takes {steps:.3g} steps to the time "
                          f"{horizon:.4g}; at most {MOST_STEPS:g} are taken")


@dataclass(frozen=True)
class Watch:
    """What accompanies a training.

    Attributes:
        seed: of sampled batches.
        first_event: when the first drop is expected, for the progress bar; None: not known.
        progress: show a bar; None decides by whether standard error is a terminal.
        checkpoints: where states are kept on the way; None: nowhere.
        resume: one of them, to go on from.
    """

    seed: int = 0
    first_event: float | None = None
    progress: bool | None = None
    checkpoints: Checkpoints | None = None
    resume: TrainingState | None = None


@singledispatch
def train(settings: TrainConfig, problem: Problem, horizon: float, watch: Watch) -> TrainingResult:
    """Train up to `horizon` in gradient-flow time as the settings say; a trainer from outside by its own `run`.

    Raises:
        CheckpointError: `watch.resume` is of another training.
    """
    trained: TrainingResult = settings.run(problem, horizon, watch)
    return trained


@train.register
def _flow(settings: GradientFlowConfig, problem: Problem, horizon: float, watch: Watch) -> TrainingResult:
    with TrainingBar(horizon, watch.first_event, watch.progress) as bar:
        return train_by_gradient_flow(
            problem.architecture, problem.initial, horizon, tolerance=settings.tolerance, method=settings.method,
            convergence=settings.convergence, max_rows=settings.max_rows, progress=bar, log_factor=problem.log_factor,
            checkpoints=watch.checkpoints, resume=watch.resume)


@train.register
def _descent(settings: GradientDescentConfig, problem: Problem, horizon: float, watch: Watch) -> TrainingResult:
    architecture = problem.architecture
    per_step = flow_time_per_step(settings.learning_rate, settings.momentum, settings.loss_normalization,
                                  architecture.output_dimension)
    steps = optimizer_steps(settings, horizon, per_step)
    with TrainingBar(steps * per_step, None, watch.progress) as bar:
        return train_by_gradient_descent(
            architecture, problem.initial, steps, learning_rate=settings.learning_rate, momentum=settings.momentum,
            batch_size=settings.batch_size, loss_normalization=settings.loss_normalization, seed=watch.seed,
            convergence=settings.convergence, max_rows=settings.max_rows, progress=bar,
            checkpoints=watch.checkpoints, resume=watch.resume)


def require_length(config: RunConfig) -> None:
    """Refuse a configuration that leaves the length of training to a prediction.

    Raises:
        ConfigError: neither the horizon nor the number of steps is given.
    """
    if config.train.horizon is None and getattr(config.train, "max_steps", None) is None:
        raise ConfigError("train.horizon", None, "must be given where no prediction is made to choose it from")


def train_alone(config: RunConfig) -> TrainingResult:
    """Train as configured without a prediction, up to `train.horizon` (gradient descent: or `train.max_steps`).

    Raises:
        ConfigError: the network cannot be built, or the length of training is open.
        DivergenceError: training left the finite numbers.
        KeyboardInterrupt: interrupted.
    """
    require_length(config)
    problem = build_problem(config)
    choose_threads(problem)
    result = train(config.train, problem, config.train.horizon or 0.0, Watch(config.seed, progress=False))
    if result.status == "interrupted":
        raise interruption_of(result.reason)
    if result.status in GAVE_UP:
        raise DivergenceError(f"training {result.status}: {result.reason}")
    return result
