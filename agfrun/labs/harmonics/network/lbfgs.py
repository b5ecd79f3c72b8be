"""L-BFGS for many starts at once: every step of every start is one tensor program (Nocedal & Wright, chapter 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agfrun.labs.harmonics.network.layout import IntArray, RealArray

Objective = Callable[[RealArray], tuple[RealArray, RealArray]]

MEMORY = 20
MOST_TRIALS = 25
# Of the weak Wolfe conditions.
DECREASE, CURVATURE = 1e-4, 0.9
# A start has ended when its last steps changed so little relative to its value, or its value is so small.
LEAST_CHANGE, LEAST_VALUE = 1e-13, 1e-16
STALLED_STEPS = 3


@dataclass
class Minima:
    """Where the starts ended.

    Attributes:
        points: shape (R, P).
        values: shape (R,).
        iterations: shape (R,).
    """

    points: RealArray
    values: RealArray
    iterations: IntArray


class _Running:
    """The starts that have not ended: points, values, gradients and the pairs of L-BFGS, newest last."""

    def __init__(self, points: RealArray, values: RealArray, gradients: RealArray) -> None:
        self.places = np.arange(len(points))
        self.points, self.values, self.gradients = points, values, gradients
        self.stalled = np.zeros(len(points), dtype=np.int64)
        self.steps: list[RealArray] = []
        self.changes: list[RealArray] = []
        self.inverse_products: list[RealArray] = []

    def direction(self) -> RealArray:
        """Two-loop recursion; pairs without curvature have the weight 0."""
        vector = self.gradients.copy()
        weights = []
        for step, change, rho in zip(self.steps[::-1], self.changes[::-1], self.inverse_products[::-1], strict=True):
            weights.append(rho * _dot(step, vector))
            vector -= weights[-1][:, None] * change
        if self.steps:
            product, square = _dot(self.steps[-1], self.changes[-1]), _dot(self.changes[-1], self.changes[-1])
            vector *= np.where(product > 0, product / np.maximum(square, 1e-300), 1.0)[:, None]
        for step, change, rho, weight in zip(self.steps, self.changes, self.inverse_products, weights[::-1],
                                             strict=True):
            vector += (weight - rho * _dot(change, vector))[:, None] * step
        uphill = _dot(vector, self.gradients) <= 0
        vector[uphill] = self.gradients[uphill]
        return -vector

    def move(self, points: RealArray, values: RealArray, gradients: RealArray) -> None:
        """Take a step, and remember it."""
        step, change = points - self.points, gradients - self.gradients
        product = _dot(step, change)
        self.steps.append(step)
        self.changes.append(change)
        self.inverse_products.append(np.where(product > 1e-300, 1 / np.maximum(product, 1e-300), 0.0))
        if len(self.steps) > MEMORY:
            del self.steps[0], self.changes[0], self.inverse_products[0]
        small = self.values - values <= LEAST_CHANGE * np.abs(values)
        self.stalled = np.where(small, self.stalled + 1, 0)
        self.points, self.values, self.gradients = points, values, gradients

    def keep(self, staying: npt.NDArray[np.bool_]) -> None:
        """Leave the others out."""
        for name in ("places", "points", "values", "gradients", "stalled"):
            setattr(self, name, getattr(self, name)[staying])
        for pairs in (self.steps, self.changes, self.inverse_products):
            pairs[:] = [one[staying] for one in pairs]


def minimise(objective: Objective, starts: RealArray, most_iterations: int) -> Minima:
    """Minimise a smooth function from many starts.

    Args:
        objective: values (R,) and gradients (R, P) at points (R, P), for any R.
        starts: shape (R, P).
        most_iterations: of each start.
    """
    found = Minima(starts.copy(), np.zeros(len(starts)), np.zeros(len(starts), dtype=np.int64))
    running = _Running(starts.copy(), *objective(starts))
    for iteration in range(most_iterations + 1):
        found.points[running.places], found.values[running.places] = running.points, running.values
        found.iterations[running.places] = iteration
        staying = (running.stalled < STALLED_STEPS) & (running.values > LEAST_VALUE)
        if not staying.all():
            running.keep(staying)
        if not len(running.places) or iteration == most_iterations:
            break
        running.move(*_searched(objective, running, first=iteration == 0))
    return found


def _searched(objective: Objective, running: _Running, first: bool) -> tuple[RealArray, RealArray, RealArray]:
    """Points, values and gradients after a line search for the weak Wolfe conditions by bisection of each start."""
    direction = running.direction()
    slope = _dot(direction, running.gradients)
    length = np.ones(len(slope))
    if first:
        length = np.minimum(1.0, 1 / np.sqrt(np.maximum(-slope, 1e-300)))
    low, high = np.zeros(len(slope)), np.full(len(slope), np.inf)
    points, values, gradients = running.points.copy(), running.values.copy(), running.gradients.copy()
    searching = np.arange(len(slope))
    for _ in range(MOST_TRIALS):
        trial = running.points[searching] + length[searching, None] * direction[searching]
        value, gradient = objective(trial)
        enough = value <= running.values[searching] + DECREASE * length[searching] * slope[searching]
        flat = _dot(gradient, direction[searching]) >= CURVATURE * slope[searching]
        better = enough & (value <= values[searching])
        chosen = searching[better]
        points[chosen], values[chosen], gradients[chosen] = trial[better], value[better], gradient[better]
        high[searching[~enough]] = length[searching[~enough]]
        low[searching[enough & ~flat]] = length[searching[enough & ~flat]]
        searching = searching[~(enough & flat)]
        if not len(searching):
            break
        bounded = np.isfinite(high[searching])
        length[searching] = np.where(bounded, (low[searching] + np.where(bounded, high[searching], 0)) / 2,
                                     2 * length[searching])
    return points, values, gradients


def _dot(first: RealArray, second: RealArray) -> RealArray:
    products: RealArray = np.einsum("rp,rp->r", first, second)
    return products
