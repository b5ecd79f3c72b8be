"""Which acquisition times can be told: those that a rerun at ten times the tolerance leaves where they are.

A time that moves with the tolerance of the integration is decided by differences as small as its errors. No
prediction can be expected to get it, and a number without this warning says more than is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.base import Architecture

LOOSENED = 10.0
MOVED = 0.05
LOOSEST = 1e-2


@dataclass(frozen=True)
class Sensitivity:
    """An acquisition or collapse of a feature, and the same one in the rerun.

    Attributes:
        feature, kind: which.
        time: in the run.
        rerun_time: in the rerun; NaN where it has none.
    """

    feature: str
    kind: str
    time: float
    rerun_time: float

    @property
    def shift(self) -> float:
        """By how much the time moves, relative to the earlier of the two; infinite where the rerun has none."""
        if math.isnan(self.rerun_time):
            return math.inf
        return abs(self.rerun_time - self.time) / min(self.rerun_time, self.time)

    @property
    def sensitive(self) -> bool:
        """Whether it moves by more than `MOVED`."""
        return self.shift > MOVED


def compare_reruns(events: Sequence[Event], rerun: Sequence[Event]) -> list[Sensitivity]:
    """Pair acquisitions and collapses by feature, kind and how often they have come, in order of the run's times.

    Works for measured events and for predicted ones alike.
    """
    compared, seen = list[Sensitivity](), dict[tuple[str, str], int]()
    for event in sorted(events, key=lambda event: event.time):
        if event.kind not in ("acquisition", "collapse") or not math.isfinite(event.time):
            continue
        which = (event.feature, event.kind)
        number = seen.get(which, 0)
        seen[which] = number + 1
        same = sorted(other.time for other in rerun if (other.feature, other.kind) == which)
        compared.append(Sensitivity(event.feature, event.kind, event.time,
                                    same[number] if number < len(same) else math.nan))
    return compared


def training_sensitivity(architecture: Architecture, neurons: Tensor, events: Sequence[Event], horizon: float,
                         tolerance: float, *, threshold: float = 1.0, method: str = "auto", convergence: float = 1e-6,
                         log_factor: float = 0.0) -> list[Sensitivity]:
    """Train once more at ten times the tolerance (1e-2 at most), and compare.

    Args:
        neurons: the initialization over exp(log_factor), as for `train_by_gradient_flow`.
        events: of the run, from `detect_events`.
        horizon, tolerance, method, convergence: of the run.
        threshold: norm at which a neuron is active, for the detection of events.
    """
    rerun = train_by_gradient_flow(architecture, neurons, horizon, tolerance=min(LOOSENED * tolerance, LOOSEST),
                                   method=method, convergence=convergence, log_factor=log_factor)
    return compare_reruns(events, detect_events(rerun.trajectory, threshold))


def prediction_sensitivity(predict: Callable[[float], Sequence[Event]], tolerance: float) -> list[Sensitivity]:
    """The same for a prediction: `predict` makes its events at a tolerance."""
    return compare_reruns(predict(tolerance), predict(min(LOOSENED * tolerance, LOOSEST)))
