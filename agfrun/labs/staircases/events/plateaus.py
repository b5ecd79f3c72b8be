"""Plateaus and drops of a loss curve.

A staircase is read off in three steps (the last two in `segmentation`).

1. The curve is replaced by the nearest one that never rises; what that takes away measures the noise.
2. Every stretch that is locally flattest, on the linear or on the logarithmic clock, is a candidate
   plateau, and what lies between two of them a candidate drop.
3. Candidates are struck off, weakest first: drops too small to count, then plateaus that are not long
   compared with the drops beside them, on the clock that shows them better.

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
from agfrun.labs.staircases.events.segmentation import DEFAULT_CRITERIA, Segmentation, StaircaseCriteria


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
    """

    plateaus: list[Plateau]
    drops: list[Drop]

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
    rises = loss - np.minimum.accumulate(loss)
    segmentation = Segmentation(falling_curve(times, falling_fit(times, loss)), times, rises, criteria)
    drops, plateaus = _drops(segmentation), _plateaus(segmentation)
    return Staircase(plateaus if segmentation.settled() else plateaus[:-1], drops)


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
    edge = segmentation.criteria.edge
    starts, middles, ends = (segmentation.drop_times(done).tolist() for done in (edge, 0.5, 1 - edge))
    levels = segmentation.levels.tolist()
    return [Drop(*values) for values in zip(starts, middles, ends, levels[:-1], levels[1:], strict=True)]


def _plateaus(segmentation: Segmentation) -> list[Plateau]:
    starts, ends = segmentation.plateau_spans()
    return [Plateau(*values) for values in zip(
        starts.tolist(), ends.tolist(), segmentation.levels.tolist(), segmentation.positions.tolist(),
        strict=True)]
