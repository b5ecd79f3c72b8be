"""The noise of a loss curve, estimated robustly row by row, and where a curve runs away.

Rows are compared with the line through their neighbours. In a curve without noise neighbouring rows lie on one side
of the row in value, however fast it falls: only a row that is above or below both its neighbours says something about
noise, and all others count as without. The median of that over a window is not moved by single outliers, by drops, or
by the little that a smooth curve bends; a curve that never rises has no noise at all.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

# Median, for white noise of standard deviation 1, of |residual| where a row is an extremum and 0 elsewhere.
MEDIAN_OF_WHITE = 0.59896
# Rows over which a median is taken.
WINDOW = 41
# A loss that ends this part of its whole fall, and as many standard deviations, above its least has run away.
RISE = 0.01
RISE_IN_DEVIATIONS = 8.0
# Rows above the least loss by less than this many standard deviations are still on the last plateau.
WITHIN = 4.0

# So many standard deviations from the median of five rows no noise of any shape puts a row.
OUTLIER = 6.0


def row_noise(times: FloatArray, loss: FloatArray) -> FloatArray:
    """Standard deviation of the noise of each row about the curve, (T,)."""
    if times.size < 3:
        return np.zeros_like(loss)
    before, after = np.diff(times)[:-1], np.diff(times)[1:]
    span = before + after
    weight = np.divide(after, span, out=np.full_like(span, 0.5), where=span > 0)
    steps = np.diff(loss)
    residuals = loss[1:-1] - weight * loss[:-2] - (1 - weight) * loss[2:]
    # Three rows of equal noise make a residual of this variance.
    spread = np.sqrt(1 + np.square(weight) + np.square(1 - weight))
    shown = np.where(steps[:-1] * steps[1:] < 0, np.abs(residuals) / spread, 0.0)
    # Within half a window of an end the window stays whole, and reaches farther to the other side.
    half = min(WINDOW, shown.size) // 2
    medians = median_filter(shown, 2 * half + 1, mode="nearest") if half else shown
    places = np.clip(np.arange(times.size) - 1, half, shown.size - 1 - half)
    deviations = medians[places] / MEDIAN_OF_WHITE
    seen = np.flatnonzero(deviations)
    # In the midst of a drop nothing is seen of the noise: it is what it is beside.
    return np.interp(np.arange(times.size), seen, deviations[seen]) if seen.size else np.zeros_like(loss)


def without_outliers(loss: FloatArray, noise: FloatArray) -> FloatArray:
    """The loss with rows far from the median of their neighbours drawn in to where noise may put them, (T,)."""
    middle = median_filter(loss, 5, mode="nearest")
    return np.asarray(np.clip(loss, middle - OUTLIER * noise, middle + OUTLIER * noise))


def end_of_fall(loss: FloatArray, noise: FloatArray) -> int:
    """How many rows come before the loss runs away at the end of the record; all where it does not."""
    least, deviation = float(loss.min()), float(np.median(noise))
    risen = max(RISE * (float(loss[0]) - least), RISE_IN_DEVIATIONS * deviation)
    if loss[-1] - least <= risen or loss.size < 3:
        return loss.size
    within = np.flatnonzero(loss <= least + max(WITHIN * deviation, RISE * RISE * (float(loss[0]) - least)))
    return int(within[-1]) + 1


def binned(values: FloatArray, rows: int) -> FloatArray:
    """Means of so many rows each; those left over at the end are a mean of their own if they are half as many."""
    whole = values.size // rows * rows
    means = values[:whole].reshape(-1, rows).mean(axis=1)
    rest = values[whole:]
    return np.append(means, rest.mean()) if 2 * rest.size >= rows else np.asarray(means)
