"""The size at which a feature settles after its last acquisition, wherever the record ends.

A record stops when little of the loss is left; what the features still gain after that is of the order of the root
of it, so that half of the size at the end of the record is passed too early, by a share that the stopping rule
chooses. The size in a solution of the network's problem is known for some networks; of others the approach to it is
continued, exponential as the approach to a minimum is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

# A last change larger than this part of the one before shows no exponential that could be continued.
SLOWEST_DECAY = 0.9
# Of the change that is added, this part is doubted in any case.
DOUBT = 0.1
# Largest number of e-folds between two rows that a rate is looked for in.
MOST_E_FOLDS = 700.0


@dataclass(frozen=True)
class FinalSize:
    """Where a feature settles.

    Attributes:
        size: positive.
        error: by how much it may be off; 0 where it is known, infinite where nothing says.
    """

    size: float
    error: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest size that it may be."""
        return self.size - self.error, self.size + self.error


def final_size(times: FloatArray, sizes: FloatArray, start: int, known: float) -> FinalSize:
    """The size that a feature approaches at the end of a record.

    A known size counts if at least half of it is there at the end, or if the record ends within a drop: then there is
    more to come. On a plateau with less, the feature has settled elsewhere for now. Otherwise the approach since row
    `start` is continued. Where it shows no exponential the last size is taken, uncertain by what it has changed since
    half of that time, and of an unknown error where the record ends within a drop.

    Args:
        times: shape (T,).
        sizes: of the feature, positive at the end, (T,).
        start: first row of the last plateau; the last row if there is none.
        known: size in a solution, of the same sign; NaN where it is not known.
    """
    last, in_a_drop = float(sizes[-1]), start == times.size - 1
    if known > 0 and (in_a_drop or last >= known / 2):
        return FinalSize(known, 0.0)
    rows = np.flatnonzero(np.append(np.diff(times[start:]) > 0, True)) + start
    whole, later = (_limit(times[chosen], sizes[chosen]) for chosen in (rows, rows[rows.size // 2 :]))
    if not math.isfinite(whole + later):
        if in_a_drop:
            return FinalSize(last, math.inf)
        middle = float(np.interp(0.5 * (times[start] + times[-1]), times, sizes))
        return FinalSize(last, abs(last - middle))
    return FinalSize(later, abs(later - whole) + DOUBT * abs(later - last))


def _limit(times: FloatArray, sizes: FloatArray) -> float:
    """Where an exponential through the first, the middle and the last row leads; NaN if there is none."""
    if times.size < 3:
        return math.nan
    middle = int(np.clip(np.searchsorted(times, 0.5 * (times[0] + times[-1])), 1, times.size - 2))
    first, second = map(float, np.diff(times[[0, middle, -1]]))
    before, after = map(float, np.diff(sizes[[0, middle, -1]]))
    if after == 0:
        return float(sizes[-1])
    if before == 0 or not 0 < after / before < SLOWEST_DECAY * second / first:
        return math.nan

    def excess(rate: float) -> float:
        # x(t) = limit - c e^(-rate t) changes by this much over `second`, relative to `first`.
        part: float = math.exp(-rate * first) * math.expm1(-rate * second) / math.expm1(-rate * first)
        return part - after / before

    fastest = MOST_E_FOLDS / (first + second)
    if excess(fastest) > 0:
        return float(sizes[-1])
    rate = brentq(excess, 1e-9 / (first + second), fastest, xtol=1e-12 * fastest)
    return float(sizes[-1] + after / math.expm1(rate * second))
