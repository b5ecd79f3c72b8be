"""Delaunay graphs by other algorithms, and the deterministic sets of points that tests share."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import ConvexHull, Delaunay

from agfrun.labs.hyperbolic import at_distance, points_of

Array = np.ndarray[Any, Any]
Edges = set[tuple[int, int]]


def cloud(generator: np.random.Generator, count: int, m: int, radius: float) -> Array:
    """Poincare coordinates of random points."""
    return at_distance(generator.normal(size=(count, m)), radius * generator.random(count) ** (1 / m))


def plane_set(count: int, radius: float) -> Array:
    """The deterministic set of the plane: low-discrepancy angles, radii uniform in cosh r."""
    k = np.arange(1, count + 1)
    u, v = (0.7548776662466927 * k) % 1, (0.5698402909980532 * k) % 1
    angle = 2 * np.pi * v
    return at_distance(np.column_stack([np.cos(angle), np.sin(angle)]), np.arccosh(1 + u * (np.cosh(radius) - 1)))


def space_set(count: int, radius: float) -> Array:
    """The deterministic set of space."""
    k = np.arange(1, count + 1)
    a, b, c = ((s * k) % 1 for s in (0.8191725133961645, 0.6710436067037893, 0.5497004779019703))
    z = 2 * b - 1
    across = np.sqrt(1 - z * z)
    angle = 2 * np.pi * c
    return at_distance(np.column_stack([across * np.cos(angle), across * np.sin(angle), z]), radius * a ** (1 / 3))


def edges_of(array: Array) -> Edges:
    return {(int(i), int(j)) for i, j in array}


def by_least_distance(p: Array) -> Edges:
    """Lower hull of the Lorentz points, then the least |y| over each edge's dual facet by Lawson and Hanson."""
    z = points_of(p, "poincare").lorentz()
    x, t = z[:, 1:], z[:, 0]
    m = x.shape[1]
    hull = ConvexHull(np.column_stack([x, t]), qhull_options="Qt")
    lower = hull.simplices[hull.equations[:, m] < 0]
    near: dict[int, set[int]] = {}
    for simplex in lower.tolist():
        for i, j in itertools.permutations(simplex, 2):
            near.setdefault(i, set()).add(j)
    return {(i, j) for i in near for j in near[i] if i < j and _least_square(x, t, i, j, sorted(near[i])) < 1}


def _least_square(x: Array, t: Array, a: int, b: int, neighbours: list[int]) -> float:
    d = x[b] - x[a]
    y = d * (t[b] - t[a]) / (d @ d)
    if y @ y >= 1:
        return float("inf")
    basis = np.linalg.svd(d[None])[2][1:].T
    others = [k for k in neighbours if k != b]
    normal, bound = x[a] - x[others], t[a] - t[others]
    rows = np.vstack([(normal @ basis).T, bound - normal @ y])
    # The size of a constraint changes nothing but the conditioning.
    rows = rows / np.linalg.norm(rows, axis=0)
    last = np.zeros(len(rows))
    last[-1] = 1
    residual = rows @ nnls(rows, last)[0] - last
    if np.linalg.norm(residual) < 1e-9:
        return float("inf")
    u = -residual[:-1] / residual[-1]
    return float(y @ y + u @ u)


def by_poincare_ball(p: Array) -> Edges:
    """Euclidean Delaunay edges of Poincare coordinates with a circumscribed ball inside the unit ball (H^2 alone).

    The centre runs along the Voronoi edge; |c| + |c - p| is convex there, and is searched by thirds.
    """
    triangles = Delaunay(p)
    of_edge: dict[tuple[int, int], list[int]] = {}
    ends = []
    for number, simplex in enumerate(triangles.simplices.tolist()):
        for i, j in itertools.combinations(sorted(simplex), 2):
            of_edge.setdefault((i, j), []).append(number)
    for (i, j), around in of_edge.items():
        centres = [_circumcentre(p[triangles.simplices[number]]) for number in around]
        if len(centres) == 1:
            (third,) = set(triangles.simplices[around[0]].tolist()) - {i, j}
            along = np.array([p[i][1] - p[j][1], p[j][0] - p[i][0]])
            along *= -np.sign(along @ (p[third] - p[i])) / np.linalg.norm(along)
            centres.append(centres[0] + 4 * along * (1 + np.linalg.norm(centres[0])))
        ends.append([*centres, p[i]])
    first, second, site = np.moveaxis(np.array(ends), 1, 0)
    low, high = np.zeros((len(ends), 1)), np.ones((len(ends), 1))
    for _ in range(100):
        one, two = low + (high - low) / 3, high - (high - low) / 3
        nearer = _reach(first, second, one, site) < _reach(first, second, two, site)
        low, high = np.where(nearer, low, one), np.where(nearer, two, high)
    kept = _reach(first, second, low, site)[:, 0] < 1
    return {edge for edge, keep in zip(of_edge, kept, strict=True) if keep}


def _reach(first: Array, second: Array, share: Array, site: Array) -> Array:
    centre = first + share * (second - first)
    return np.asarray(np.linalg.norm(centre, axis=1, keepdims=True)
                      + np.linalg.norm(centre - site, axis=1, keepdims=True))


def _circumcentre(corners: Array) -> Array:
    difference = corners[1:] - corners[0]
    return corners[0] + np.asarray(np.linalg.solve(2 * difference, np.sum(difference**2, axis=1)))


def by_inversion(p: Array) -> Edges:
    """The cell of each point, seen from it: half-spaces u.y <= tanh(d / 2), their dual hull, and the unit ball (H^2).

    With the point at the origin the cell is Euclidean convex in the Klein disk; a neighbour's side is kept iff some of
    it lies inside the disk.
    """
    points = points_of(p, "poincare")
    edges: Edges = set()
    for i in range(len(p)):
        seen = points.seen_from(points.of(np.array([i])))
        size = np.linalg.norm(seen.p, axis=1)
        others = [k for k in range(len(p)) if k != i]
        u, offset = seen.p[others] / size[others, None], size[others]
        for place, k in enumerate(others):
            along = np.array([-u[place, 1], u[place, 0]])
            half = np.sqrt(1 - offset[place] ** 2)
            rise, room = u @ along, offset - offset[place] * (u @ u[place])
            keep = np.arange(len(others)) != place
            high = min([half, *(room[keep & (rise > 0)] / rise[keep & (rise > 0)])])
            low = max([-half, *(room[keep & (rise < 0)] / rise[keep & (rise < 0)])])
            if low < high:
                edges.add((min(i, k), max(i, k)))
    return edges
