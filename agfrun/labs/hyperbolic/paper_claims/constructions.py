"""Two other constructions of the hyperbolic Delaunay graph, which claims compare with ours."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, Delaunay

from agfrun.labs.hyperbolic.geometry.points import Points

Edges = set[tuple[int, int]]
Array = np.ndarray[Any, Any]
_THIRDS = 100


def by_power_diagram(points: Points) -> Edges:
    """The power diagram in the Klein disk, cut with the disk (Nielsen & Nock, arXiv:0903.3287); H^2 alone.

    The cell of k is that of the site s = k / (2 sqrt(1 - |k|^2)) with the weight w = |k|^2 / (4 (1 - |k|^2)) -
    1 / sqrt(1 - |k|^2). The regular triangulation is the lower hull of (s, |s|^2 - w); a side of the diagram is a
    segment, or a ray away from the triangle, and counts iff some of it is in the disk.
    """
    k = points.klein()
    gap = points.gap / (2 - points.gap)
    gap = gap**2  # 1 - |k|^2, of which k alone has no digits near the boundary
    sites, size = k / (2 * np.sqrt(gap))[:, None], np.sum(k**2, axis=1)
    weights = size / (4 * gap) - 1 / np.sqrt(gap)
    hull = ConvexHull(np.column_stack([sites, np.sum(sites**2, axis=1) - weights]), qhull_options="Qt")
    lower = hull.equations[:, 2] < 0
    # Of a lower facet z = 2 c.s + b the vertex of the diagram is c.
    vertices = -hull.equations[lower, :2] / (2 * hull.equations[lower, 2:3])
    ends = _sides(hull.simplices[lower], vertices, sites)
    return {edge for edge, (first, second) in ends.items() if _nearest_to_origin(first, second) < 1}


def by_poincare_balls(points: Points) -> Edges:
    """Euclidean Delaunay edges of the Poincare coordinates that have an empty disk within the unit disk; H^2 alone.

    (Bogdanov, Devillers & Teillaud, Hyperbolic Delaunay complexes and Voronoi diagrams made practical, 2014.) The
    centre c runs along the Voronoi side; |c| + |c - p| is convex there, and its least value is searched by thirds.
    """
    p = points.p
    simplices = Delaunay(p).simplices
    corners = p[simplices]
    difference = corners[:, 1:] - corners[:, :1]
    vertices = corners[:, 0] + np.linalg.solve(2 * difference, np.sum(difference**2, axis=2)[..., None])[..., 0]
    sides = _sides(simplices, vertices, p)
    first, second = (np.array([side[end] for side in sides.values()]) for end in (0, 1))
    site = p[[edge[0] for edge in sides]]
    low, high = np.zeros((len(sides), 1)), np.ones((len(sides), 1))
    for _ in range(_THIRDS):
        one, two = low + (high - low) / 3, high - (high - low) / 3
        nearer = _reach(first, second, one, site) < _reach(first, second, two, site)
        low, high = np.where(nearer, low, one), np.where(nearer, two, high)
    kept = _reach(first, second, low, site)[:, 0] < 1
    return {edge for edge, keep in zip(sides, kept, strict=True) if keep}


def _sides(triangles: Array, vertices: Array, sites: Array) -> dict[tuple[int, int], tuple[Array, Array]]:
    """Of each edge of a triangulation the ends of its side of the diagram; of a ray a point far out."""
    around: dict[tuple[int, int], list[tuple[Array, int]]] = {}
    for corners, vertex in zip(triangles.tolist(), vertices, strict=True):
        for i, j in itertools.combinations(sorted(corners), 2):
            (third,) = set(corners) - {i, j}
            around.setdefault((i, j), []).append((vertex, third))
    ends = {}
    for (i, j), found in around.items():
        start, third = found[0]
        if len(found) == 2:
            ends[i, j] = (start, found[1][0])
            continue
        along = np.array([sites[i, 1] - sites[j, 1], sites[j, 0] - sites[i, 0]])
        along *= -np.sign(along @ (sites[third] - sites[i])) / np.linalg.norm(along)
        ends[i, j] = (start, start + 4 * along * (1 + np.linalg.norm(start)))
    return ends


def _nearest_to_origin(first: Array, second: Array) -> float:
    """Distance of a segment from the origin."""
    along = second - first
    share = float(np.clip(-(first @ along) / max(float(along @ along), 1e-300), 0, 1))
    return float(np.linalg.norm(first + share * along))


def _reach(first: Array, second: Array, share: Array, site: Array) -> Array:
    centre = first + share * (second - first)
    return np.asarray(np.linalg.norm(centre, axis=1, keepdims=True)
                      + np.linalg.norm(centre - site, axis=1, keepdims=True))
