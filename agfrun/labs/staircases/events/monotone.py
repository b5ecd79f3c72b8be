"""The falling part of a noisy loss curve, and the times at which it passes given levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import BoolArray, FloatArray


@dataclass(frozen=True)
class FallingCurve:
    """A curve that never rises, linear in time between its vertices.

    Attributes:
        times: times of the vertices, shape (V,), not decreasing; two at one time are a jump.
        levels: values there, shape (V,), not increasing.
    """

    times: FloatArray
    levels: FloatArray

    def crossing(self, levels: FloatArray) -> FloatArray:
        """First time at which the curve is at or below each level; the last time where it never is.

        Interpolating between two rows at the same time gives that time exactly.
        """
        upper = np.searchsorted(-self.levels, -levels, side="left")
        after = np.clip(upper, 1, self.times.size - 1) if self.times.size > 1 else np.zeros_like(upper)
        before = np.maximum(after - 1, 0)
        fall = self.levels[before] - self.levels[after]
        fraction = np.divide(self.levels[before] - levels, fall, out=np.ones_like(levels), where=fall > 0)
        inside = self.times[before] + np.clip(fraction, 0.0, 1.0) * (self.times[after] - self.times[before])
        inside = np.where(upper == 0, self.times[0], inside)
        return np.where(upper == self.times.size, self.times[-1], inside)


def falling_fit(times: FloatArray, values: FloatArray) -> FloatArray:
    """The non-increasing sequence nearest to `values` in least squares, shape (T,).

    Weights are the time that each row stands for (trapezoidal rule), so that rows inserted by
    interpolation change nothing; a curve that never rises is returned as it is. Pool-adjacent-violators
    (Ayer et al. 1955).
    """
    if not (np.diff(values) > 0).any():
        return values.copy()
    half = 0.5 * np.diff(times)
    weights = np.append(half, 0.0) + np.insert(half, 0, 0.0)
    # Rows that stand for no time (several at one jump) still need a positive weight.
    weights = np.maximum(weights, np.finfo(float).eps * max(float(weights.sum()), np.finfo(float).tiny))
    means: list[float] = []
    masses: list[float] = []
    counts: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, mass, count = value, weight, 1
        while means and means[-1] < mean:
            mean = (means[-1] * masses[-1] + mean * mass) / (masses[-1] + mass)
            mass += masses.pop()
            count += counts.pop()
            means.pop()
        means.append(mean)
        masses.append(mass)
        counts.append(count)
    # Rounding of the means must not leave a rise behind.
    return np.minimum.accumulate(np.repeat(means, counts))


def falling_curve(times: FloatArray, fitted: FloatArray) -> FallingCurve:
    """The curve through fitted rows, without the interior rows of stretches that are exactly level."""
    same_before = np.insert(fitted[1:] == fitted[:-1], 0, False)
    same_after = np.append(fitted[:-1] == fitted[1:], False)
    kept: BoolArray = ~(same_before & same_after)
    return FallingCurve(times[kept], fitted[kept])
