"""How far apart two paths are: distances between piecewise linear curves that may jump, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray


@dataclass(frozen=True)
class Curve:
    """A curve, linear between its rows, constant before the first and after the last.

    Attributes:
        times: shape (T,), not decreasing; two rows at one time are a jump.
        values: shape (T,), or (T, F) for F curves on the same rows.
    """

    times: FloatArray
    values: FloatArray

    def limits(self, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The curve just before and just after each of the times `at` (K,), two of shape (K, F)."""
        values = self.values.reshape(len(self.times), -1)
        early, late = (at < self.times[0])[:, None], (at > self.times[-1])[:, None]
        at = np.clip(at, self.times[0], self.times[-1])
        first = np.searchsorted(self.times, at, side="left")
        last = np.searchsorted(self.times, at, side="right") - 1
        on_row = self.times[first] == at
        before = self._between(values, np.where(on_row, first, first - 1), first, at)
        after = self._between(values, last, np.where(on_row, last, last + 1), at)
        # A first or last row may be a jump, which is over before and after it.
        return np.where(late, values[-1], before), np.where(early, values[0], after)

    def _between(self, values: FloatArray, left: IntArray, right: IntArray, at: FloatArray) -> FloatArray:
        elapsed = self.times[right] - self.times[left]
        share = np.divide(at - self.times[left], elapsed, out=np.zeros_like(at), where=elapsed > 0)[:, None]
        interpolated: FloatArray = (1 - share) * values[left] + share * values[right]
        return interpolated


def integrated_distance(first: Curve, second: Curve, end: float) -> float:
    """Integral over the time from 0 to `end` of sum_f |first_f - second_f|, exact.

    Raises:
        ValueError: `end` is not positive.
    """
    if not end > 0:
        raise ValueError(f"a window from 0 to {end:g} has no length")
    moments = np.union1d(_inside(first.times, end), np.append(_inside(second.times, end), [0.0, end]))
    before, after = _difference_limits(first, second, moments)
    starts, ends = after[:-1], before[1:]
    sizes = np.abs(starts) + np.abs(ends)
    # Where the difference changes sign, what is integrated is two triangles.
    triangles = np.divide(starts**2 + ends**2, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    means = 0.5 * np.where(starts * ends < 0, triangles, sizes)
    return float(np.diff(moments) @ means.sum(axis=1))


def distance_between_jumps(first: Curve, second: Curve, end: float, jumps: Sequence[float], margin: float) -> float:
    """Largest |first - second| over the time from 0 to `end`, but for what is near a jump.

    Args:
        jumps: moments; t is near one of them, s, if |t - s| <= margin * s.
        margin: from 0 up to but not including 1, so that the start of the window is always left.
    """
    edges = np.array([jump * factor for jump in jumps for factor in (1 - margin, 1 + margin)])
    moments = np.union1d(np.concatenate([first.times, second.times, [0.0, end]]), edges)
    moments = moments[(moments >= 0) & (moments <= end)]
    # Compared with the edges themselves, as they were rounded: an edge belongs to what is left.
    near = np.zeros(len(moments), dtype=bool)
    for low, high in edges.reshape(-1, 2):
        near |= (moments > low) & (moments < high)
    sizes = np.maximum(*np.abs(_difference_limits(first, second, moments[~near]))).sum(axis=1)
    return float(sizes.max())


def thinned(curve: Curve, rows: int) -> Curve:
    """At most about `rows` rows of a curve, evenly along its graph over log time, for drawing.

    Every curve is scaled to its own range, so that drops keep as many rows as decades without change.
    """
    if len(curve.times) <= rows:
        return curve
    values = curve.values.reshape(len(curve.times), -1)
    positive = curve.times[curve.times > 0]
    clock = np.log(np.maximum(curve.times, positive[0] if positive.size else 1.0))
    length = np.cumsum(_share(np.abs(np.diff(clock))) + _share(np.abs(np.diff(values, axis=0)).sum(axis=1)))
    wanted = np.linspace(0, length[-1], rows)
    kept = np.unique(np.append(np.searchsorted(np.insert(length, 0, 0.0), wanted), [0, len(curve.times) - 1]))
    kept = kept[kept < len(curve.times)]
    return Curve(curve.times[kept], curve.values[kept])


def _share(steps: FloatArray) -> FloatArray:
    total = steps.sum()
    return steps / total if total > 0 else steps


def _inside(times: FloatArray, end: float) -> FloatArray:
    return times[(times > 0) & (times < end)]


def _difference_limits(first: Curve, second: Curve, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    (first_before, first_after), (second_before, second_after) = first.limits(at), second.limits(at)
    return first_before - second_before, first_after - second_after
