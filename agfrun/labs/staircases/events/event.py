"""Events of a staircase, the same type for training, prediction and theory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

EventKind = Literal["activation", "acquisition", "collapse"]


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        kind: `activation` - a neuron becomes active; `acquisition` - the network's output gains a
            feature (its neurons' drops grouped); `collapse` - a neuron returns to the origin.
        time: gradient-flow time.
        feature: label of the feature concerned.
        neuron: index of the neuron, or None where the event is not one neuron's.
        loss_before: level of the plateau that the event ends.
        loss_after: level of the plateau that follows, NaN where none is resolved.
        plateau_start: when the plateau that follows begins, NaN where none is resolved.
        plateau_end: when it ends, NaN where none is resolved or it lasts to the end.
    """

    kind: EventKind
    time: float
    feature: str
    neuron: int | None
    loss_before: float
    loss_after: float
    plateau_start: float = math.nan
    plateau_end: float = math.nan
