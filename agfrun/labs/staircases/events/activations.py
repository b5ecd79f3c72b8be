"""Activations and collapses of neurons, read off their norms.

A neuron that starts small makes excursions: its norm leaves the neighbourhood of the start, and may come
back to it. Distances between norms are measured on the logarithmic scale, on which a dormant neuron of a
network of homogeneity degree 2 moves at constant speed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray
from agfrun.labs.staircases.events.context import place_on_plateaus
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import Staircase

# An excursion is an activation if it gets three quarters of the way from the initial norm to the threshold.
# Half-way, the neurons that lose the race at a large initialization (norm 0.2 at scale 1e-2) would count.
REQUIRED_PROGRESS = 0.75
# It is over once the norm is back half-way.
RETURN_PROGRESS = 0.5
# A neuron that grows by more than this part in the time its last doubling took is still on its way.
SETTLED_GROWTH = 0.25
LOG_2 = math.log(2)
# Slopes between neighbouring rows that differ by a larger factor are a corner, no resolved bend.
RESOLVED = 3.0


@dataclass(frozen=True)
class Excursion:
    """One departure of a neuron's norm from its start.

    Attributes:
        activation: when the norm first reaches the activation level.
        row: first row at or after that.
        collapse: when the norm last falls through half the activation level on its way back to the start;
            NaN where it stays.
    """

    activation: float
    row: int
    collapse: float


def neuron_events(
    times: FloatArray,
    log_norms: FloatArray,
    direction_feature: IntArray,
    feature_names: Sequence[str],
    staircase: Staircase,
    threshold: float,
) -> list[Event]:
    """Activations and collapses of all neurons, in order of time.

    The activation level is `threshold`, or half the norm at which the neuron first settles where
    that is less; the activation is the first moment the norm is there. (The first neuron of
    a feature may settle below the threshold, and pass it only when the next neuron activates.) A collapse
    needs the norm to return half-way (on the logarithmic scale) to its initial value; it is dated where the
    norm falls through half the activation level, because that is when the neuron leaves the network's
    output: the slide back to the initial norm may take as long as the growth did. A neuron that starts at
    or above the threshold, or never gets `REQUIRED_PROGRESS` of the way to it, has no events.

    Levels and plateaus are those of `place_on_plateaus`.

    Args:
        times: shape (T,), not decreasing.
        log_norms: natural logarithms of the norms, shape (T, H).
        direction_feature: index of the feature each neuron points at, shape (T, H). An activation and the
            collapse that follows carry the feature at the first row after the activation.
        feature_names: F labels.
        staircase: of the loss, from `find_staircase`.
        threshold: norm at which a neuron counts as active, positive.
    """
    events = []
    for neuron in range(log_norms.shape[1]):
        for excursion in neuron_excursions(times, log_norms[:, neuron], math.log(threshold)):
            feature = feature_names[int(direction_feature[excursion.row, neuron])]
            events.append(Event("activation", excursion.activation, feature, neuron, math.nan, math.nan))
            if math.isfinite(excursion.collapse):
                events.append(Event("collapse", excursion.collapse, feature, neuron, math.nan, math.nan))
    return place_on_plateaus(events, staircase)


def neuron_excursions(times: FloatArray, log_norms: FloatArray, log_threshold: float) -> list[Excursion]:
    """Excursions of one neuron's log norm, shape (T,), that count as activations, in order of time."""
    here = log_norms[np.isfinite(log_norms)]
    if here.size == 0:
        return []
    start = float(log_norms[0]) if math.isfinite(log_norms[0]) else float(here.min())
    if start >= log_threshold:
        return []
    reach = min(log_threshold, float(log_norms.max()))
    home = start + RETURN_PROGRESS * (reach - start)
    needed = start + REQUIRED_PROGRESS * (log_threshold - start)
    away = np.flatnonzero(np.diff(np.pad((log_norms > home).astype(np.int8), 1))).reshape(-1, 2)
    return [_excursion(times, log_norms, (first, stop), home, needed, log_threshold)
            for first, stop in away.tolist() if log_norms[first:stop].max() >= needed]


def _excursion(
    times: FloatArray, log_norms: FloatArray, rows: tuple[int, int], home: float, needed: float, log_threshold: float
) -> Excursion:
    """Date the excursion whose first row is `rows[0]` and that is over at `rows[1]`."""
    first, stop = rows
    settled = _settled_log_norm(times, log_norms, rows, needed)
    level = max(min(log_threshold, settled - LOG_2), home)
    row = first + int(np.argmax(log_norms[first:stop] >= level))
    collapse = math.nan
    if stop < times.size:
        left = max(level - LOG_2, home)
        last = first + int(np.flatnonzero(log_norms[first:stop] >= left)[-1])
        collapse = crossing_time(times, log_norms, last + 1, left)
    return Excursion(crossing_time(times, log_norms, row, level), row, collapse)


def _settled_log_norm(times: FloatArray, log_norms: FloatArray, rows: tuple[int, int], needed: float) -> float:
    """Log norm at which a neuron first settles in rows `rows[0]` to `rows[1] - 1`, else the largest there.

    Settled: at least `needed`, and growing by no more than `SETTLED_GROWTH` in the time that the last
    doubling took. That is the neuron's own clock, so that a plateau too short to be seen in the loss does.
    """
    first, stop = rows
    before: tuple[float, float] | None = None
    for row in range(first, stop):
        here = float(log_norms[row])
        if here < needed:
            before = None
            continue
        doubling = _last_doubling(times, log_norms, row)
        if row > first and times[row] - times[row - 1] > doubling:
            before = None  # too far apart to say what is between
        later = float(np.interp(times[row] + doubling, times[first:stop], log_norms[first:stop]))
        excess, settled = later - here - math.log1p(SETTLED_GROWTH), max(later, here)
        if excess <= 0:
            # Between two rows, so that the level does not depend on where rows happen to be.
            return settled if before is None else settled + (before[1] - settled) * excess / (excess - before[0])
        before = (excess, settled)
    return float(log_norms[first:stop].max())


def _last_doubling(times: FloatArray, log_norms: FloatArray, row: int) -> float:
    """Time that the norm's last doubling before a row took; all of it if it has not doubled."""
    level = float(log_norms[row]) - LOG_2
    below = np.flatnonzero(log_norms[:row] < level)
    return float(times[row]) - (crossing_time(times, log_norms, int(below[-1]) + 1, level) if below.size else 0.0)


def crossing_time(times: FloatArray, values: FloatArray, row: int, level: float) -> float:
    """When `values` passes `level` between rows `row - 1` and `row`, on a monotone cubic through the rows about it."""
    if row == 0:
        return float(times[0])
    before, after = float(values[row - 1]), float(values[row])
    start, lapse = float(times[row - 1]), float(times[row] - times[row - 1])
    share = min(max((level - before) / (after - before), 0.0), 1.0) if after != before else 1.0
    if 0 < share < 1 and lapse > 0:
        secant = after - before
        slopes = (_slope(times, values, row - 1, lapse, secant), _slope(times, values, row, lapse, secant))
        share = _cubic_crossing(share, slopes[0] / secant, slopes[1] / secant)
    return start + share * lapse


def crossing_doubt(times: FloatArray, values: FloatArray, row: int, level: float) -> float:
    """By how much `crossing_time` moves if every second row is left out: about ten times its own error.

    Half of the time between the rows where there are too few to leave out any; 0 in a jump.
    """
    lapse = float(times[row] - times[row - 1])
    if lapse == 0:
        return 0.0
    here, doubts = crossing_time(times, values, row, level), []
    for before in (row - 1, row - 2):
        kept = np.arange(before % 2, times.size, 2)[max(before // 2 - 1, 0) : before // 2 + 3]
        place = int(np.searchsorted(kept, before)) + 1
        if before >= 0 and place < kept.size and values[kept[place - 1]] < level <= values[kept[place]]:
            doubts.append(abs(crossing_time(times[kept], values[kept], place, level) - here))
    return max(doubts) if doubts else 0.5 * lapse


def _slope(times: FloatArray, values: FloatArray, row: int, lapse: float, secant: float) -> float:
    """Slope at a row, per `lapse`: that of the parabola through three rows; `secant` where these do not show one.

    That is at an end of the record, beside a jump, and at a corner, where slopes on both sides differ by more than
    `RESOLVED`. A cubic with such slopes is monotone (Fritsch & Carlson 1980).
    """
    if row == 0 or row == times.size - 1:
        return secant
    steps, rises = np.diff(times[row - 1 : row + 2]), np.diff(values[row - 1 : row + 2])
    if steps.min() <= 0:
        return secant
    secants = rises / steps
    if secants[0] * secants[1] <= 0 or np.abs(secants).max() > RESOLVED * np.abs(secants).min():
        return secant
    return lapse * float((secants * steps[::-1]).sum() / steps.sum())


def _cubic_crossing(share: float, first: float, last: float) -> float:
    """Where the cubic from (0, 0) to (1, 1) with slopes `first` and `last` reaches `share`."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        rest = 1 - middle
        value = middle * middle * (3 - 2 * middle) + middle * rest * (rest * first - middle * last)
        low, high = (middle, high) if value < share else (low, middle)
    return 0.5 * (low + high)
