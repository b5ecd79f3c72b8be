"""Staircases whose distance from training is known."""

from __future__ import annotations

import numpy as np

from agfrun.labs.staircases.analysis.distances import Curve
from agfrun.labs.staircases.dynamics.trajectory import FloatArray

TIMES = (0.2, 0.7, 1.9)
LEVELS = (1.0, 0.4, 0.1, 0.0)


def steps(times: tuple[float, ...] = TIMES, levels: tuple[float, ...] = LEVELS, end: float = 3.0) -> Curve:
    """A staircase of jumps."""
    moments = [0.0, *(time for time in times for _ in range(2)), end]
    values = [levels[0], *(level for pair in zip(levels, levels[1:], strict=False) for level in pair), levels[-1]]
    return Curve(np.array(moments), np.array(values))


def smooth(rate: float, lag: float, width: float, end: float = 3.0) -> Curve:
    """The staircase with logistic drops, `lag * rate` late and `width * rate` long."""
    times = np.linspace(0.0, end, 60_001)
    values = np.full_like(times, LEVELS[-1])
    for time, before, after in zip(TIMES, LEVELS, LEVELS[1:], strict=False):
        values += (before - after) * logistic(-(times - time - lag * rate) / (width * rate))
    return Curve(times, values)


def logistic(argument: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * argument)))


def distance_of_logistic_drops(rate: float, lag: float, width: float) -> float:
    """Integral of |smooth - steps| over all times.

    For each unit of loss: w log(1 + e^(l/w)) + w log(1 + e^(-l/w)) with the drop's length w and its delay l.
    """
    length, late = width * rate, lag * rate
    return length * float(np.logaddexp(0, late / length) + np.logaddexp(0, -late / length)) * (LEVELS[0] - LEVELS[-1])
