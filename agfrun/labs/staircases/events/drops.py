"""Drops of the loss as events of their own: what any two staircases have in common, whatever their features are."""

from __future__ import annotations

from collections.abc import Sequence

from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import Staircase


def loss_drops(staircase: Staircase, events: Sequence[Event] = ()) -> list[Event]:
    """The drops of a staircase, in order of time.

    A drop is dated when half of the fall from plateau to plateau is done (the arithmetic mean of both levels). The
    last may lead to no plateau: `loss_after` is then NaN.

    Args:
        staircase: of the loss, from `find_staircase`.
        events: of the same path; a drop's `neurons` are those that activate from the flattest point before it to the
            flattest point after it.
    """
    activations = sorted((event for event in events if event.kind == "activation" and event.neuron is not None),
                         key=lambda event: event.time)
    taking_part: dict[int, list[int]] = {}
    for event in activations:
        neurons = taking_part.setdefault(staircase.drop_index(event.time), [])
        if event.neuron is not None and event.neuron not in neurons:
            neurons.append(event.neuron)
    return [Event("drop", drop.time, "", None, **staircase.context(index, index),
                  neurons=tuple(taking_part.get(index, ())))
            for index, drop in enumerate(staircase.drops)]


def with_drops(events: Sequence[Event], staircase: Staircase) -> list[Event]:
    """The events of a path and the drops of its loss, in order of time; a drop comes after what happens in it."""
    return sorted([*events, *loss_drops(staircase, events)], key=lambda event: (event.time, event.kind == "drop"))
