"""A drop of a diagonal linear network: closed form, or integrated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.networks.diagonal_linear.plateau import Plateau
from agfrun.labs.staircases.networks.diagonal_linear.resolved_drop import ACCUMULATED, TOLERANCE, ResolvedDrop

# Of the quadratures, relative to a time.
ROUNDING = 1e-7


@dataclass(frozen=True)
class Drop:
    """A way from one plateau to the next.

    Attributes:
        before, after: the plateaus.
        before_loss, after_loss: the loss on them.
        newcomer: whose step it is, or the first.
        step: when that is.
        error: estimated error of the times in it, in units of time.
        resolved: the flow, if it was integrated.
    """

    before: Plateau
    after: Plateau
    before_loss: float
    after_loss: float
    newcomer: int
    step: float
    error: float
    resolved: ResolvedDrop | None = None

    def passing(self, index: int, size: float, last: bool = False) -> tuple[float, float]:
        """When a coefficient that passes a size in this drop does so, and the relative error of that.

        The first time, or the last; only a drop that was integrated may have several.
        """
        if self.resolved is not None:
            return self._passing_in(self.resolved, index, size, last)
        if index == self.newcomer:
            time, error = self._wait(size), self.error
        else:
            # It gives way to the newcomer: when that has the size at which it does, and a little later.
            reached = (self.before.coefficients[index] - size) / self.before.responses[self.newcomer, index]
            delay = self.before.delay(self.newcomer, index, reached)
            time, error = self._wait(reached) + delay, self.error + abs(delay)
        return time, _relative(error, time) + ROUNDING

    def _wait(self, size: float) -> float:
        return self.step + float(self.before.waits(self.newcomer, np.array([size]))[0])

    def _passing_in(self, flow: ResolvedDrop, index: int, size: float, last: bool) -> tuple[float, float]:
        sizes = np.ones(self.before.curves.width)
        sizes[index] = size
        position = float(self.before.curves.positions_of(sizes)[index])
        found = flow.crossings(index, position)
        if not found:  # it lies between a plateau and what is at rest there to `EDGE`: at one of the ends
            ends = [abs(float(flow.at(time)[index]) - position) for time in (flow.times[0], flow.times[-1])]
            found = [float(flow.times[0 if ends[0] < ends[1] else -1])]
        time = found[-1 if last else 0]
        reading = TOLERANCE * ACCUMULATED / flow.speed(index, time)
        return time, _relative(self.error + reading, time) + ROUNDING


def _relative(error: float, time: float) -> float:
    """Nothing is known of a coefficient that is there from the start."""
    return error / time if time > 0 else math.inf
