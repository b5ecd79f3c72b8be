"""Closed forms for diagonal linear networks (AGF paper, section 3; fact: theorem 3.1)."""

from __future__ import annotations

import math

import numpy as np

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.diagonal_linear.curves import NeuronCurves
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression
from agfrun.labs.staircases.networks.diagonal_linear.successive_saddles import FloatArray, Saddle, successive_saddles
from agfrun.labs.staircases.networks.theory import Theory

# Coordinates that reach their ends within this part of the time arrive together.
SIMULTANEOUS = 1e-9


def design_of(data: Regression) -> tuple[FloatArray, FloatArray]:
    """Design X (n, d) and targets y (n,) in double precision."""
    return data.inputs.cpu().double().numpy(), data.targets.cpu().double().numpy()


def limit_saddles(data: Regression, signed: bool = True) -> list[Saddle]:
    """Saddles when all coordinates start alike: ends -1 and 1, or without a lower end if not `signed`.

    The limit of vanishing initialization at any depth; only the unit of time depends on it: at depth 2
    it is log(1/scale), at depth >= 3 the neurons' common blow-up.
    """
    ends = np.ones(data.inputs.shape[1])
    return successive_saddles(*design_of(data), -ends if signed else np.full_like(ends, -np.inf), ends)


def diagonal_linear_theory(data: Regression, curves: NeuronCurves, log_init_scale: float) -> Theory:
    """The vanishing limit on the clock of a scale.

    At depth 2 all neurons have to accumulate log(1/scale) (half of it as powers), whatever their
    directions: theorem 3.1. At depth L >= 3 a neuron has to accumulate the integral of its drive up to its
    blow-up, which is proportional to scale^(2 - L) and differs between directions; that the dormant neurons
    then fire in turn follows as at depth 2, for each moves on one curve. What is left out is the time that
    cost phases and the last part of a blow-up take, smaller by scale^(L - 2).
    """
    inputs, targets = design_of(data)
    saddles = successive_saddles(inputs, targets, *curves.limit_ends(log_init_scale))
    clock = "log(1/scale)" if curves.depth == 2 else "each neuron's own blow-up"
    names = [str(i + 1) for i in range(inputs.shape[1])]
    initial_loss = 0.5 * float(np.mean(targets**2))
    return Theory(
        description=f"successive saddles of the vanishing limit (theorem 3.1), time in units of {clock}",
        levels=tuple((names[saddle.coordinate], saddle.loss) for saddle in saddles),
        undecided=_ties(saddles, names),
        events=tuple(_events(saddles, names, initial_loss)),
        lower_bounds={},
        initial_loss=initial_loss,
    )


def _events(saddles: list[Saddle], names: list[str], initial_loss: float) -> list[Event]:
    """Activations and collapses, each plateau up to the next activation."""
    losses = [initial_loss, *(saddle.loss for saddle in saddles)]
    ends = [*(saddle.time for saddle in saddles[1:]), math.nan]
    events = []
    for k, saddle in enumerate(saddles):
        context = (losses[k], losses[k + 1], saddle.time, ends[k])
        events.append(Event("activation", saddle.time, names[saddle.coordinate], saddle.coordinate, *context))
        events += [Event("collapse", saddle.time, names[i], i, *context) for i in saddle.collapsed]
    return events


def _ties(saddles: list[Saddle], names: list[str]) -> str:
    """A sentence on coordinates that arrive together, or nothing."""
    tied = [f"{names[first.coordinate]} and {names[second.coordinate]}"
            for first, second in zip(saddles, saddles[1:], strict=False)
            if second.time - first.time <= SIMULTANEOUS * second.time]
    return f"coefficients {', '.join(tied)} activate together: their order is undetermined" if tied else ""


def first_selections(saddles: list[Saddle]) -> list[tuple[int, float]]:
    """Coordinates in the order of their first activation, each with its time."""
    seen: dict[int, float] = {}
    for saddle in saddles:
        seen.setdefault(saddle.coordinate, saddle.time)
    return list(seen.items())


def first_collapse(saddles: list[Saddle]) -> float:
    """Time of the first collapse, infinite if there is none."""
    return next((saddle.time for saddle in saddles if saddle.collapsed), math.inf)
