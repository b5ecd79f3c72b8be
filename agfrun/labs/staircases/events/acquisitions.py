"""Acquisitions and collapses of features, read off their sizes in the network's output.

What counts is where a feature stands on the plateaus of the loss: between them it may overshoot. A run of
plateaus on which a feature stands on one side of zero is one excursion, and one acquisition; an excursion
that is followed by a plateau with the feature gone (or of the other sign) ends in a collapse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray
from agfrun.labs.staircases.events.activations import crossing_time
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.events.plateaus import Staircase

# A feature smaller than this part of the largest feature on any plateau is absent.
NEGLIGIBLE = 0.01
SMALLEST = float(np.finfo(np.float64).tiny)
# A drop is put to the account of the feature that gains most in it, if that is this part of its final size.
REQUIRED_GAIN = 0.05
# Acquisitions nearer together than this, relative to their time, are simultaneous but for rounding.
SIMULTANEOUS = 1e-9


@dataclass(frozen=True)
class FeatureExcursion:
    """A run of stations (plateaus, and the end of the record) with a feature on one side of zero.

    Attributes:
        feature: index.
        first, last: first and last station of the run.
        sign: +1 or -1.
        settled: size at the last station of the run, positive.
        time: when the size first reached half of that; NaN where it never was below.
    """

    feature: int
    first: int
    last: int
    sign: float
    settled: float
    time: float


def feature_acquisitions(
    times: FloatArray, features: FloatArray, feature_names: Sequence[str], staircase: Staircase
) -> list[Event]:
    """Acquisitions and collapses of all features, in order of time.

    An acquisition is dated where the feature first reaches half the size at which it settles before it
    collapses or the record ends. All drops that are chiefly this feature's, as far as they follow one
    another without another feature's between, are one acquisition: `loss_before` is the plateau before
    the first of them; `loss_after`, `plateau_start` and `plateau_end` are the plateau after the last. A
    collapse is dated where half the size is lost for the last time. Without a drop of the loss there is
    nothing to acquire.

    Args:
        times: shape (T,), not decreasing.
        features: signed sizes, shape (T, F). Below `NEGLIGIBLE` of the largest a feature is absent.
        feature_names: F labels.
        staircase: of the loss, from `find_staircase`.
    """
    if not staircase.drops:
        return []  # whatever moved, the loss has not noticed
    rows = _station_rows(times, staircase)
    stations = features[rows]
    present = np.abs(stations) >= max(NEGLIGIBLE * float(np.abs(stations).max(initial=0.0)), SMALLEST)
    excursions = [excursion for feature in range(features.shape[1])
                  for excursion in _excursions(times, features, feature, np.sign(stations) * present, rows)]
    owners = _owners(excursions, stations)
    events = []
    spans = {index: _drops_of(index, staircase.drop_index(excursion.time), owners)
             for index, excursion in enumerate(excursions) if math.isfinite(excursion.time)}
    for index, excursion in enumerate(excursions):
        name = feature_names[excursion.feature]
        if index in spans:
            first, last = spans[index]
            # Of acquisitions that end in one drop, only the last is followed by a plateau.
            shared = any(spans[other][1] == last
                         and excursions[other].time > excursion.time * (1 + SIMULTANEOUS) for other in spans)
            context = staircase.context(first, None if shared else last)
            events.append(Event("acquisition", excursion.time, name, None, **context))
        if excursion.last + 1 < rows.size:
            events.append(Event("collapse", _collapse_time(times, features, excursion, rows), name, None,
                                **staircase.context(excursion.last, excursion.last)))
    return sorted(events, key=lambda event: event.time)


def _station_rows(times: FloatArray, staircase: Staircase) -> IntArray:
    """Rows at which features are read: one on each plateau, the first and last of the record included."""
    level_times = [plateau.level_time for plateau in staircase.plateaus]
    rows = np.searchsorted(times, level_times, side="right") - 1
    if len(staircase.plateaus) == len(staircase.drops):
        rows = np.append(rows, times.size - 1)
    rows[0] = 0
    rows[-1] = times.size - 1
    return rows.astype(np.int64)


def _excursions(
    times: FloatArray, features: FloatArray, feature: int, signs: FloatArray, rows: IntArray
) -> list[FeatureExcursion]:
    """Runs of stations on which a feature has one sign; `signs` (S, F) is 0 where a feature is absent."""
    found = []
    bounds = np.flatnonzero(np.diff(signs[:, feature], prepend=np.nan, append=np.nan) != 0)
    for first, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        sign = float(signs[first, feature])
        if sign == 0:
            continue
        sizes = sign * features[:, feature]
        settled = float(sizes[rows[stop - 1]])
        time = _first_reached(times, sizes, settled / 2, rows[max(first - 1, 0)], rows[stop - 1])
        found.append(FeatureExcursion(feature, first, stop - 1, sign, settled, time))
    return found


def _first_reached(times: FloatArray, sizes: FloatArray, level: float, start: int, stop: int) -> float:
    """When `sizes` first rises through `level` between two rows, else last before them, else NaN."""
    rises = 1 + np.flatnonzero((sizes[1 : stop + 1] >= level) & (sizes[:stop] < level))
    if rises.size == 0:
        return math.nan
    later = rises[rises > start]
    return crossing_time(times, sizes, int(later[0] if later.size else rises[-1]), level)


def _collapse_time(
    times: FloatArray, features: FloatArray, excursion: FeatureExcursion, rows: IntArray
) -> float:
    """When half the settled size is lost for the last time before the station at which it is gone."""
    sizes = excursion.sign * features[:, excursion.feature]
    start, stop = int(rows[excursion.last]), int(rows[excursion.last + 1])
    held = start + np.flatnonzero(sizes[start:stop] >= excursion.settled / 2)
    return crossing_time(times, sizes, int(held[-1]) + 1, excursion.settled / 2)


def _owners(excursions: list[FeatureExcursion], stations: FloatArray) -> IntArray:
    """The excursion that gains most in each drop, relative to its settled size; -1 where none gains much."""
    gains = np.zeros((len(excursions) + 1, len(stations) - 1))
    gains[-1] = REQUIRED_GAIN
    for index, excursion in enumerate(excursions):
        sizes = np.maximum(excursion.sign * stations[:, excursion.feature], 0.0) / excursion.settled
        covered = slice(max(excursion.first - 1, 0), excursion.last)
        gains[index, covered] = np.diff(sizes)[covered]
    owners = gains.argmax(axis=0)
    return np.where(owners == len(excursions), -1, owners)


def _drops_of(index: int, drop: int, owners: IntArray) -> tuple[int, int]:
    """First and last drop of an acquisition dated in `drop`; drops without an owner do not part it."""
    first = last = drop
    for before in range(drop - 1, -1, -1):
        if owners[before] not in (index, -1):
            break
        first = before if owners[before] == index else first
    for after in range(drop + 1, owners.size):
        if owners[after] not in (index, -1):
            break
        last = after if owners[after] == index else last
    return first, last
