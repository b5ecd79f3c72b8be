"""Gradient flow of the weights from random starts: which critical point does each end at?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import LSODA

from agfrun.labs.neuromanifolds.landscape.equations import Equations
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion, FloatMonomials
from agfrun.labs.neuromanifolds.landscape.loss import Loss

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.landscape.real_points import RealPoint

Array = np.ndarray

POINT, ZERO, SUBNETWORK, NONE = ("point", "zero", "subnetwork", "none")

# In units of the loss at zero: when the flow has come to rest, and how near its function is to a critical one.
_AT_REST, _NEAR = 1e-7, 1e-6
# Singular values of the Jacobian below this part of the largest are lost.
_LOST = 1e-3
_LONGEST, _MOST_STEPS = 1e7, 3000


@dataclass(frozen=True)
class Descent:
    """One gradient flow: the rows of descents.csv but for its number.

    Attributes:
        loss: where it ended.
        gradient: its length there, in units of the loss at zero.
        end: `point`; `zero`, the function 0, which is critical also where all inner weights vanish, outside of every
            chart; `subnetwork`, at rest where the Jacobian has lost rank, as where a neuron's weights vanish; `none`.
        point: number of the critical point with that function, from 0 on; None: it is none of them.
    """

    loss: float
    gradient: float
    end: str
    point: int | None


class Flow:
    """The loss of all weights in floats, without a chart, in units of the loss of the function 0.

    Args:
        full: the network expanded in all its weights.
        loss: in the coordinates of the function.
        dimension: of the functions.
    """

    def __init__(self, full: Expansion, loss: Loss, dimension: int) -> None:
        self._dimension = dimension
        self._monomials = FloatMonomials(full.powers)
        self._scale = float(loss.constant) or 1.0
        self._form = loss.form.astype(float) / self._scale
        self._linear = loss.linear.astype(float) / self._scale
        self._coefficients = full.coefficients.astype(float)

    def function(self, weights: Array) -> Array:
        """The coordinates of the function."""
        return np.asarray(self._coefficients @ self._monomials.values(weights))

    def gradient(self, weights: Array) -> Array:
        """Of the loss by all weights."""
        residual = self._form @ self.function(weights) - self._linear
        return np.asarray(2 * self._monomials.derivatives(weights).T @ (self._coefficients.T @ residual))

    def distance(self, first: Array, second: Array) -> float:
        """The squared distance of two functions that the loss is made of."""
        return float((first - second) @ self._form @ (first - second))

    def descended(self, start: Array, known: Sequence[Array]) -> Descent:
        """Follow gradient flow to rest.

        Args:
            start: the weights.
            known: functions of the critical points.
        """
        solver = LSODA(lambda _, weights: -self.gradient(weights), 0.0, start, _LONGEST, rtol=1e-8, atol=1e-10)
        for _ in range(_MOST_STEPS):
            if solver.status != "running" or np.linalg.norm(self.gradient(solver.y)) < _AT_REST:
                break
            solver.step()
        weights = solver.y
        function = self.function(weights)
        loss = float(function @ self._form @ function - 2 * self._linear @ function + 1) * self._scale
        gradient = float(np.linalg.norm(self.gradient(weights)))
        end, point = self._named(function, known)
        if end == NONE and gradient < _AT_REST and self._rank(weights) < self._dimension:
            end = SUBNETWORK
        return Descent(loss, gradient, end, point)

    def _rank(self, weights: Array) -> int:
        values = np.linalg.svd(self._coefficients @ self._monomials.derivatives(weights), compute_uv=False)
        return int((values > _LOST * values[0]).sum())

    def _named(self, function: Array, known: Sequence[Array]) -> tuple[str, int | None]:
        """What a function at rest is."""
        if self.distance(function, np.zeros_like(function)) < _NEAR:
            return ZERO, None
        distances = [self.distance(function, other) for other in known]
        nearest = int(np.argmin(distances)) if distances else 0
        return (POINT, nearest) if distances and distances[nearest] < _NEAR else (NONE, None)


def descents(equations: Equations, full: Expansion, loss: Loss, points: Sequence[RealPoint], starts: int
             ) -> list[Descent]:
    """Gradient flow from standard normal weights.

    Args:
        equations: of the chart, in which the points are given.
        full: in all weights.
        loss: of both.
        points: the real critical points.
        starts: how many.
    """
    expansion = equations.expansion
    flow = Flow(full, loss, equations.variables - len(equations.slices))
    generator = np.random.default_rng((equations.seed, 5))
    charted, monomials = expansion.coefficients.astype(float), FloatMonomials(expansion.powers)
    known = [charted @ monomials.values(np.array(point.weights, dtype=float)) for point in points]
    return [flow.descended(generator.standard_normal(len(full.free)), known) for _ in range(starts)]
