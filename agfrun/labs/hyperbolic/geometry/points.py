"""Points of hyperbolic space H^m in any of four models, held so that nothing cancels far from the origin.

Models of a point z = (t, x) on the hyperboloid <z, z> = -t^2 + |x|^2 = -1, t > 0, with d = arccosh(-<z, w>):

- `lorentz`: the m + 1 numbers (t, x);
- `poincare`: p = x / (1 + t), in the open unit ball;
- `klein`: k = x / t, in the open unit ball, in which geodesics are straight;
- `halfspace`: m numbers of which the last, the height, is positive.

Inside, a point is p together with 1 - |p|^2, which p alone does not give to full precision near the boundary. Then
cosh d - 1 = 2 |p - q|^2 / ((1 - |p|^2)(1 - |q|^2)) is a product of accurate numbers at every radius.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agfrun.study.errors import UsageError

Array = npt.NDArray[np.float64]

MODELS = ("lorentz", "poincare", "klein", "halfspace")
# Of <z, z> = -1, relative to t^2: more is no rounding of a point on the hyperboloid.
OFF_THE_HYPERBOLOID = 1e-6
# Of pairs whose distances are held at once.
MOST_PAIRS = 2_000_000


class PointsError(UsageError):
    """Points that cannot be taken: outside their model, not finite, too few, all equal."""


@dataclass(frozen=True)
class Points:
    """Points of H^m.

    Attributes:
        p: (n, m) coordinates in the Poincare ball.
        gap: (n,) 1 - |p|^2, above 0.
    """

    p: Array
    gap: Array

    def __len__(self) -> int:
        return len(self.p)

    @property
    def dimension(self) -> int:
        """The m of H^m."""
        return int(self.p.shape[1])

    def of(self, chosen: npt.NDArray[Any]) -> Points:
        """Some of the points, by index or flag."""
        return Points(self.p[chosen], self.gap[chosen])

    def radii(self) -> Array:
        """(n,) distances from the origin: tanh(r/2) = |p|."""
        size = np.linalg.norm(self.p, axis=1)
        return np.asarray(np.log1p(2 * size * (1 + size) / self.gap))

    def lorentz(self) -> Array:
        """(n, m + 1) points (t, x) on the hyperboloid."""
        return np.column_stack([(2 - self.gap) / self.gap, 2 * self.p / self.gap[:, None]])

    def klein(self) -> Array:
        """(n, m) coordinates in the Klein ball."""
        return np.asarray(2 * self.p / (2 - self.gap)[:, None])

    def halfspace(self) -> Array:
        """(n, m) coordinates in the half-space; the origin of the ball is at height 1 above 0."""
        below = np.sum(self.p[:, :-1] ** 2, axis=1) + (1 - self.p[:, -1]) ** 2
        return np.asarray(np.column_stack([2 * self.p[:, :-1], self.gap]) / below[:, None])

    def seen_from(self, centre: Points) -> Points:
        """The points after the translation that takes `centre`, one point, to the origin; distances do not change."""
        (c,), (gap,) = centre.p, centre.gap
        w = self.p - c
        size = np.sum(w**2, axis=1)
        below = gap * self.gap + size  # |1 - conj(c) p|^2 without cancellation
        return Points((gap * w - size[:, None] * c) / below[:, None], gap * self.gap / below)

    def barycentre(self) -> Points:
        """The one point at the Lorentz barycentre, sum(z) / sqrt(-<sum, sum>)."""
        t, *x = self.lorentz().mean(axis=0)
        # -<sum, sum> is the mean of cosh d over all pairs, and 1 at least.
        length = np.sqrt(max(t**2 - float(np.dot(x, x)), 1.0))
        return points_of(np.array([[np.sqrt(1 + float(np.dot(x, x)) / length**2), *np.array(x) / length]]), "lorentz")

    def excess(self, i: npt.NDArray[Any], j: npt.NDArray[Any]) -> Array:
        """Cosh d - 1 for the pairs of points i, j (index arrays of one shape)."""
        square = np.sum((self.p[i] - self.p[j]) ** 2, axis=-1)
        return np.asarray(2 * square / (self.gap[i] * self.gap[j]))


def points_of(coordinates: npt.ArrayLike, model: str = "lorentz") -> Points:
    """Points from the coordinates of a model.

    Args:
        coordinates: (n, m + 1) for `lorentz`, else (n, m).
        model: one of `MODELS`.

    Raises:
        PointsError: they are no points of the model; the first that is none is named.
    """
    given = _finite(coordinates, model)
    if model == "lorentz":
        return _of_lorentz(given)
    if model == "halfspace":
        _refuse(given[:, -1] <= 0, given, "its last coordinate, the height, must be positive")
        return _of_halfspace(given)
    square = np.sum(given**2, axis=1)
    _refuse(square >= 1, given, f"it lies outside the open unit ball of the {model} model")
    gap = _one_less_square(given)
    if model == "poincare":
        _refuse(gap <= 0, given, "it lies on the boundary of the unit ball, as far as floats can tell")
        return Points(given, gap)
    root = np.sqrt(gap)
    return Points(given / (1 + root)[:, None], 2 * root / (1 + root))


def _finite(coordinates: npt.ArrayLike, model: str) -> Array:
    if model not in MODELS:
        raise PointsError(f"model={model} is not allowed: choose one of {', '.join(MODELS)}")
    try:
        given = np.asarray(coordinates, dtype=np.float64)
    except (TypeError, ValueError):
        raise PointsError("points must be an array of numbers with a row for each point") from None
    least = 3 if model == "lorentz" else 2
    if given.ndim != 2 or not len(given):
        raise PointsError(f"points must have a row for each point and at least one, not the shape {given.shape}")
    if given.shape[1] < least:
        raise PointsError(f"points in the {model} model need at least {least} coordinates (H^2 or more), not "
                          f"{given.shape[1]}")
    bad = np.flatnonzero(~np.isfinite(given).all(axis=1))
    if len(bad):
        raise PointsError(f"point {bad[0]} is not finite: {given[bad[0]].tolist()}")
    return given


def _refuse(wrong: npt.NDArray[np.bool_], given: Array, why: str) -> None:
    bad = np.flatnonzero(wrong)
    if len(bad):
        text = ", ".join(f"{value:.6g}" for value in given[bad[0]][:4])
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        text += ", ..." if given.shape[1] > 4 else ""
        raise PointsError(f"point {bad[0]}, ({text}), is not allowed: {why}{more}")


def _of_lorentz(given: Array) -> Points:
    """The first coordinate follows from the others, to more digits than it is given with."""
    x = given[:, 1:]
    t = np.sqrt(1 + np.sum(x**2, axis=1))
    _refuse(~(np.abs(given[:, 0] - t) <= OFF_THE_HYPERBOLOID * t), given,
            "it is not on the hyperboloid -t^2 + |x|^2 = -1, t > 0, with t as its first coordinate")
    return Points(x / (1 + t)[:, None], 2 / (1 + t))


def _one_less_square(given: Array) -> Array:
    """1 - |p|^2 to the last digits, however near the boundary: squares are split into two floats (Dekker)."""
    scaled = given * (2**27 + 1.0)
    high = scaled - (scaled - given)
    low = given - high
    square = given * given
    rest = ((high * high - square) + 2 * high * low) + low * low
    total = np.ones(len(given))
    for axis in range(given.shape[1]):
        before = total
        total = before - square[:, axis]
        rest[:, axis] -= (before - total) - square[:, axis]
    return np.asarray(total - rest.sum(axis=1))


def _of_halfspace(given: Array) -> Points:
    x, height = given[:, :-1], given[:, -1]
    square = np.sum(x**2, axis=1)
    below = square + (1 + height) ** 2
    p = np.column_stack([2 * x, square + (height - 1) * (height + 1)]) / below[:, None]
    return Points(p, 4 * height / below)


def joined(a: Points, b: Points) -> Points:
    """All points of both.

    Raises:
        PointsError: they are of different dimensions.
    """
    if a.dimension != b.dimension:
        raise PointsError(f"the two sets must have one dimension, not {a.dimension} and {b.dimension}")
    return Points(np.concatenate([a.p, b.p]), np.concatenate([a.gap, b.gap]))


def distances(a: Points, b: Points) -> Array:
    """(len(a), len(b)) hyperbolic distances."""
    result = np.empty((len(a), len(b)))
    rows = max(1, MOST_PAIRS // max(1, len(b)))
    for first in range(0, len(a), rows):
        part = slice(first, first + rows)
        square = sum((a.p[part, None, axis] - b.p[None, :, axis]) ** 2 for axis in range(a.dimension))
        result[part] = distance_of_excess(2 * square / (a.gap[part, None] * b.gap[None]))
    return result


def distance_of_excess(excess: Any) -> Any:
    """The distance d with cosh d - 1 = excess: 2 arsinh sqrt(excess / 2)."""
    return 2 * np.arcsinh(np.sqrt(excess / 2))


def at_distance(directions: npt.ArrayLike, radii: npt.ArrayLike) -> Array:
    """(n, m) Poincare coordinates of points in given directions (n, m) at given distances (n,) from the origin."""
    given = np.asarray(directions, dtype=np.float64)
    unit = given / np.maximum(np.linalg.norm(given, axis=1, keepdims=True), 1e-300)
    scaled: Array = unit * np.tanh(np.asarray(radii, dtype=np.float64) / 2)[:, None]
    return scaled


def exponentials(tangents: Array) -> Points:
    """Points from tangent vectors (n, m) at the origin, of any length whose cosh is a float."""
    radii = np.linalg.norm(tangents, axis=1)
    return Points(at_distance(tangents, radii), np.cosh(radii / 2) ** -2.0)
