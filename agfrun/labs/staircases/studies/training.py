"""Training without a prediction."""

from __future__ import annotations

from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.run.problem import build_problem
from agfrun.labs.staircases.run.training import choose_threads, train
from agfrun.study.errors import ConfigError, DivergenceError
from agfrun.study.schema import RunConfig


def check_length(config: RunConfig) -> None:
    """Refuse a configuration that leaves the length of training to a prediction.

    Raises:
        ConfigError: neither the horizon nor the number of steps is given.
    """
    if config.train.horizon is None and getattr(config.train, "max_steps", None) is None:
        raise ConfigError("train.horizon", None, "must be given where no prediction is made to choose it from")


def train_alone(config: RunConfig) -> TrainingResult:
    """Train as configured, up to `train.horizon` (gradient descent: or `train.max_steps`).

    Raises:
        ConfigError: the network cannot be built, or the length of training is open.
        DivergenceError: training left the finite numbers.
        KeyboardInterrupt: interrupted.
    """
    check_length(config)
    problem = build_problem(config)
    choose_threads(problem)
    result = train(config, problem, config.train.horizon or 0.0, progress=False)
    if result.status == "interrupted":
        raise KeyboardInterrupt
    if result.status in GAVE_UP:
        raise DivergenceError(f"training {result.status}: {result.reason}")
    return result
