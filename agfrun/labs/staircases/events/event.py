"""Events of a staircase, the same type for training, prediction and theory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

EventKind = Literal["activation", "acquisition", "collapse", "drop"]
# A feature smaller than this part of the largest feature on any plateau is absent.
NEGLIGIBLE = 0.01


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        kind: `activation` - a neuron becomes active; `acquisition` - the network's output gains a
            feature (its neurons' drops grouped); `collapse` - a neuron returns to the origin; `drop` - the loss falls
            from one plateau to the next, whatever the features are.
        time: gradient-flow time; of a drop when half of the fall is done.
        feature: label of the feature concerned; empty for a drop.
        neuron: index of the neuron, or None where the event is not one neuron's.
        loss_before: level of the plateau that the event ends.
        loss_after: level of the plateau that follows, NaN where none is resolved.
        plateau_start: when the plateau that follows begins, NaN where none is resolved.
        plateau_end: when it ends, NaN where none is resolved or it lasts to the end.
        size: signed size at which the feature settles after an acquisition, or which it had before a collapse; NaN
            where it is not known.
        time_error: estimated relative error of an acquisition's `time` beside that of the integration: for the distance
            between the rows of the record, and for the size at which the feature settles where that is not known; NaN
            where nothing is estimated, as for a feature that is growing as the record ends.
        neurons: of a drop, those that activate in it, in that order.
    """

    kind: EventKind
    time: float
    feature: str
    neuron: int | None
    loss_before: float
    loss_after: float
    plateau_start: float = math.nan
    plateau_end: float = math.nan
    size: float = math.nan
    time_error: float = math.nan
    neurons: tuple[int, ...] = ()

    @property
    def sign(self) -> int:
        """Sign of the feature gained or lost; 0 where its size is not known."""
        return 0 if math.isnan(self.size) else int(math.copysign(1, self.size))


def first_activations(events: Iterable[Event]) -> dict[str, Event]:
    """The first neuron's activation for each feature, in order of time."""
    found = dict[str, Event]()
    for event in events:
        if event.kind == "activation" and event.neuron is not None:
            found.setdefault(event.feature, event)
    return found


def sign_runs(sizes: npt.NDArray[np.float64]) -> list[tuple[int, int, float]]:
    """Stretches of one sign of a list of numbers (S,): first, one past the last, and the sign, which may be 0."""
    signs = np.sign(sizes)
    bounds = np.flatnonzero(np.diff(signs, prepend=np.nan, append=np.nan) != 0).tolist()
    return [(first, stop, float(signs[first])) for first, stop in zip(bounds[:-1], bounds[1:], strict=True)]
