"""The plateaus around events whose times are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import Staircase


def place_on_plateaus(events: Sequence[Event], staircase: Staircase) -> list[Event]:
    """The events, in order of time, with the loss levels and plateau times of a measured staircase.

    `loss_before` is the plateau before the event's drop; `loss_after` and the plateau's times are those of
    the first plateau between the event and the next one of its kind, NaN where there is none.
    """
    ordered = sorted(events, key=lambda event: event.time)
    drops = [staircase.drop_index(event.time) for event in ordered]
    placed = []
    for position, (event, drop) in enumerate(zip(ordered, drops, strict=True)):
        later = [other for other, kin in zip(drops[position + 1:], ordered[position + 1:], strict=True)
                 if kin.kind == event.kind]
        shared = bool(later) and later[0] == drop
        placed.append(replace(event, **staircase.context(drop, None if shared else drop)))
    return placed
