"""When a cost phase is over: nothing moves any more but a valley's algebraic decline (docs/algorithm.md).

Judged by the modes of the cost's Hessian at a point reached after a time t of the phase's own. By its curvature a mode
is *fast* (lambda t > 3: it has had the time to converge, and lowers the cost exponentially), of a *valley*
(lambda t from 0.3 to 3: along a decline t^-a the curvature is (a + 1) / (2 t)), *slow* (less: it has not begun to
move) or *growing* (lambda < 0). Fast, slow and growing modes must have next to nothing left to lower, whatever the
first of them have lowered already; the valley, which never ends, little.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

import torch
from torch import Tensor

from agfrun.labs.staircases.agf.modes import Modes

# Of the initial loss: a decline that rounding hides.
ROUNDING = 1e-13
# Part of the tolerance to which a cost that converges exponentially is followed.
EXPONENTIAL = 1e-6
# Part of the tolerance that modes outside the valley may leave.
OUTSIDE_VALLEY = 0.1
# lambda t of a valley's modes.
VALLEY = (0.3, 3.0)
# A point is looked at closely once the cost has fallen by so many tolerances, or fewer, while the time doubled.
LOOKED_AT = 2.0
# From one look to the next the time grows by so much.
BETWEEN_LOOKS = 1.4
# In a valley the curvature along the way that is left falls like 1 / t, at a minimum it stays: the power in between.
FLATTENING = 0.5
# In durations of the phase: beyond, a slow or growing mode counts as standing still.
LONGEST_VIEW = 1e4
# For ever, in durations.
EVER = 1e6

AT_REST = "the cost is at a minimum"
IN_A_VALLEY = "the cost falls along a valley alone, by less than the tolerance"


class Rest:
    """Judges the points of one cost phase, in order.

    Args:
        tolerance: part of what the phase has lowered that a valley may still lower.
        start_loss: cost that what was lowered is counted from.
        initial_loss: loss of the empty network.
    """

    def __init__(self, tolerance: float, start_loss: float, initial_loss: float) -> None:
        self.tolerance, self.start_loss, self.initial_loss = tolerance, start_loss, initial_loss
        self.durations, self.losses = [0.0], [start_loss]
        self.looked = 0.0

    def worth_a_look(self, duration: float, loss: float, gradient_norm: float) -> bool:
        """Whether the modes should be looked at here; called at every step."""
        self.durations.append(duration)
        self.losses.append(loss)
        row = bisect_right(self.durations, 0.5 * duration) - 1
        if row == 0 and gradient_norm**2 * duration > ROUNDING * self.initial_loss:
            return False
        decline, lowered = self.losses[row] - loss, self._lowered()
        if decline <= EXPONENTIAL * self.tolerance * lowered:
            return True
        return decline <= LOOKED_AT * self.tolerance * lowered and duration >= BETWEEN_LOOKS * self.looked

    def reached(self, modes: Modes, time_left: Callable[[], float],
                curvature_before: Callable[[Tensor], tuple[float, float]]) -> str:
        """Why the cost phase is over at the latest point, or an empty string.

        Args:
            time_left: how long the active neurons have until the next activation, found when needed.
            curvature_before: the curvature along a step of the neurons (K, D) at half the time or before, and that
                time over this.
        """
        self.looked = duration = self.durations[-1]
        lowered, at_rest = self._lowered(), self._at_rest(modes)
        small = OUTSIDE_VALLEY * self.tolerance * max(lowered, self.losses[-1])
        slow, fast = VALLEY[0] / duration, VALLEY[1] / duration
        if not at_rest:
            quick = modes.lowered(EVER * duration, fast) + modes.lowered(duration, up_to=slow)
            valley = modes.lowered(EVER * duration, slow, fast)
            way = modes.way_left(slow, fast)
            if quick > small or valley > self.tolerance * lowered or not _flattens(modes, way, curvature_before):
                return ""
        view = min(max(time_left(), duration), LONGEST_VIEW * duration)
        # Where negative curvatures fall like 1 / t, too, growth is a power of the time: an e-fold tells of it.
        scale_free = modes.lowered(view, up_to=0) > small and _flattens(modes, modes.falling_way(), curvature_before)
        if modes.lowered(min(view, math.e * duration) if scale_free else view, up_to=0) > small:
            return ""
        if at_rest:
            return AT_REST
        return IN_A_VALLEY if modes.lowered(view, 0, slow) + modes.lowered(EVER * duration, fast) <= small else ""

    def _lowered(self) -> float:
        return max(self.start_loss - self.losses[-1], 0.0)

    def _at_rest(self, modes: Modes) -> bool:
        finest = max(EXPONENTIAL * self.tolerance * self._lowered(), ROUNDING * self.initial_loss)
        return modes.lowered(EVER * self.durations[-1], above=0) <= finest


def _flattens(modes: Modes, way: Tensor, curvature_before: Callable[[Tensor], tuple[float, float]]) -> bool:
    """Whether the curvature along a way (n,) falls in time, whatever its sign, as it does in a valley."""
    largest = float(way.abs().max())
    if largest == 0:
        return False
    way = way / largest  # whose square may be no number of this precision
    along = float((way @ modes.vectors).square() @ torch.as_tensor(modes.curvatures).to(way)) / float(way @ way)
    before, share = curvature_before(modes.step(way))
    return before * along > 0 and abs(along) < abs(before) * share**FLATTENING
