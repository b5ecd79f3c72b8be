"""The lower hull of Lorentz points, the displacement of points that have no unique one, and the exact engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from agfrun.labs.hyperbolic.geometry.points import Points
from agfrun.study.errors import UsageError

Integers = npt.NDArray[np.int64]

DISPLACEMENT = 1e-9
"""In the tangent space; separates points of one sphere."""


def lower_hull(points: Points) -> Integers:
    """(F, m + 1) corners of the facets of the lower hull of the Lorentz points, each in order.

    Few points span no facet: then all of them are one simplex. Points of one subspace or sphere have none.
    """
    from scipy.spatial import ConvexHull, QhullError  # takes a while to import

    m = points.dimension
    if len(points) <= m + 1:
        return np.arange(len(points), dtype=np.int64)[None]
    z = points.lorentz()
    try:
        hull = ConvexHull(np.column_stack([z[:, 1:], z[:, 0]]), qhull_options="Qt")
    except QhullError:
        return np.empty((0, m + 1), dtype=np.int64)
    lower = hull.equations[:, m] < 0
    return np.sort(hull.simplices[lower].astype(np.int64), axis=1)


def displaced(points: Points, size: float = DISPLACEMENT) -> Points:
    """Points moved by random tangent vectors of length about `size`, the same ones each time."""
    step = np.random.default_rng(0).normal(size=points.p.shape) * size / 2
    p = points.p + step * points.gap[:, None]
    # 1 - |p + s|^2 = gap - 2 p.s - |s|^2, which keeps the digits of the gap.
    moved = step * points.gap[:, None]
    return Points(p, points.gap - 2 * np.sum(points.p * moved, axis=1) - np.sum(moved**2, axis=1))


def require_flint() -> Any:
    """The module `flint`.

    Raises:
        UsageError: python-flint is not installed.
    """
    try:
        import flint  # an extra, where exact arithmetic is asked for
    except ImportError:
        raise UsageError("exact arithmetic needs python-flint: pip install 'agfrun[algebra]'") from None
    return flint
