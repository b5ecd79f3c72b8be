"""Acquisitions and collapses of features, read off their sizes in the network's output.

What counts is where a feature stands on the plateaus of the loss: between them it may overshoot. A run of
plateaus on which a feature stands on one side of zero is one excursion, and one acquisition; an excursion
that is followed by a plateau with the feature gone (or of the other sign) ends in a collapse. An excursion that
is small beside what the feature comes to otherwise is a readjustment to the others, and no event.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import BoolArray, FloatArray, IntArray
from agfrun.labs.staircases.events.activations import crossing_doubt, crossing_time
from agfrun.labs.staircases.events.event import NEGLIGIBLE, Event, sign_runs
from agfrun.labs.staircases.events.final_size import FinalSize, final_size
from agfrun.labs.staircases.events.plateaus import Staircase

SMALLEST = float(np.finfo(np.float64).tiny)
# So is an excursion to less than this part of the feature's largest size on any plateau or in the solution. (Those by
# which modes of a linear network readjust are of 1 to 2%; the coefficient that a diagonal network learns with one
# sign, loses, and learns with the other, gets to 40%.)
TRANSIENT = 0.1
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
        size: size whose half dates it, positive: `settled`, or beyond the end of the record (`final_size`).
        time: when the size first reached half of `size`; NaN where it never was below.
        time_error: estimated relative error of that, for the uncertainty of `size` and the distance between rows.
    """

    feature: int
    first: int
    last: int
    sign: float
    settled: float
    size: float
    time: float
    time_error: float


def feature_acquisitions(
    times: FloatArray, features: FloatArray, feature_names: Sequence[str], staircase: Staircase,
    final_sizes: FloatArray | None = None,
) -> list[Event]:
    """Acquisitions and collapses of all features, in order of time.

    An acquisition is dated where the feature first reaches half the size at which it settles before it
    collapses, or in the end: that of the solution where it is known, else the one that the end of the record
    leads to. All drops that are chiefly this feature's, as far as they follow one
    another without another feature's between, are one acquisition: `loss_before` is the plateau before
    the first of them; `loss_after`, `plateau_start` and `plateau_end` are the plateau after the last. A
    collapse is dated where half the size is lost for the last time. Without a drop of the loss there is
    nothing to acquire.

    Args:
        times: shape (T,), not decreasing.
        features: signed sizes, shape (T, F); NaN where there are none. Below `NEGLIGIBLE` of the largest a feature
            is absent.
        feature_names: F labels.
        staircase: of the loss, from `find_staircase`.
        final_sizes: signed sizes in a solution, (F,), NaN where they are not known; None: nowhere.
    """
    if not staircase.drops:
        return []  # whatever moved, the loss has not noticed
    rows = _station_rows(times, staircase)
    stations = features[rows]
    present = np.abs(stations) >= max(NEGLIGIBLE * float(np.abs(stations).max(initial=0.0)), SMALLEST)
    known = np.full(features.shape[1], np.nan) if final_sizes is None else final_sizes
    signs = np.nan_to_num(np.sign(stations)) * (present & _lasting(stations, known))  # a size that is NaN is absent
    settling = _first_settling_row(times, staircase)
    excursions = [excursion for feature in range(features.shape[1])
                  for excursion in _excursions(times, features[:, feature], feature, signs[:, feature], rows,
                                               settling, known[feature])]
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
            events.append(Event("acquisition", excursion.time, name, None, **context,
                                size=excursion.sign * excursion.size, time_error=excursion.time_error))
        if excursion.last + 1 < rows.size:
            events.append(Event("collapse", _collapse_time(times, features, excursion, rows), name, None,
                                **staircase.context(excursion.last, excursion.last),
                                size=excursion.sign * excursion.settled))
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


def _lasting(stations: FloatArray, known: FloatArray) -> BoolArray:
    """Whether a feature's sizes are part of an excursion that is not `TRANSIENT`, (S, F) for stations (S, F)."""
    lasting = np.ones_like(stations, dtype=bool)
    largest = np.fmax(np.abs(stations).max(axis=0), np.abs(known))
    for feature, sizes in enumerate(stations.T):
        for first, stop, _ in sign_runs(sizes):
            lasting[first:stop, feature] = np.abs(sizes[first:stop]).max() >= TRANSIENT * largest[feature]
    return lasting


def _first_settling_row(times: FloatArray, staircase: Staircase) -> int:
    """First row of the plateau on which the record ends; the last row where it ends within a drop."""
    if len(staircase.plateaus) == len(staircase.drops):
        return times.size - 1
    return min(int(np.searchsorted(times, staircase.plateaus[-1].start)), times.size - 1)


def _excursions(
    times: FloatArray, feature_sizes: FloatArray, feature: int, signs: FloatArray, rows: IntArray, settling: int,
    known: float,
) -> list[FeatureExcursion]:
    """Runs of stations on which a feature has one sign.

    Args:
        times, feature_sizes: shape (T,).
        feature: its index.
        signs: of the feature on each station, 0 where it is absent, (S,).
        rows: of the stations, (S,).
        settling: first row of the plateau on which the record ends.
        known: the feature's signed size in a solution, or NaN.
    """
    found = []
    for first, stop, sign in sign_runs(signs):
        if sign == 0:
            continue
        sizes, row = sign * feature_sizes, int(rows[stop - 1])
        if stop == rows.size:
            size = final_size(times, sizes, settling, float(sign * known))
        else:
            size = FinalSize(float(sizes[row]), float(np.abs(np.diff(sizes[max(row - 1, 0) : row + 2])).max()))
        time, error = _half_reached(times, sizes, size, (int(rows[max(first - 1, 0)]), row))
        found.append(FeatureExcursion(feature, first, stop - 1, sign, float(sizes[row]), size.size, time, error))
    return found


def _half_reached(times: FloatArray, sizes: FloatArray, size: FinalSize, rows: tuple[int, int]) -> tuple[float, float]:
    """When a feature first reaches half a size, and the relative error of that; NaN where it never was below."""
    crossings = [_first_risen(sizes, bound / 2, *rows) for bound in (size.size, *size.bounds)]
    moments = [crossing_time(times, sizes, row, bound / 2) if row else math.nan
               for row, bound in zip(crossings, (size.size, *size.bounds), strict=True)]
    if not moments[0] > 0:
        return moments[0], math.nan
    doubt = 0.5 * (moments[2] - moments[1]) + crossing_doubt(times, sizes, crossings[0], size.size / 2)
    return moments[0], abs(doubt) / moments[0]


def _first_risen(sizes: FloatArray, level: float, start: int, stop: int) -> int:
    """Row at which `sizes` has first risen through `level` between two rows, else last before them, else 0."""
    rises = 1 + np.flatnonzero((sizes[1 : stop + 1] >= level) & (sizes[:stop] < level))
    if rises.size == 0:
        return 0
    later = rises[rises > start]
    return int(later[0] if later.size else rises[-1])


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
