"""The Lasso path, and how it is the time average of a diagonal network's training.

Lasso: minimize 1/(2n) ||X beta - y||^2 + lambda ||beta||_1. Successive saddles carry levels
s = integral of -dL/dbeta with s_i on the end of beta_i's sign wherever beta_i is not zero. With ends +-1,
dividing by the time t gives

    s(t) / t = X^T (y - X average(t)) / n,      average(t) = (1/t) integral of beta up to t:

the Lasso's optimality conditions at lambda = 1/t, provided that s_i is still on its end where average_i is
not zero. Hence, until a collapsed coordinate leaves its end, average(t) is the Lasso's solution at 1/t, and
coordinates activate at t = 1/lambda in the Lasso's order, whatever the design. An orthogonal design has no collapse.
Beyond the first collapse the two differ (R. Berthier, "Diagonal linear networks and the Lasso
regularization path", arXiv:2509.18766, 2025, who also bounds the difference).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agfrun.labs.staircases.networks.diagonal_linear.successive_saddles import FloatArray, Saddle, drive_resolution

BoolArray = npt.NDArray[np.bool_]

# Correlations that agree to this part of the penalty are equal.
EQUAL = 1e-9
LARGEST_STEP_COUNT = 10_000


@dataclass(frozen=True)
class LassoPath:
    """The solutions at all penalties, piecewise linear.

    Attributes:
        penalties: breakpoints lambda, decreasing from the largest at which a coefficient is selected, (K,).
        coefficients: solutions there, (K, d); the first row is zero.
    """

    penalties: FloatArray
    coefficients: FloatArray

    def at(self, penalty: float) -> FloatArray:
        """The solution at a penalty, (d,)."""
        columns = [np.interp(-penalty, -self.penalties, column) for column in self.coefficients.T]
        return np.array(columns, dtype=np.float64)

    def first_selections(self) -> list[tuple[int, float]]:
        """Coordinates in the order in which they are first selected, each with the penalty where it starts."""
        found = []
        for i, column in enumerate(self.coefficients.T):
            rows = np.flatnonzero(column)
            if len(rows):
                found.append((i, float(self.penalties[rows[0] - 1])))
        return sorted(found, key=lambda selection: -selection[1])


def lasso_path(inputs: FloatArray, targets: FloatArray, signed: bool = True) -> LassoPath:
    """Follow the solution from the largest penalty down to zero (homotopy; Osborne, Presnell & Turlach 2000).

    At each breakpoint the direction of the path minimizes ||X w - r / lambda|| over the coordinates whose
    correlation with the residual r equals the penalty, those at zero keeping the sign of their correlation.
    This settles joining, leaving and ties alike.

    Args:
        inputs: X, (n, d).
        targets: y, (n,).
        signed: whether coefficients may be negative.
    """
    samples, dimension = inputs.shape
    coefficients = np.zeros(dimension)
    correlations = inputs.T @ targets / samples
    penalty = float(max((np.abs(correlations) if signed else correlations).max(initial=0.0), 0.0))
    penalties, rows = [penalty], [coefficients]
    # Below this, correlations are rounding; a thousandfold, for what the steps have added to it.
    floor = float(drive_resolution(inputs, targets).max(initial=0.0)) * 1e3
    while penalty > floor and len(rows) < LARGEST_STEP_COUNT:
        residual = targets - inputs @ coefficients
        correlations = inputs.T @ residual / samples
        direction = _direction(inputs, residual, correlations, coefficients, penalty, signed)
        change = inputs.T @ (inputs @ direction) / samples
        step, gone = _step(correlations, change, coefficients, direction, penalty, signed)
        coefficients = coefficients + step * direction
        coefficients[gone] = 0.0
        penalty = penalty - step
        penalties.append(penalty)
        rows.append(coefficients)
    return LassoPath(np.array(penalties), np.stack(rows))


def _direction(inputs: FloatArray, residual: FloatArray, correlations: FloatArray, coefficients: FloatArray,
               penalty: float, signed: bool) -> FloatArray:
    """D beta / d(-lambda), (d,)."""
    from scipy.optimize import lsq_linear

    sizes = np.abs(correlations) if signed else correlations
    index = np.flatnonzero((sizes >= penalty * (1 - EQUAL)) | (coefficients != 0))
    at_zero, signs = coefficients[index] == 0, np.sign(correlations[index])
    lower = np.where(at_zero & (signs > 0), 0.0, -np.inf)
    upper = np.where(at_zero & (signs < 0), 0.0, np.inf)
    scales = np.linalg.norm(inputs[:, index], axis=0)
    found = lsq_linear(inputs[:, index] / scales, residual / penalty, (lower, upper), method="bvls", tol=1e-14)
    direction = np.zeros(len(coefficients))
    direction[index] = np.where(at_zero & (found.x * signs <= 0), 0.0, found.x) / scales
    return direction


def _step(correlations: FloatArray, change: FloatArray, coefficients: FloatArray, direction: FloatArray,
          penalty: float, signed: bool) -> tuple[float, BoolArray]:
    """How far the penalty falls until a coordinate joins or leaves, and which coefficients are zero then, (d,)."""
    outside = (coefficients == 0) & (direction == 0)
    steps = [np.array([penalty])]
    for sign in (1, -1) if signed else (1,):
        # As lambda falls by h, a correlation falls by h * change: it is sign * lambda again at h = gap / closing.
        gap, closing = penalty - sign * correlations[outside], 1 - sign * change[outside]
        meets = (closing > EQUAL) & (gap > EQUAL * penalty)
        steps.append(gap[meets] / closing[meets])
    leaving = coefficients * direction < 0
    exits = np.full(len(coefficients), np.inf)
    exits[leaving] = -coefficients[leaving] / direction[leaving]
    steps.append(exits)
    step = float(np.concatenate(steps).min())
    return step, exits <= step * (1 + EQUAL)


def in_tie_order(selections: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Selections in their order, but those at (relatively) equal values by coordinate."""
    groups: list[list[tuple[int, float]]] = []
    for selection in selections:
        if groups and abs(selection[1] - groups[-1][-1][1]) <= EQUAL * abs(selection[1]):
            groups[-1].append(selection)
        else:
            groups.append([selection])
    return [selection for group in groups for selection in sorted(group)]


def averages(saddles: list[Saddle], times: FloatArray) -> FloatArray:
    """Time averages of the path through all saddles, (T, d), from time 0 to each of the times (T,)."""
    starts = np.array([saddle.time for saddle in saddles])
    heights = np.stack([saddle.coefficients for saddle in saddles])
    lengths = np.clip(np.minimum(times[:, None], np.append(starts[1:], np.inf)) - starts, 0.0, None)
    return np.asarray(lengths @ heights / times[:, None])
