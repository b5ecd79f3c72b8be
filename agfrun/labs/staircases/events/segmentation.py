"""Which flat stretches of a falling curve are plateaus: candidates, and their pruning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray
from agfrun.labs.staircases.events.monotone import FallingCurve

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class StaircaseCriteria:
    """What counts as a plateau and as a drop. Every number is a ratio.

    Attributes:
        edge: part of a drop at either end that belongs to the plateaus beside it; 0.05 makes a drop's
            duration its 5%-95% time.
        min_length: a plateau lasts at least this many times as long as each drop beside it. Counted is the
            time spent within `edge` of the drop from the plateau's level, over the drop's duration: a
            straight line has 2 edge / (1 - 2 edge) = 0.11.
        min_duration: a plateau lasts at least this part of the time passed at its end; jumps nearer
            together than that are one.
        min_drop: a drop takes away at least this part of the loss before it. (The smallest drop that one
            neuron of the quadratic network on modular addition makes is 11% of its feature's loss.)
        loss_floor: a drop takes away at least this part of the initial loss; below, the loss has converged.
        noise_factor: a drop is at least this many times the largest rise beside it; a rise is noise.
    """

    edge: float = 0.05
    min_length: float = 0.4
    min_duration: float = 1e-3
    min_drop: float = 5e-3
    loss_floor: float = 1e-6
    noise_factor: float = 3.0


DEFAULT_CRITERIA = StaircaseCriteria()


class Segmentation:
    """The plateaus of a falling curve, as places where it is flattest.

    Attributes:
        criteria: what counts.
        positions: when each plateau is flattest, shape (P,); the ends of the curve are the first and last.
        levels: the curve there, shape (P,), falling; P - 1 drops lie between them.
    """

    def __init__(
        self, curve: FallingCurve, row_times: FloatArray, rises: FloatArray, criteria: StaircaseCriteria
    ) -> None:
        """Segment `curve`.

        `rises` (T,) says how far the loss at `row_times` (T,) is above its lowest value before.
        """
        self.criteria = criteria
        self._curve = curve
        self._row_times = row_times
        self._rises = rises
        slopes = _slopes(curve.times, curve.levels)
        chosen = _flattest_segments(curve, slopes)
        self.positions = _with_ends(curve.times, _middles(curve.times)[chosen])
        self.levels = _with_ends(curve.levels, _middles(curve.levels)[chosen])
        self._slopes = np.pad(slopes[chosen], 1)
        self._lengths = np.pad(np.diff(curve.times)[chosen], 1)
        self._strike_off_drops()
        self._strike_off_plateaus()
        self._move_ends_to_level_stretches()

    def drop_times(self, done: float) -> FloatArray:
        """When each drop has done the part `done` of its fall, shape (P - 1,)."""
        return self._curve.crossing(self.levels[:-1] + done * np.diff(self.levels))

    def plateau_spans(self) -> tuple[FloatArray, FloatArray]:
        """When each plateau starts and ends, two of shape (P,)."""
        starts = np.insert(self.drop_times(1 - self.criteria.edge), 0, self._curve.times[0])
        ends = np.append(self.drop_times(self.criteria.edge), self._curve.times[-1])
        return starts, ends

    def settled(self) -> bool:
        """Whether the last plateau is as long as a plateau must be (False: the record ends in a drop)."""
        if self.levels.size == 1:
            return True
        drop = slice(-1, None)
        relative = [self._relative_length(clock, self.levels[-1:], drop) for clock in CLOCKS]
        return bool(np.max(relative) >= self.criteria.min_length)

    def _strike_off_drops(self) -> None:
        """Unite plateaus between which the loss does not fall enough, smallest drop first."""
        while self.levels.size > 1:
            excess = -np.diff(self.levels) / self._smallest_drops()
            weakest = int(np.argmin(excess))
            if excess[weakest] >= 1:
                return
            self._remove(self._less_flat(weakest))

    def _strike_off_plateaus(self) -> None:
        """Unite drops whose plateau is not long compared with them, shortest plateau first."""
        while self.levels.size > 2:
            excess = self._inner_lengths()
            weakest = int(np.argmin(excess))
            if excess[weakest] >= 1:
                return
            self._remove(weakest + 1)

    def _remove(self, index: int) -> None:
        self.positions = np.delete(self.positions, index)
        self.levels = np.delete(self.levels, index)
        self._slopes = np.delete(self._slopes, index)
        self._lengths = np.delete(self._lengths, index)

    def _less_flat(self, drop: int) -> int:
        """Which of the two plateaus beside a drop gives way: never an end, else the steeper or shorter."""
        if drop == 0:
            return 1
        if drop == self.levels.size - 2:
            return drop
        first, second = ((self._slopes[index], -self._lengths[index]) for index in (drop, drop + 1))
        return drop if first > second else drop + 1

    def _smallest_drops(self) -> FloatArray:
        """How large each drop must be to count, shape (P - 1,)."""
        relative = self.criteria.min_drop * np.abs(self.levels[:-1])
        absolute = max(self.criteria.loss_floor * abs(float(self.levels[0])), TINY)
        needed: FloatArray = np.maximum(relative, self.criteria.noise_factor * self._noise())
        return np.maximum(needed, absolute)

    def _noise(self) -> FloatArray:
        """Largest rise on either side of each drop, as far as the middles of its neighbours."""
        middles = np.searchsorted(self._row_times, self.drop_times(0.5))
        # A row of zeros closes the list, so that every stretch, even an empty one, has a start.
        starts = np.insert(middles, 0, 0)
        largest = np.maximum.reduceat(np.append(self._rises, 0.0), starts)
        noise: FloatArray = np.maximum(largest[:-1], largest[1:])
        return noise

    def _inner_lengths(self) -> FloatArray:
        """Length of each inner plateau over the least that it must have, shape (P - 2,)."""
        inner = self.levels[1:-1]
        relative = [np.minimum(self._relative_length(clock, inner, slice(None, -1)),
                               self._relative_length(clock, inner, slice(1, None))) for clock in CLOCKS]
        starts, ends = (span[1:-1] for span in self.plateau_spans())
        duration = _ratio(ends - starts, ends)
        lengths: FloatArray = np.minimum(np.maximum(*relative) / self.criteria.min_length,
                                         duration / self.criteria.min_duration)
        return lengths

    def _relative_length(
        self, clock: Callable[[FloatArray], FloatArray], levels: FloatArray, drops: slice
    ) -> FloatArray:
        """Time within `edge` of a drop from a plateau's level, over the drop's duration, on one clock."""
        margins = self.criteria.edge * -np.diff(self.levels)[drops]
        arrival, departure = self._curve.crossing(levels + margins), self._curve.crossing(levels - margins)
        start, end = (self.drop_times(done)[drops] for done in (self.criteria.edge, 1 - self.criteria.edge))
        return _ratio(_elapsed(clock, arrival, departure), _elapsed(clock, start, end))

    def _move_ends_to_level_stretches(self) -> None:
        """Read the first and last level where the curve is exactly level, if it is.

        An end row is the least certain one of noisy data.
        """
        times, levels = self._curve.times, self._curve.levels
        for plateau in (0, -1):
            starts, ends = self.plateau_spans()
            inside = (times[:-1] >= starts[plateau]) & (times[1:] <= ends[plateau])
            length = np.where(inside & (np.diff(levels) == 0), np.diff(times), 0.0)
            if length.size and length.max() > 0:
                self.positions[plateau] = _middles(times)[np.argmax(length)]
                self.levels[plateau] = levels[np.argmax(length)]


def _linear_clock(times: FloatArray) -> FloatArray:
    return times


def _logarithmic_clock(times: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.log(times)


CLOCKS = (_linear_clock, _logarithmic_clock)


def _elapsed(clock: Callable[[FloatArray], FloatArray], start: FloatArray, end: FloatArray) -> FloatArray:
    """Time between on a clock, 0 between equal times even where the clock reads minus infinity."""
    return np.where(end > start, clock(end) - np.where(end > start, clock(start), 0.0), 0.0)


def _ratio(length: FloatArray, duration: FloatArray) -> FloatArray:
    """Quotient; infinite beside an instantaneous drop, 0 beside one that lasts for ever."""
    finite = np.isfinite(duration) & (duration > 0)
    return np.divide(length, duration, out=np.where(duration > 0, 0.0, np.inf), where=finite)


def _middles(values: FloatArray) -> FloatArray:
    return 0.5 * (values[1:] + values[:-1])


def _with_ends(values: FloatArray, inner: FloatArray) -> FloatArray:
    return np.concatenate([values[:1], inner, values[-1:]])


def _slopes(times: FloatArray, levels: FloatArray) -> FloatArray:
    """Speed of the fall in each segment between vertices; infinite in a jump."""
    with np.errstate(invalid="ignore"):  # between two moments at time zero, minus infinity on a logarithmic clock
        elapsed = np.diff(times)
    fall = -np.diff(levels)
    return np.divide(fall, elapsed, out=np.full_like(fall, np.inf), where=elapsed > 0)


def _flattest_segments(curve: FallingCurve, slopes: FloatArray) -> IntArray:
    """Segments flatter than both neighbours on the linear or the logarithmic clock, but for the ends."""
    per_decade = _slopes(_logarithmic_clock(curve.times), curve.levels)
    return np.union1d(_local_minima(slopes), _local_minima(per_decade))


def _local_minima(values: FloatArray) -> IntArray:
    return 1 + np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:]))
