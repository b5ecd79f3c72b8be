"""The hyperbolic Delaunay graph in any dimension.

Two points are joined iff some hyperbolic ball has both on its boundary and no point inside. The Lorentz points (x, t)
are convex over x, and the faces of their lower hull are the simplices with an empty circumscribed surface <c, z> =
const: a hyperbolic sphere where c is timelike, otherwise a horosphere or an equidistant surface. An edge is kept iff
one of the surfaces that pass through it and are empty is a sphere.

Which is a question about distances alone. Let E_ij = cosh d_ij - 1 over the corners of a simplex and e = E^-1 1. The
smallest sphere through the corners has sinh^-2(radius) = S = sum(e), and is none if S <= 0; a point k is inside iff
sum_i e_i E_ik < 1. Over the empty surfaces through a simplex -<c, c> is concave, so its largest value is attained at
the simplex's own smallest sphere if no neighbour is inside, and otherwise on a simplex with one corner more: the
filtration of alpha shapes (Edelsbrunner & Mucke 1994), taken from top simplices down to edges. No frame enters, so that
boosts change nothing but the rounding of coordinates.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agfrun.labs.hyperbolic.geometry.exact import exact_triangulation
from agfrun.labs.hyperbolic.geometry.hull import DISPLACEMENT, Integers, displaced, lower_hull
from agfrun.labs.hyperbolic.geometry.points import Array, Points, PointsError, points_of
from agfrun.study.memory import available_memory, in_units

LARGEST_RADIUS = 10.0
"""Around the barycentre: beyond it what coordinates in double precision can hold decides which edges there are."""
# In units of the rounding of floats: of a Poincare coordinate, of a product.
ROUNDING = 8 * np.finfo(float).eps
# Simplices a point, for estimates: random clouds of 20,000 to 100 points had 2, 6.2, 21 and 54 in H^2 ... H^5; more
# points have more, and higher dimensions are extrapolated. Seconds a simplex of one core, between 0.6 and 6 e-5.
SIMPLICES = {2: 2.0, 3: 6.8, 4: 25.0, 5: 110.0, 6: 520.0, 7: 2700.0}
SECONDS_A_SIMPLEX = 1.5e-5
MOST_SECONDS = 3600.0


@dataclass(frozen=True)
class Graph:
    """A hyperbolic Delaunay graph.

    Attributes:
        edges: (E, 2) places of the given points, the smaller first, in order. Of duplicates the first stands for all.
        exact: whether every edge is certain: all signs that decide are beyond rounding, and no point is farther than
            `LARGEST_RADIUS` from the barycentre; or exact arithmetic was asked for.
        notes: what was done to the points and why the graph is not certain, in words.
        distinct: places of the points that are no duplicates of one before them.
        first: (n,) for each given point the place of the one that stands for it.
        simplices: (F, m + 1) places: corners of the lower hull.
        radius: largest distance from the barycentre.
    """

    edges: Integers
    exact: bool
    notes: tuple[str, ...]
    distinct: Integers
    first: Integers
    simplices: Integers = field(repr=False)
    radius: float = 0.0


def delaunay(points: npt.ArrayLike | Points, model: str = "lorentz", *, exact: bool = False) -> Graph:
    """The hyperbolic Delaunay graph of points in H^m, m >= 2.

    Args:
        points: (n, m + 1) on the hyperboloid, first coordinate first, or (n, m) in another model; or `Points`.
        model: of the coordinates, one of `points.MODELS`.
        exact: decide all signs in ball arithmetic (python-flint), for some hundred points at any radius.

    Raises:
        PointsError: they are no points of the model, are all equal, or too many for memory and an hour.
        UsageError: `exact` without python-flint.
    """
    shape = np.shape(points.p if isinstance(points, Points) else points)
    if len(shape) == 2:
        check_size(shape[0], shape[1] - (model == "lorentz" and not isinstance(points, Points)))
    given = points if isinstance(points, Points) else points_of(points, model)
    distinct, first = merged(given)
    notes = [f"{len(given) - len(distinct)} duplicates merged"] if len(distinct) < len(given) else []
    if len(distinct) < 2:
        raise PointsError(f"all {len(given)} points are equal: there is no graph of one point")
    chosen = given.of(distinct)
    centred = chosen.seen_from(chosen.barycentre())
    radius = float(centred.radii().max())
    if exact:
        simplices, edges, ties = exact_triangulation(chosen)
        certain = True
        if ties:
            notes.append(f"ties of points on one empty sphere, broken by a displacement of {DISPLACEMENT:g}")
    else:
        simplices, edges, certain, more = _in_floats(chosen, centred, radius)
        notes += more
    return Graph(distinct[edges], certain, tuple(notes), distinct, first, distinct[simplices], radius)


def _in_floats(chosen: Points, centred: Points, radius: float) -> tuple[Integers, Integers, bool, list[str]]:
    """Simplices, edges, whether they are certain, and notes."""
    notes = []
    simplices = lower_hull(centred)
    sure, ties = _locally_convex(simplices, chosen, centred) if len(simplices) else (False, 1)
    if ties:
        what = "ties of points on one empty sphere" if len(simplices) else "set in a geodesic subspace or on one sphere"
        notes.append(f"{ties} {what}, broken by a displacement of {DISPLACEMENT:g}")
        chosen = displaced(chosen)
        centred = chosen.seen_from(chosen.barycentre())
        simplices = lower_hull(centred)
        if not len(simplices):
            raise PointsError(f"the {len(chosen)} points lie in a geodesic subspace or on one sphere, and are so near "
                              "to one another that floats cannot displace them")
        sure, _ = _locally_convex(simplices, chosen, centred)
    edges, signs_sure = edges_of(simplices, chosen)
    if radius > LARGEST_RADIUS:
        notes.append(f"beyond double precision: radius {radius:.1f} about the centre, above {LARGEST_RADIUS:g}")
    elif not (sure and signs_sure):
        notes.append("beyond double precision: some signs are not certain (exact=True decides them)")
    return simplices, edges, sure and signs_sure and radius <= LARGEST_RADIUS, notes


def merged(points: Points) -> tuple[Integers, Integers]:
    """Places of the first of all equal points, in order; and for each point the place of the one that stands for it."""
    # A sign of zero is no difference.
    _, first, inverse = np.unique(points.p + 0.0, axis=0, return_index=True, return_inverse=True)
    return np.sort(first).astype(np.int64), first[inverse.ravel()].astype(np.int64)


def check_size(count: int, dimension: int) -> None:
    """Refuse more points than memory and an hour suffice for, in one line.

    Raises:
        PointsError: they do not.
    """
    simplices = count * SIMPLICES.get(dimension, 2700.0 * 5.5 ** (dimension - 7))
    needed = simplices * 8 * (dimension + 1) * (dimension + 4) * 4
    seconds, available = simplices * SECONDS_A_SIMPLEX, available_memory()
    if (available is not None and needed > available) or seconds > MOST_SECONDS:
        raise PointsError(f"{count} points in H^{dimension} are too many: about {simplices:.2g} simplices, "
                          f"{in_units(needed)} of memory and {seconds:.3g} s of one core; "
                          + (f"{in_units(available)} are available" if available is not None else "an hour is allowed")
                          + "; take a random part of them")


def _solved(excess: Array) -> Array:
    """E = E^-1 1 for stacked matrices (..., k, k); of one that is singular infinite numbers."""
    ones = np.ones((*excess.shape[:-1], 1))
    try:
        return np.asarray(np.linalg.solve(excess, ones)[..., 0])
    except np.linalg.LinAlgError:
        scale = np.finfo(float).eps * excess.max(axis=(-2, -1), keepdims=True)
        return np.asarray(np.linalg.solve(excess + scale * np.eye(excess.shape[-1]), ones)[..., 0])


def _matrices(simplices: Integers, points: Points) -> tuple[Array, Array]:
    """Cosh d - 1 between corners, (F, k, k), and how far rounding may have moved each."""
    i, j = simplices[:, :, None], simplices[:, None, :]
    size = np.sqrt(np.sum((points.p[i] - points.p[j]) ** 2, axis=-1))
    scale = 2 / (points.gap[i] * points.gap[j])
    return scale * size**2, ROUNDING * scale * size * (size + 1)


def _locally_convex(simplices: Integers, points: Points, centred: Points) -> tuple[bool, int]:
    """Whether the triangulation is certainly the lower hull, and how many pairs of simplices have one sphere.

    A piecewise linear function over a convex region is convex iff it is so across every ridge. Which side is below is
    that of the frame of the hull, `centred`; all else is measured as the points were given.
    """
    count, corners = simplices.shape
    if len(points) <= corners:
        return True, 0
    ridges = np.concatenate([np.delete(simplices, drop, axis=1) for drop in range(corners)])
    order = np.lexsort(ridges.T[::-1])
    same = np.flatnonzero((ridges[order][1:] == ridges[order][:-1]).all(axis=1))
    one, other = order[same], order[same + 1]
    facet = one % count
    opposite = simplices[other % count, other // count]
    excess, error = _matrices(simplices, points)
    e = _solved(excess)
    sign = np.sign(np.sum(e * (2 / centred.gap[simplices] - 1), axis=1))  # of the surface's normal along t
    to = np.sqrt(np.sum((points.p[simplices[facet]] - points.p[opposite][:, None]) ** 2, axis=-1))
    scale = 2 / (points.gap[simplices[facet]] * points.gap[opposite][:, None])
    column, column_error = scale * to**2, ROUNDING * scale * to * (to + 1)
    height = sign[facet] * (np.sum(e[facet] * column, axis=1) - 1)
    weights = np.abs(np.linalg.solve(excess[facet], column[..., None])[..., 0])
    size = np.abs(e[facet])
    bound = np.sum(size * column_error, axis=1) + np.einsum("fi,fij,fj->f", size, error[facet], weights) + ROUNDING
    return bool((height > bound).all()), int((np.abs(height) <= bound).sum())


def edges_of(simplices: Integers, points: Points) -> tuple[Integers, bool]:
    """The edges with an empty hyperbolic sphere, and whether all signs that decide are beyond rounding."""
    corners = simplices.shape[1]
    excess, error = _matrices(simplices, points)
    e = _solved(excess)
    value = e.sum(axis=1)
    bound = np.einsum("fi,fij,fj->f", np.abs(e), error, np.abs(e))
    pairs = np.array(list(itertools.combinations(range(corners), 2)))
    every = simplices[:, pairs].reshape(-1, 2)
    edges, place = np.unique(every[:, 0] * len(points) + every[:, 1], return_inverse=True)
    kept = np.zeros(len(edges), dtype=bool)
    known = np.zeros(len(edges), dtype=bool)
    place = place.reshape(len(simplices), -1)
    kept[place[value > 0].ravel()] = True
    known[place[value > bound].ravel()] = True
    open_ones = ~kept[place].all(axis=1)
    if open_ones.any():
        values, bounds = _largest_of_edges(simplices[open_ones], value[open_ones], bound[open_ones], points)
        found = np.searchsorted(edges, values[0])
        kept[found] |= values[1] > 0
        known[found] |= np.abs(values[1]) > bounds
    pairs_found = np.column_stack([edges // len(points), edges % len(points)])[kept]
    return pairs_found, bool(known.all())


def _largest_of_edges(simplices: Integers, value: Array, bound: Array, points: Points
                      ) -> tuple[tuple[Integers, Array], Array]:
    """For each edge of some top simplices the largest sinh^-2(radius) of an empty sphere through it, and its rounding.

    An edge of which not all simplices are given has one that is kept already, and its value here may be too small.

    Returns:
        The edges, as first place times number of points plus second, with their values; and bounds.
    """
    while simplices.shape[1] > 2:
        size = simplices.shape[1] - 1
        faces = np.concatenate([np.delete(simplices, drop, axis=1) for drop in range(size + 1)])
        opposite = np.concatenate([simplices[:, drop] for drop in range(size + 1)])
        faces, of = np.unique(faces, axis=0, return_inverse=True)
        of = of.ravel()
        excess, error = _matrices(faces, points)
        e = _solved(excess)
        own, own_bound = e.sum(axis=1), np.einsum("fi,fij,fj->f", np.abs(e), error, np.abs(e))
        inside = np.sum(e[of] * points.excess(faces[of], opposite[:, None]), axis=1) < 1
        best, best_bound = np.full(len(faces), -np.inf), np.zeros(len(faces))
        above = np.tile(value, size + 1)
        order = np.argsort(above, kind="stable")
        best[of[order]], best_bound[of[order]] = above[order], np.tile(bound, size + 1)[order]
        blocked = np.zeros(len(faces), dtype=bool)
        blocked[of[inside]] = True
        # A face whose own smallest sphere is none has no larger one above it.
        empty = ~blocked | (own <= 0)
        value, bound = np.where(empty, own, best), np.where(empty, own_bound, best_bound)
        simplices = faces
    return (simplices[:, 0] * len(points) + simplices[:, 1], value), bound
