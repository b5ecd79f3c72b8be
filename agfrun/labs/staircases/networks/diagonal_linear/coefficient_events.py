"""Acquisitions and losses of coefficients, read off a timeline of drops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.events.event import NEGLIGIBLE, sign_runs
from agfrun.labs.staircases.networks.diagonal_linear.drop import Drop
from agfrun.labs.staircases.networks.own_size import OwnSizeEvent


@dataclass(frozen=True)
class Excursion:
    """A run of plateaus on which a coefficient has one sign.

    Attributes:
        index: of the coefficient.
        first, last: drops that begin and end it; `last` is None where it stays.
        size: signed, where it settles: on the last of the plateaus.
        gain: the drop in which it passes half of that upwards; downwards it does in `last`.
        gained, lost: when, and the relative error of that; NaN where it stays.
    """

    index: int
    first: int
    last: int | None
    size: float
    gain: int
    gained: tuple[float, float]
    lost: tuple[float, float]


def coefficient_events(
    drops: Sequence[Drop], names: Sequence[str], loss_of_signs: Callable[[np.ndarray], float]
) -> tuple[OwnSizeEvent, ...]:
    """All events in order of time. A coefficient that stays below `NEGLIGIBLE` of the largest has none, as in training.

    Args:
        drops: in order, each to a plateau.
        names: of the coefficients.
        loss_of_signs: least loss of coefficients of given signs, (d,); 0 is without it.
    """
    if not drops:
        return ()
    found = [excursion for index in range(len(names)) for excursion in _excursions(drops, index)]
    levels = _levels(drops, found, loss_of_signs)
    largest = max(float(np.abs(drop.after.coefficients).max()) for drop in drops)
    events = []
    for number, excursion in enumerate(found):
        if abs(excursion.size) < NEGLIGIBLE * largest:
            continue
        name, index = names[excursion.index], excursion.index
        drop = drops[excursion.gain]
        events.append(OwnSizeEvent(name, excursion.gained[0], drop.step, excursion.size, *levels[number, True],
                                   excursion.gained[1], index))
        if excursion.last is not None:
            drop = drops[excursion.last]
            events.append(OwnSizeEvent(name, excursion.lost[0], drop.step, 0.0, *levels[number, False],
                                       excursion.lost[1], index))
    return tuple(sorted(events, key=lambda event: event.time))


def _excursions(drops: Sequence[Drop], index: int) -> list[Excursion]:
    sizes = np.array([0.0] + [drop.after.coefficients[index] for drop in drops])
    found = []
    for first, stop, sign in sign_runs(sizes):
        if sign == 0:
            continue
        size = float(sizes[stop - 1])
        # The sizes before it are of the other sign, or none.
        beyond = sign * sizes >= abs(size) / 2
        gain = next(k for k in range(first - 1, stop - 1) if beyond[k + 1])
        ends = stop < len(sizes)
        found.append(Excursion(index, first - 1, stop - 1 if ends else None, size, gain,
                               drops[gain].passing(index, size / 2),
                               drops[stop - 1].passing(index, size / 2, last=True) if ends else (math.nan, math.nan)))
    return found


def _levels(
    drops: Sequence[Drop], excursions: Sequence[Excursion], loss_of_signs: Callable[[np.ndarray], float]
) -> dict[tuple[int, bool], tuple[float, float]]:
    """Losses before and after each excursion (its number) begins (True) and ends (False).

    Of several in one drop each has the least loss of what is there so far.
    """
    changes = [(e.first, e.gained[0], number, True) for number, e in enumerate(excursions)]
    changes += [(e.last, e.lost[0], number, False) for number, e in enumerate(excursions) if e.last is not None]
    losses, levels = [drops[0].before_loss] + [drop.after_loss for drop in drops], {}
    signs, before = np.zeros(drops[0].before.curves.width), losses[0]
    ordered = sorted(changes)
    for place, (drop, _, number, gains) in enumerate(ordered):
        excursion = excursions[number]
        signs[excursion.index] = np.sign(excursion.size) if gains else 0.0
        last = place + 1 == len(ordered) or ordered[place + 1][0] != drop
        after = losses[drop + 1] if last else loss_of_signs(signs)
        levels[number, gains] = (before, after)
        before = after
    return levels
