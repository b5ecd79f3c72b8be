"""Plateaus and drops of a loss curve.

A staircase is read off in three steps (the last two in `segmentation`).

1. The curve is replaced by the nearest one that never rises, after a late rise for good is cut off.
2. Every stretch that is locally flattest, on the linear or on the logarithmic clock, is a candidate
   plateau, and what lies between two of them a candidate drop.
3. Candidates are struck off, weakest first: drops too small to count, then plateaus that are not long
   compared with the drops beside them, on the clock that shows them better.

Where rows scatter about the curve (`noise`) single rows say little: the same is done with means of 2, 4, 8, ... rows,
and of these the finest that show the most drops are taken. A drop counts if it is several standard deviations of such
a mean, and more like a step than like a piece of a straight fall. A curve that never rises has no noise.

All criteria are ratios, so that the result does not depend on the units of time and loss, and all
durations are times between crossings of levels, so that it does not depend on where the rows lie. There
is no smoothing scale: drops of 0.5% of the loss that follow one another within percents of the time and
decades that pass without change are found in one sweep.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.events.monotone import falling_curve, falling_fit
from agfrun.labs.staircases.events.noise import binned, end_of_fall, row_noise, without_outliers
from agfrun.labs.staircases.events.segmentation import DEFAULT_CRITERIA, Rows, Segmentation, StaircaseCriteria

# Means are taken over no more rows than leave so many of them.
FEWEST_MEANS = 12
# Noise is estimated from at least so many means.
FEWEST_JUDGED = 48
# Rises by so many standard deviations are noise: the lowest of many rows lies below the curve, and the row above it.
EXPLAINED = 7.0


@dataclass(frozen=True)
class Plateau:
    """A stretch of nearly constant loss.

    Attributes:
        start: when the drop before has all but `StaircaseCriteria.edge` of its fall behind it; the first
            recorded time for the first plateau.
        end: when the drop after has done `edge` of its fall; the last time for the last plateau.
        level: loss at `level_time`.
        level_time: where the curve is flattest. For the first and the last plateau the first and the last
            time, or the middle of their longest stretch that is exactly level if they have one.
    """

    start: float
    end: float
    level: float
    level_time: float


@dataclass(frozen=True)
class Drop:
    """A fall of the loss between two plateaus.

    Attributes:
        start: when `StaircaseCriteria.edge` of the fall is done.
        time: when half of it is done.
        end: when all but `edge` of it is done.
        loss_before: level before.
        loss_after: level after; the last loss where the record ends before the loss has settled.
    """

    start: float
    time: float
    end: float
    loss_before: float
    loss_after: float


class LossContext(TypedDict):
    """The fields of an `Event` that come from the loss."""

    loss_before: float
    loss_after: float
    plateau_start: float
    plateau_end: float


@dataclass(frozen=True)
class Staircase:
    """Plateaus and drops in order of time.

    Drop k lies between plateaus k and k + 1. There is one plateau more than there are drops, or as many
    where the record ends within a drop (the loss has not settled).

    Attributes:
        noise: median standard deviation of a row about the curve.
        note: what noise or a loss that runs away has hidden, in one sentence; empty if nothing.
    """

    plateaus: list[Plateau]
    drops: list[Drop]
    noise: float = 0.0
    note: str = ""

    def drop_index(self, time: float) -> int:
        """Index of the drop that something at `time` belongs to; the number of drops if it comes later.

        It is the drop after the last plateau whose flattest point has been passed: a drop owns the time
        from the flattest point before it to the flattest point after it.
        """
        return max(0, bisect_right([plateau.level_time for plateau in self.plateaus], time) - 1)

    def context(self, first: int, last: int | None) -> LossContext:
        """The loss around an event made of drops `first` to `last`, as fields of an `Event`.

        `loss_after` and the plateau are NaN where `last` is None or no plateau follows it in the record;
        `plateau_end` is NaN too where that plateau lasts to the end.
        """
        context = LossContext(loss_before=self.plateaus[first].level, loss_after=math.nan,
                              plateau_start=math.nan, plateau_end=math.nan)
        if last is not None and last + 1 < len(self.plateaus):
            following = self.plateaus[last + 1]
            context["loss_after"], context["plateau_start"] = following.level, following.start
            context["plateau_end"] = following.end if last + 1 < len(self.drops) else math.nan
        return context


def find_staircase(
    times: FloatArray, loss: FloatArray, criteria: StaircaseCriteria = DEFAULT_CRITERIA
) -> Staircase:
    """Plateaus and drops of a loss curve.

    Args:
        times: shape (T,), from 0 or later, not decreasing; two rows at one time are a jump.
        loss: shape (T,), falling but for noise.
        criteria: what counts as a plateau and as a drop.

    Raises:
        ValueError: no rows, shapes that differ, a value that is not finite, or times that decrease or are
            negative.
    """
    times, loss = np.asarray(times, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    _check(times, loss)
    noise = row_noise(times, loss)
    kept = end_of_fall(loss, noise)
    segmentation = _best_segmentation(times[:kept], loss[:kept], noise[:kept], criteria)
    drops, plateaus = _drops(segmentation), _plateaus(segmentation)
    deviation = float(np.median(noise[:kept]))
    return Staircase(plateaus if segmentation.settled() else plateaus[:-1], drops, deviation,
                     _note(times, loss, kept, deviation, bool(drops)))


def _best_segmentation(times: FloatArray, loss: FloatArray, noise: FloatArray, criteria: StaircaseCriteria
                       ) -> Segmentation:
    """That of the rows themselves, or of means over as few of them as show the most drops through the noise."""
    if float(noise.max()) <= criteria.loss_floor * abs(float(loss[0])):
        return _segmentation(times, loss, np.zeros_like(noise), criteria)
    scales = [(times, without_outliers(loss, noise), noise)]
    while times.size >= FEWEST_MEANS << len(scales):
        of_times, of_loss = (binned(values, 1 << len(scales)) for values in scales[0][:2])
        # No mean of two is surer than white noise leaves it. Among few means drops are not told from noise.
        deviations = np.interp(of_times, scales[-1][0], scales[-1][2]) / math.sqrt(2)
        if of_times.size >= FEWEST_JUDGED:
            deviations = np.maximum(deviations, row_noise(of_times, of_loss))
        scales.append((of_times, of_loss, deviations))
    best: Segmentation | None = None
    for place, (of_times, of_loss, of_means) in enumerate(scales):
        # Noise that is correlated from row to row is what means over more of them still show.
        shown = [np.interp(of_times, coarser, deviations) for coarser, _, deviations in scales[place + 1 : place + 4]]
        found = _segmentation(of_times, of_loss, np.maximum.reduce([of_means, *shown]), criteria)
        # More drops of coarser means are believed only if the noise of finer ones explains that these do not show them.
        if best is None or (found.levels.size > best.levels.size and found.hidden_in(best.rows)):
            best = found
    assert best is not None
    return best


def _segmentation(times: FloatArray, loss: FloatArray, noise: FloatArray, criteria: StaircaseCriteria) -> Segmentation:
    rises = loss - np.minimum.accumulate(loss)
    rows = Rows(times, loss, noise, np.maximum(rises - EXPLAINED * noise, 0.0))
    return Segmentation(falling_curve(times, falling_fit(times, loss)), rows, criteria)


def _note(times: FloatArray, loss: FloatArray, kept: int, noise: float, found: bool) -> str:
    """What noise or a loss that runs away has hidden, in one sentence."""
    notes = []
    if kept < times.size:
        notes.append(f"from time {times[kept - 1]:.4g} on the loss rises: what comes later is left out")
    if not found and noise > 0:
        notes.append(f"no drop can be told from noise of standard deviation {noise:.2g}")
    return "; ".join(notes)


def find_plateaus(
    times: FloatArray, loss: FloatArray, criteria: StaircaseCriteria = DEFAULT_CRITERIA
) -> list[Plateau]:
    """Plateaus of a loss curve in order of time, see `find_staircase`."""
    return find_staircase(times, loss, criteria).plateaus


def find_drops(
    times: FloatArray, loss: FloatArray, criteria: StaircaseCriteria = DEFAULT_CRITERIA
) -> list[Drop]:
    """Drops of a loss curve in order of time, see `find_staircase`."""
    return find_staircase(times, loss, criteria).drops


def _check(times: FloatArray, loss: FloatArray) -> None:
    if times.ndim != 1 or times.shape != loss.shape or times.size == 0:
        raise ValueError(f"times {times.shape} and loss {loss.shape} must be one row each, alike, not empty")
    if not (np.isfinite(times).all() and np.isfinite(loss).all()):
        raise ValueError("times and loss must be finite")
    if times[0] < 0 or (np.diff(times) < 0).any():
        raise ValueError("times must start at 0 or later and not decrease")


def _drops(segmentation: Segmentation) -> list[Drop]:
    edges = segmentation.edges()
    starts, middles, ends = (segmentation.drop_times(done).tolist() for done in (edges, 0.5, 1 - edges))
    levels = segmentation.levels.tolist()
    return [Drop(*values) for values in zip(starts, middles, ends, levels[:-1], levels[1:], strict=True)]


def _plateaus(segmentation: Segmentation) -> list[Plateau]:
    starts, ends = segmentation.plateau_spans()
    return [Plateau(*values) for values in zip(
        starts.tolist(), ends.tolist(), segmentation.levels.tolist(), segmentation.positions.tolist(),
        strict=True)]
