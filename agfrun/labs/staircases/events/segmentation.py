"""Which flat stretches of a falling curve are plateaus: candidates, and their pruning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import BoolArray, FloatArray, IntArray
from agfrun.labs.staircases.events.monotone import FallingCurve

# Under noise no more than this part of a drop, at either end, is put to the plateaus.
WIDEST_EDGE = 0.25
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
        noise_factor: a drop is at least this many times the largest rise beside it that noise does not explain.
        noise_deviations: a drop is at least this many standard deviations of the noise of a row (or of a mean of rows).
        concentration: under noise, the least difference of the means before and after the middle of a drop, from the
            middle of one plateau to that of the next, over the drop: a straight line has 0.5, a step 1, and a drop as
            long as `min_length` allows 0.64.
        concentration_deviations: by so many standard errors that difference is to exceed that of a straight line.
        clear: a drop of more standard deviations of the noise need not be concentrated.
    """

    edge: float = 0.05
    min_length: float = 0.4
    min_duration: float = 1e-3
    min_drop: float = 5e-3
    loss_floor: float = 1e-6
    noise_factor: float = 3.0
    noise_deviations: float = 6.0
    concentration: float = 0.6
    concentration_deviations: float = 4.0
    clear: float = 40.0


DEFAULT_CRITERIA = StaircaseCriteria()


@dataclass(frozen=True)
class Rows:
    """What a falling curve was fitted to, (T,) each.

    Attributes:
        times, loss: of the rows, or of means of rows.
        noise: standard deviation of each about the curve; 0 where there is none.
        bumps: how far each is above the lowest before it, beyond what its noise explains.
    """

    times: FloatArray
    loss: FloatArray
    noise: FloatArray
    bumps: FloatArray

    def on(self, clock: Callable[[FloatArray], FloatArray]) -> ClockMeans:
        """Means over stretches of a clock."""
        places = clock(self.times)
        kept = np.isfinite(places)
        return ClockMeans(places[kept], self.loss[kept], self.noise[kept])


class ClockMeans:
    """Means of rows over stretches of a clock, each row standing for the time about it.

    Attributes:
        places: of the rows on the clock, (T,).
    """

    def __init__(self, places: FloatArray, loss: FloatArray, noise: FloatArray) -> None:
        self.places = places
        half = 0.5 * np.diff(places)
        weights = np.append(half, 0.0) + np.insert(half, 0, 0.0)
        self._loss, self._noise = loss, noise
        self._sums = [np.insert(np.cumsum(terms), 0, 0.0)
                      for terms in (weights, weights * loss, np.square(weights * noise))]

    def between(self, starts: FloatArray, stops: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and its standard error over each stretch, (S,) both; of an empty one, the nearest row."""
        first, last = np.searchsorted(self.places, starts), np.searchsorted(self.places, stops, side="right")
        weight, moment, variance = (sums[last] - sums[first] for sums in self._sums)
        nearest = np.clip(first, 0, self.places.size - 1)
        filled = weight > 0
        means = np.divide(moment, weight, out=self._loss[nearest].copy(), where=filled)
        errors = np.divide(np.sqrt(np.maximum(variance, 0.0)), weight, out=self._noise[nearest].copy(), where=filled)
        return means, errors


class Segmentation:
    """The plateaus of a falling curve, as places where it is flattest.

    Attributes:
        criteria: what counts.
        positions: when each plateau is flattest, shape (P,); the ends of the curve are the first and last.
        levels: the curve there, shape (P,), falling; P - 1 drops lie between them.
        rows: what the curve was fitted to.
    """

    def __init__(self, curve: FallingCurve, rows: Rows, criteria: StaircaseCriteria) -> None:
        """Segment `curve`, which was fitted to `rows`."""
        self.criteria = criteria
        self._curve = curve
        self.rows = rows
        slopes = _slopes(curve.times, curve.levels)
        chosen = _flattest_segments(curve, slopes)
        self.positions = _with_ends(curve.times, _middles(curve.times)[chosen])
        self.levels = _with_ends(curve.levels, _middles(curve.levels)[chosen])
        self._slopes = np.pad(slopes[chosen], 1)
        self._lengths = np.pad(np.diff(curve.times)[chosen], 1)
        self._blurred = False
        self._strike_off(self._drop_excess, self._less_flat, fewest=1)
        self._strike_off(self._inner_lengths, lambda weakest: weakest + 1, fewest=2)
        if rows.noise.any():
            self._strike_off(self._concentrations, self._less_flat, fewest=1)
        self._blurred = not self._clear_drops().all()
        if self._blurred:
            self._average_levels()
        else:
            self._move_ends_to_level_stretches()

    def edges(self) -> FloatArray:
        """Part of each drop at either end that belongs to the plateaus beside it, shape (P - 1,)."""
        plain = np.full(self.levels.size - 1, self.criteria.edge)
        if not self._blurred:
            return plain
        # Nearer to a level than its noise the curve is there already.
        blurred = 2 * self._largest_beside(self.rows.noise) / np.maximum(-np.diff(self.levels), TINY)
        return np.clip(blurred, plain, WIDEST_EDGE)

    def drop_times(self, done: float | FloatArray) -> FloatArray:
        """When each drop has done the part `done` of its fall, shape (P - 1,)."""
        return self._curve.crossing(self.levels[:-1] + done * np.diff(self.levels))

    def plateau_spans(self) -> tuple[FloatArray, FloatArray]:
        """When each plateau starts and ends, two of shape (P,)."""
        starts = np.insert(self.drop_times(1 - self.edges()), 0, self._curve.times[0])
        ends = np.append(self.drop_times(self.edges()), self._curve.times[-1])
        return starts, ends

    def settled(self) -> bool:
        """Whether the last plateau is as long as a plateau must be (False: the record ends in a drop)."""
        if self.levels.size == 1:
            return True
        if self._blurred:
            starts, ends = self.plateau_spans()
            return bool(ends[-1] - starts[-1] >= self.criteria.min_length * (starts[-1] - ends[-2]))
        drop = slice(-1, None)
        relative = [self._relative_length(clock, self.levels[-1:], drop) for clock in CLOCKS]
        return bool(np.max(relative) >= self.criteria.min_length)

    def _strike_off(
        self, excess_of: Callable[[], FloatArray], victim: Callable[[int], int], fewest: int
    ) -> None:
        """Unite plateaus, weakest first, as long as more than `fewest` are left and an excess is below 1.

        First those between which the loss does not fall enough, then drops whose plateau is not long compared with
        them, last those between which what looks like a drop is a piece of a straight fall under noise.
        """
        while self.levels.size > fewest:
            excess = excess_of()
            weakest = int(np.argmin(excess))
            if excess[weakest] >= 1:
                return
            self._remove(victim(weakest))

    def _drop_excess(self) -> FloatArray:
        """Each drop over the smallest that counts, (P - 1,)."""
        return np.asarray(-np.diff(self.levels) / self._smallest_drops())

    def _concentrations(self) -> FloatArray:
        """How much more like a step than like a straight line each drop is, over the least that counts, (P - 1,)."""
        needed = self.criteria.concentration - 0.5
        best = np.full(self.levels.size - 1, -np.inf)
        for clock in CLOCKS:
            means, bounds, levels = self._between_drops(clock)
            centres = _middles(bounds)
            before, error_before = means.between(centres[:-1], bounds[1:-1])
            after, error_after = means.between(bounds[1:-1], centres[1:])
            drops = np.maximum(levels[:-1] - levels[1:], TINY)
            errors = self.criteria.concentration_deviations * np.hypot(error_before, error_after) / drops
            best = np.fmax(best, ((before - after) / drops - 0.5) / np.maximum(needed, errors))
        # Noise makes no pieces of a fall that are large beside it.
        return np.where(self._clear_drops(), np.inf, best)

    def _clear_drops(self) -> BoolArray:
        """Which drops are large beside the noise, (P - 1,)."""
        return np.asarray(-np.diff(self.levels) >= self.criteria.clear * self._largest_beside(self.rows.noise))

    def _average_levels(self) -> None:
        """Read levels as means of rows in the middle half between drops: single rows say little under noise."""
        _, bounds, self.levels = self._between_drops(_linear_clock)
        self.positions = _middles(bounds)

    def _between_drops(self, clock: Callable[[FloatArray], FloatArray]) -> tuple[ClockMeans, FloatArray, FloatArray]:
        """Means on a clock, the middles of drops and the ends of the record (P + 1,), and levels in between, (P,)."""
        means = self.rows.on(clock)
        bounds = clock(np.concatenate([self.rows.times[:1], self.drop_times(0.5), self.rows.times[-1:]]))
        bounds[0] = max(bounds[0], means.places[0])
        quarters = 0.25 * np.diff(bounds)
        return means, bounds, means.between(bounds[:-1] + quarters, bounds[1:] - quarters)[0]

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
        disturbed = np.maximum(self.criteria.noise_factor * self._largest_beside(self.rows.bumps),
                               self.criteria.noise_deviations * self._largest_beside(self.rows.noise))
        needed: FloatArray = np.maximum(relative, disturbed)
        return np.maximum(needed, absolute)

    def hidden_in(self, rows: Rows) -> bool:
        """Whether the noise of other rows than its own hides a drop: it is less than twice the least that counts."""
        if self.levels.size == 1:
            return False
        return bool((-np.diff(self.levels) < 2 * self.criteria.noise_deviations
                     * self._largest_beside(rows.noise, rows.times)).any())

    def _largest_beside(self, values: FloatArray, times: FloatArray | None = None) -> FloatArray:
        """Largest of the rows' values on either side of each drop, as far as the middles of its neighbours."""
        middles = np.searchsorted(self.rows.times if times is None else times, self.drop_times(0.5))
        # A row of zeros closes the list, so that every stretch, even an empty one, has a start.
        starts = np.insert(middles, 0, 0)
        largest = np.maximum.reduceat(np.append(values, 0.0), starts)
        beside: FloatArray = np.maximum(largest[:-1], largest[1:])
        return beside

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
