"""A smooth relative of the score in the hyperbolic plane: edges weighted by their Voronoi sides, with slopes.

The score counts edges, so it jumps where one flips and has no slope. Here an edge {a, b} counts with the side that the
cells of a and b share, the integral of cosh(d)^-2 along it, d the distance from a and b: what is far from both counts
little, and sides that reach the boundary are finite. A side vanishes where its edge flips, so the weighted share of
edges within the sets is continuous in the points.

With m the middle of a and b, h half their distance and u the unit normal of their geodesic, the points at equal
distance are cosh(s) m + sinh(s) u. A corner k of a triangle on the edge bounds tanh(s) by
(<a, m> - <k, m>) / <k, u>, from above where <k, u> > 0, and the integral is (upper - lower) / cosh(h)^2.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.hyperbolic.geometry.delaunay import Graph, delaunay
from agfrun.labs.hyperbolic.geometry.points import PointsError

# Of sinh(2 h)^2 and <k, u>, before they divide.
_TINY = 1e-300


def soft_alignment(a: Tensor, b: Tensor, graph: Graph | None = None) -> Tensor:
    """1 - (sides between A and B) / (all sides), a scalar with slopes in both sets.

    Of points that are equal the first stands for all, those of A before those of B.

    Args:
        a, b: (n, 3) points (t, x) of the hyperboloid, float64.
        graph: of both, the points of b after those of a; made here if it is not given.

    Raises:
        PointsError: see `delaunay`; the points are of another space than H^2.
    """
    z = torch.cat([a, b])
    if z.shape[1] != 3:
        raise PointsError(f"Voronoi sides are those of the plane H^2, not of H^{z.shape[1] - 1}")
    graph = graph or delaunay(z.detach().numpy())
    edges, weights = sides(z, graph)
    between = (edges < len(a)).sum(dim=1) == 1
    return 1 - weights[between].sum() / weights.sum()


def sides(z: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
    """(E, 2) edges of the triangles of a graph, and (E,) their weights: 0 of one that is no edge of the graph."""
    if graph.simplices.shape[1] == 2:  # two points
        edges, of, third = graph.simplices, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    else:
        every = np.concatenate([graph.simplices[:, list(pair)] for pair in ((0, 1), (0, 2), (1, 2))])
        edges, of = np.unique(every, axis=0, return_inverse=True)
        third = np.concatenate([graph.simplices[:, left] for left in (2, 1, 0)])
    index = torch.from_numpy(of.ravel())
    a, b = z[edges[:, 0]], z[edges[:, 1]]
    middle = a + b
    middle = middle / torch.sqrt(-_inner(middle, middle))[:, None]
    normal = torch.linalg.cross(a, b) * torch.tensor([-1.0, 1.0, 1.0], dtype=z.dtype)
    normal = normal / torch.sqrt(torch.clamp(_inner(normal, normal), min=_TINY))[:, None]
    reach = _inner(a, middle)  # -cosh h
    corner = z[third]
    height = _inner(corner, normal[index])
    safe = torch.where(height.abs() < _TINY, torch.full_like(height, _TINY), height)
    bound = torch.clamp((reach[index] - _inner(corner, middle[index])) / safe, -1, 1)
    ones = torch.ones_like(reach)
    upper = ones.scatter_reduce(0, index, torch.where(height > 0, bound, ones[index]), "amin")
    lower = (-ones).scatter_reduce(0, index, torch.where(height < 0, bound, -ones[index]), "amax")
    return torch.from_numpy(edges), torch.relu(upper - lower) / reach**2


def _inner(one: Tensor, other: Tensor) -> Tensor:
    """The Lorentz product of rows."""
    return (one[:, 1:] * other[:, 1:]).sum(dim=1) - one[:, 0] * other[:, 0]
