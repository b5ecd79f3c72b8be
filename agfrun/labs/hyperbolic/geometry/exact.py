"""The Delaunay graph with certain signs: ball arithmetic of python-flint, with more digits until every sign is known.

The lower hull is wrapped facet by facet. Let h be the height of a point above a facet's plane and b its barycentric
coordinate at the corner i, both affine; beyond the ridge opposite i lies the facet with the point of least h / -b among
those with b < 0, and none if there are no such points. Points are taken as they are given, as floats.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from agfrun.labs.hyperbolic.geometry.hull import Integers, displaced, lower_hull, require_flint
from agfrun.labs.hyperbolic.geometry.points import Points, PointsError

BITS = (256, 1024)
"""Digits that are tried; what is undecided with the last counts as a tie."""
MOST_POINTS = 2000


class TieError(ArithmeticError):
    """A sign is not known with as many digits as are allowed: points lie on one empty sphere."""


def exact_triangulation(points: Points) -> tuple[Integers, Integers, int]:
    """Corners of the facets of the lower hull, edges of the Delaunay graph, and how many ties had to be broken.

    Raises:
        PointsError: there are too many points, or floats find no facet to begin with.
        UsageError: python-flint is not installed.
    """
    flint = require_flint()
    if len(points) > MOST_POINTS:
        raise PointsError(f"{len(points)} points are too many for exact arithmetic; {MOST_POINTS} are the most")
    before = flint.ctx.prec
    try:
        for chosen, ties in ((points, 0), (displaced(points), 1)):
            for bits in BITS:
                flint.ctx.prec = bits
                try:
                    hull = _Hull(flint, chosen)
                    return hull.simplices(), hull.edges(), ties
                except TieError:
                    continue
    finally:
        flint.ctx.prec = before
    raise PointsError("points on one sphere cannot be told apart, even displaced")


class _Hull:
    """Lorentz points as balls, and what is asked of them."""

    def __init__(self, flint: Any, points: Points) -> None:
        self.flint, self.points = flint, points
        self.count, self.m = len(points), points.dimension
        x = [[flint.arb(2 * float(value)) / flint.arb(float(gap)) for value in row]
             for row, gap in zip(points.p, points.gap, strict=True)]
        self.t = [(1 + sum((value * value for value in row), flint.arb(0))).sqrt() for row in x]
        self.x = x
        self.columns = flint.arb_mat([[row[axis] for row in x] for axis in range(self.m)]
                                     + [[1] * self.count])  # (m + 1, n)

    def simplices(self) -> Integers:
        """All facets, from one on."""
        if self.count <= self.m + 1:
            self.found = [tuple(range(self.count))]
            return np.array(self.found, dtype=np.int64)
        waiting = [self._first()]
        known = set(waiting)
        while waiting:
            for facet in self._beyond(waiting.pop()):
                if facet not in known:
                    known.add(facet)
                    waiting.append(facet)
        self.found = sorted(known)
        return np.array(self.found, dtype=np.int64)

    def _first(self) -> tuple[int, ...]:
        for facet in map(tuple, lower_hull(self.points.seen_from(self.points.barycentre())).tolist()):
            _, heights = self._measured(facet)
            if all(heights[k] > 0 for k in range(self.count) if k not in facet):
                return facet
        raise TieError

    def _measured(self, facet: tuple[int, ...]) -> tuple[Any, list[Any]]:
        """Barycentric coordinates of all points, one row a corner, and their heights above the facet."""
        corners = self.flint.arb_mat([[*self.x[i], 1] for i in facet]).transpose()
        try:
            coordinates = corners.solve(self.columns)
        except ZeroDivisionError:
            raise TieError from None
        plane = self.flint.arb_mat([[self.t[i] for i in facet]]) * coordinates
        return coordinates, [self.t[k] - plane[0, k] for k in range(self.count)]

    def _beyond(self, facet: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        coordinates, heights = self._measured(facet)
        for place in range(self.m + 1):
            best, least = None, None
            for k in range(self.count):
                if k in facet or self.positive(coordinates[place, k]):
                    continue
                ratio = heights[k] / -coordinates[place, k]
                if least is None or self.positive(least - ratio):
                    best, least = k, ratio
            if best is not None:
                yield tuple(sorted((*facet[:place], *facet[place + 1:], best)))

    def positive(self, value: Any) -> bool:
        """The sign of a ball.

        Raises:
            TieError: it holds zero.
        """
        if value > 0:
            return True
        if value < 0:
            return False
        raise TieError

    def edges(self) -> Integers:
        """Edges with an empty sphere, by the filtration of `delaunay.edges_of`, of which only signs are wanted."""
        level = {simplex: self.positive(self._size(simplex)[0]) for simplex in self.found}
        while len(next(iter(level))) > 2:
            above: dict[tuple[int, ...], list[tuple[int, bool]]] = {}
            for simplex, has in level.items():
                for face in itertools.combinations(simplex, len(simplex) - 1):
                    (corner,) = set(simplex) - set(face)
                    above.setdefault(face, []).append((corner, has))
            level = {face: any(has for _, has in cofaces) or self._is_empty(face, [corner for corner, _ in cofaces])
                     for face, cofaces in above.items()}
        return np.array(sorted(edge for edge, has in level.items() if has), dtype=np.int64)

    def _is_empty(self, face: tuple[int, ...], corners: list[int]) -> bool:
        """Whether there is a smallest sphere through a face, and none of its neighbours inside."""
        value, e = self._size(face)
        return self.positive(value) and all(
            self.positive(sum(e[i] * self._excess(one, corner) for i, one in enumerate(face)) - 1)
            for corner in corners)

    def _size(self, simplex: tuple[int, ...]) -> tuple[Any, list[Any]]:
        """sinh^-2(radius) of the smallest sphere through the corners, and e."""
        matrix = self.flint.arb_mat([[self._excess(i, j) for j in simplex] for i in simplex])
        try:
            e = matrix.solve(self.flint.arb_mat(len(simplex), 1, [1] * len(simplex)))
        except ZeroDivisionError:
            raise TieError from None
        values = [e[i, 0] for i in range(len(simplex))]
        return sum(values, self.flint.arb(0)), values

    def _excess(self, i: int, j: int) -> Any:
        """Cosh of the distance, less 1."""
        if i == j:
            return self.flint.arb(0)
        return self.t[i] * self.t[j] - sum((a * b for a, b in zip(self.x[i], self.x[j], strict=True)), 1)
