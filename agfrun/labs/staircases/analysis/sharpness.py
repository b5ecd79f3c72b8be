"""How sharp a staircase is: numbers that do not depend on the units of time and loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.analysis.distances import Curve
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.events.monotone import falling_curve, falling_fit
from agfrun.labs.staircases.events.plateaus import Drop, find_staircase

# Time grows by this factor while the steepest fall is measured.
STEP = 1.1


@dataclass(frozen=True)
class Sharpness:
    """Sharpness of one loss curve.

    Attributes:
        drops: number of drops that `staircases.events.plateaus` tells apart.
        drop_duration: ln(end / start) of a drop, from 5% to 95% of its fall, averaged over the drops with their
            falls as weights. For a sharp drop it is its duration over its time; 0 for jumps. NaN without a drop.
        plateau_share: of the log time from the start of the first drop to the end of the last, the part on the
            plateaus between drops. 1 for jumps, 0 for a single drop that takes time; NaN without a drop. A drop that
            the record ends in counts as far as it went.
        steepest_fall: of all that the loss falls, the largest part that is lost while time grows by 10%; NaN if it does
            not fall.
    """

    drops: int
    drop_duration: float
    plateau_share: float
    steepest_fall: float


def sharpness(times: FloatArray, loss: FloatArray) -> Sharpness:
    """Sharpness of a loss curve; rows as for `staircases.events.plateaus.find_staircase`.

    Raises:
        ValueError: the rows are no curve.
    """
    drops = find_staircase(times, loss).drops
    return Sharpness(len(drops), _drop_duration(drops), _plateau_share(drops), steepest_fall(times, loss))


def steepest_fall(times: FloatArray, loss: FloatArray) -> float:
    """Of all that the loss falls, the largest part that is lost while time grows by 10%; noise is taken out first."""
    curve = falling_curve(times, falling_fit(times, loss))
    whole = float(curve.levels[0] - curve.levels[-1])
    if whole <= 0 or curve.times[-1] <= 0:
        return math.nan
    # Between vertices the loss is linear: most is lost over a window that has one of its ends at a vertex.
    starts = np.union1d(curve.times, curve.times / STEP)
    starts = starts[starts > 0]
    vertices = Curve(curve.times, curve.levels)
    fallen = vertices.limits(starts)[0] - vertices.limits(starts * STEP)[1]
    return float(fallen.max() / whole)


def _drop_duration(drops: list[Drop]) -> float:
    falls = np.array([drop.loss_before - drop.loss_after for drop in drops])
    durations = np.array([math.log(drop.end / drop.start) if drop.start > 0 else math.inf for drop in drops])
    return float(falls @ durations / falls.sum()) if drops else math.nan


def _plateau_share(drops: list[Drop]) -> float:
    if not drops:
        return math.nan
    if drops[0].start <= 0:
        return 0.0
    whole = math.log(drops[-1].end / drops[0].start)
    falling = sum(math.log(drop.end / drop.start) for drop in drops)
    return 1 - falling / whole if whole > 0 else 1.0
