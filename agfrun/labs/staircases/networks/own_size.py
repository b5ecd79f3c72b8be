"""Own-size steps: when each feature is learned, in closed form or nearly so, from the initialization at hand.

AGF puts the step of the residual where a newcomer's norm is 1. What a drop hands on to the other neurons is the
integral of their drive over it, and the newcomer's own equation says what that is: its growth coordinate G obeys
dG/dt = drive exactly (G is the log amplitude at homogeneity degree 2, -1/size at degree 3), so the integral is the
same as if the newcomer had grown freely to its *own final size* and the residual had then stepped. With the step
there the error of order 1/log(1/scale) of AGF's times is gone, and nothing of the network's flow is integrated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class OwnSizeEvent:
    """A feature that is learned (or, with `size` 0, lost), as own-size steps predict it.

    Attributes:
        feature: its label.
        time: when its size passes half of `size` (half of the size that it had, where it is lost).
        step: when the residual steps: the newcomer's free growth reaches its own final size.
        size: signed size at which the feature settles: on the last plateau before it is lost, or at the end. Where
            later features move it, it is not yet that on the plateau after its own drop.
        loss_before, loss_after: the plateaus before and after.
        error: estimated relative error of `time`, known before training; NaN where there is no estimate.
        neuron: which neuron takes the feature, where it is one neuron's.
    """

    feature: str
    time: float
    step: float
    size: float
    loss_before: float
    loss_after: float
    error: float = math.nan
    neuron: int | None = None


@dataclass(frozen=True)
class OwnSizePrediction:
    """The own-size prediction of a training run.

    Attributes:
        description: one sentence on which formulas it comes from.
        events: in order of time.
        void: why it says nothing after the last event, in one sentence; empty where it is complete.
        warning: why its times are not to be trusted from some event on, in one sentence; empty where they are.
        evaluations: calls of a right-hand side that it took, whatever their size.
    """

    description: str
    events: tuple[OwnSizeEvent, ...]
    void: str = ""
    warning: str = ""
    evaluations: int = 0
