"""A drop of a diagonal linear network: closed form, or integrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.networks.diagonal_linear.plateau import Plateau
from agfrun.labs.staircases.networks.diagonal_linear.resolved_drop import ResolvedDrop


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

    def passing(self, index: int, size: float) -> list[float]:
        """When a coefficient passes a size that it passes in this drop; at several times where the drop was integrated."""
        if self.resolved is not None:
            sizes = np.ones(self.before.curves.width)
            sizes[index] = size
            return self.resolved.crossings(index, float(self.before.curves.positions_of(sizes)[index]))
        reached = size
        if index != self.newcomer:
            # It gives way to the newcomer: when that has the size at which it does.
            reached = (self.before.coefficients[index] - size) / self.before.responses[self.newcomer, index]
        return [self.step + float(self.before.waits(self.newcomer, np.array([reached]))[0])]

    def relative_error(self, time: float) -> float:
        """The error of a time in it, beside that time."""
        return self.error / time
