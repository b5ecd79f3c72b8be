"""Closed forms for diagonal linear networks (AGF paper, section 3; fact: theorem 3.1)."""

from __future__ import annotations

import math

import numpy as np

from agfrun.data.regression import Regression
from agfrun.events.event import Event
from agfrun.theory.successive_saddles import Saddle, successive_saddles
from agfrun.theory.theory import Theory


def limit_saddles(data: Regression) -> list[Saddle]:
    """Saddles in the limit of vanishing initialization; time is t / log(1/scale)."""
    dimension = data.inputs.shape[1]
    return successive_saddles(data.inputs.cpu().double().numpy(), data.targets.cpu().double().numpy(),
                              -np.ones(dimension), np.ones(dimension))


def diagonal_linear_theory(data: Regression, init_scale: float) -> Theory:
    """The vanishing limit, its clock multiplied by log(1/scale)."""
    saddles = limit_saddles(data)
    initial_loss = 0.5 * float(data.targets.square().mean())
    stretch = math.log(1 / init_scale)
    losses = [initial_loss, *(saddle.loss for saddle in saddles)]
    times = [saddle.time * stretch for saddle in saddles]
    ends = [*times[1:], math.nan]
    names = [str(i + 1) for i in range(data.inputs.shape[1])]
    events = []
    for k, saddle in enumerate(saddles):
        events.append(Event("activation", times[k], names[saddle.coordinate], saddle.coordinate, losses[k],
                            losses[k + 1], times[k], ends[k]))
        events += [Event("collapse", times[k], names[i], i, losses[k], losses[k + 1], times[k], ends[k])
                   for i in saddle.collapsed]
    return Theory(
        description="successive saddles of the vanishing limit (theorem 3.1), time multiplied by log(1/scale)",
        levels=tuple((names[saddle.coordinate], saddle.loss) for saddle in saddles),
        undecided="",
        events=tuple(events),
        lower_bounds={},
        initial_loss=initial_loss,
    )
