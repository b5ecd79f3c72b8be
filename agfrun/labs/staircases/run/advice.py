"""What to try where training did not end as it should, from what is known of the network and its prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.config import GradientDescentConfig, RunConfig, TrainConfig
from agfrun.labs.staircases.dynamics.clock import loss_factor
from agfrun.labs.staircases.dynamics.delay import relative_delay
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.stability import largest_stable_rate
from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import Staircase, find_staircase
from agfrun.labs.staircases.networks.base import Architecture

# Of the flow's time; a longer delay is said.
LARGEST_DELAY = 0.05
# Of the initial loss: what it must have lost not to stand still.
FALLEN = 0.05


def with_advice(config: RunConfig, architecture: Architecture, prediction: Prediction,
                training: TrainingResult, learned: bool) -> str:
    """The reason why training ended, and what to try if that is no good end.

    Args:
        learned: whether training has learned any feature.
    """
    staircase = find_staircase(training.trajectory.times, training.trajectory.loss)
    unlearned = "" if learned else _unlearned(training.trajectory, staircase)
    advice = _advice(config, architecture, prediction, training, unlearned)
    # What noise hides is said where nothing was learned; that the loss ran away is said of a divergence anyway.
    told = not staircase.note or training.status in GAVE_UP or staircase.note in advice
    return advice if told else f"{advice}; {staircase.note}"


def _unlearned(path: Trajectory, staircase: Staircase) -> str:
    """What to call it where training has acquired no feature."""
    if staircase.drops:
        count = len(staircase.drops)
        return f"the loss fell in {count} drop{'s' * (count > 1)}, but no feature was acquired"
    first, last = float(path.loss[0]), float(path.loss[-1])
    if staircase.note and last < (1 - FALLEN) * first:
        return f"the loss fell from {first:.3g} to {last:.3g}, but {staircase.note}"
    return staircase.note or "nothing was learned"


def _advice(config: RunConfig, architecture: Architecture, prediction: Prediction, training: TrainingResult,
            unlearned: str) -> str:
    """The reason and the advice; `unlearned` says that nothing was learned, and is empty where something was."""
    settings = config.train
    if training.status == "diverged" and isinstance(settings, GradientDescentConfig):
        return f"{training.reason}; {_smaller_rate(settings, architecture, prediction, training)}"
    if training.status == "stalled":
        return f"{training.reason}; try a larger train.tolerance or another train.method"
    if training.status == "horizon" and unlearned and prediction.rounds:
        if float(training.trajectory.times[-1]) > prediction.rounds[0].time:
            return f"{training.reason}; {unlearned}, though the first feature was predicted at time " \
                   f"{prediction.rounds[0].time:.4g}{_not_so_fast(settings)}"
        first = f"the first feature is predicted at time {prediction.rounds[0].time:.4g}"
        return f"{training.reason}; {unlearned} by then: {first}{_longer(config)}"
    return training.reason


def with_delay(config: RunConfig, architecture: Architecture, training: TrainingResult,
               measured: Sequence[Event]) -> str:
    """The reason why training ended, and how late gradient descent comes where that is more than a little.

    Args:
        measured: events of this training.
    """
    if not isinstance(config.train, GradientDescentConfig) or training.status == "diverged":
        return training.reason
    activated = [(event.time, event.neuron) for event in measured
                 if event.kind == "activation" and event.neuron is not None]
    path = training.trajectory
    delay = relative_delay(path.times, path.log_norms[:, [neuron for _, neuron in activated]],
                           [time for time, _ in activated], architecture.homogeneity_degree,
                           float(training.clock["flow_time_per_step"]), config.train.momentum)
    if not delay > LARGEST_DELAY:
        return training.reason
    return (f"{training.reason}; by its own estimate its steps delay drops by up to {delay:.0%} of the flow's times, "
            "try a smaller train.learning_rate or train.momentum")


def _smaller_rate(settings: GradientDescentConfig, architecture: Architecture, prediction: Prediction,
                  training: TrainingResult) -> str:
    """The bound is that of the sharper of the predicted end and the last state before the loss ran away."""
    path = training.trajectory
    before = path.times[path.loss <= path.loss[0]]
    states = [prediction.final, *([training.recorder.state_near(float(before[-1]))[1]] if len(before) else [])]
    factor = loss_factor(settings.loss_normalization, architecture.output_dimension)
    bound = largest_stable_rate(architecture, states, settings.momentum, factor, settings.batch_size)
    if bound is None or not bound < settings.learning_rate:
        return "try a smaller train.learning_rate"
    return f"try train.learning_rate < {_rounded_down(bound):g}"


def _not_so_fast(settings: TrainConfig) -> str:
    return "; try a smaller train.learning_rate" if isinstance(settings, GradientDescentConfig) else ""


def _longer(config: RunConfig) -> str:
    if getattr(config.train, "max_steps", None) is not None:
        return ", try a larger train.max_steps"
    return ", try a larger train.horizon, or null" if config.train.horizon is not None else ""


def _rounded_down(value: float) -> float:
    """To two digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.floor(value / unit) * unit
