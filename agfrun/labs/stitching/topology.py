"""Topological densification: the distances at which the points of a class become connected, and a loss on them.

The Vietoris-Rips complex of n points has n - 1 finite bars in dimension 0: components die at the lengths of the edges
of a minimum spanning tree. Hofer, Graf, Niethammer & Kwitt, "Topologically densified distributions", arXiv:2002.04805,
section 3, push all of them to one value; Garcia-Castellanos et al., arXiv:2409.10967, section 4, do it in relative
representations. Gradients pass through the lengths; where distances are equal the tree is one of several, and the
gradient a subgradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.labs.stitching.names import PENALTIES, PLACEMENTS

Array = TypeVar("Array", np.ndarray[Any, Any], Tensor)

# Of `both`, arXiv:2409.10967's best: a tenth before the transform, the rest after it.
PRE_SHARE = 0.1
# Of `mix`: cosines that differ by less than those of an angle of 25 degrees from 1.
_MIX_BETA = 1 - math.cos(math.radians(25))


def h0_deaths(points: Array, metric: float = 2.0) -> Array:
    """Death times of the connected components of points: edge lengths of a minimum spanning tree, in any order.

    Args:
        points: shape (n, k), or (classes, n, k) for several sets of points at once; n at least 1.
        metric: p of the distance |x - y|_p: 1, 2, inf or any number of at least 1.

    Returns:
        Shape (n - 1,), or (classes, n - 1); an array or a tensor as the points, differentiable in torch. Takes
        O(n^2 k) operations and O(n k) memory.
    """
    given = torch.as_tensor(points)
    if given.ndim not in (2, 3) or given.shape[-2] < 1 or not metric >= 1:
        raise ValueError(f"points of the shape {tuple(given.shape)} and the metric {metric:g}: points are (n, k) or "
                         "(classes, n, k), and the metric at least 1")
    sets = given if given.ndim == 3 else given[None]
    start, end = (torch.from_numpy(one) for one in spanning_trees(sets.detach().cpu().double().numpy(), metric))
    which = torch.arange(len(sets))[:, None]
    edges = sets[which, start] - sets[which, end]
    # The gradient of the norm at 0 is not a number: two equal points are 0 apart, whatever moves.
    apart = (edges.detach() != 0).any(-1, keepdim=True)
    lengths = torch.linalg.vector_norm(torch.where(apart, edges, torch.ones_like(edges)), ord=metric, dim=-1)
    deaths = torch.where(apart[..., 0], lengths, torch.zeros_like(lengths))
    deaths = deaths if given.ndim == 3 else deaths[0]
    return deaths if isinstance(points, Tensor) else deaths.numpy()


def spanning_trees(points: npt.NDArray[np.float64], metric: float = 2.0
                   ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Edges of a minimum spanning tree of each set of points, by Prim's algorithm for all sets at once.

    Args:
        points: shape (sets, n, k).
        metric: see `h0_deaths`.

    Returns:
        The ends of the n - 1 edges, two arrays of the shape (sets, n - 1).
    """
    sets, count = points.shape[:2]
    rows = np.arange(sets)
    nearest, parent = np.full((sets, count), np.inf), np.zeros((sets, count), dtype=np.int64)
    outside = np.ones((sets, count), dtype=bool)
    start, end = (np.empty((sets, count - 1), dtype=np.int64) for _ in range(2))
    newest = np.zeros(sets, dtype=np.int64)
    for step in range(count - 1):
        outside[rows, newest] = False
        distance = _lengths(points - points[rows, newest][:, None], metric)
        closer = distance < nearest
        nearest = np.where(closer, distance, nearest)
        parent = np.where(closer, newest[:, None], parent)
        newest = np.where(outside, nearest, np.inf).argmin(1)
        start[:, step], end[:, step] = parent[rows, newest], newest
    return start, end


def _lengths(vectors: npt.NDArray[np.float64], metric: float) -> npt.NDArray[np.float64]:
    if metric == 2:
        lengths: npt.NDArray[np.float64] = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    else:  # several times slower
        lengths = np.linalg.norm(vectors, ord=metric, axis=-1)
    return lengths


def densification(points: Tensor, beta: float, metric: float = 2.0, penalty: str = "absolute") -> Tensor:
    """The loss of topological densification: over classes the mean of sum |death - beta|.

    Args:
        points: those of each class, shape (classes, n, k), n at least 3.
        beta: what death times are pushed to, in the units of the space.
        metric: of the space, see `h0_deaths`.
        penalty: of a death time d: `absolute` |d - beta|, `squared` (d - beta)^2, `hinge` max(0, d - beta).
    """
    if penalty not in PENALTIES or points.ndim != 3 or points.shape[1] < 3:
        raise ValueError(f"points of the shape {tuple(points.shape)}, penalty {penalty}: sets of at least 3 points, "
                         f"and one of {', '.join(PENALTIES)}")
    excess = h0_deaths(points, metric) - beta
    match penalty:
        case "absolute":
            costs = excess.abs()
        case "squared":
            costs = excess.square()
        case _:
            costs = excess.clamp_min(0)
    return costs.sum(1).mean()


def placed_densification(latents: Tensor, relative: Tensor, placement: str, beta: float, penalty: str = "absolute"
                         ) -> Tensor:
    """Densification before and after the transform, as `PLACEMENTS` call it.

    Args:
        latents: of each class, shape (classes, n, k).
        relative: their transforms, shape (classes, n, m).
        placement: `pre` latents alone, `post` transforms alone, `both` .1 and .9 of these; `mix` both, with
            the maximum distance and a beta of its own after the transform.
        beta: of the Euclidean distances.
        penalty: see `densification`.
    """
    match placement:
        case "pre":
            return densification(latents, beta, penalty=penalty)
        case "post":
            return densification(relative, beta, penalty=penalty)
        case "both":
            return (PRE_SHARE * densification(latents, beta, penalty=penalty)
                    + (1 - PRE_SHARE) * densification(relative, beta, penalty=penalty))
        case "mix":
            return (densification(latents, beta, penalty=penalty)
                    + densification(relative, _MIX_BETA, math.inf, penalty))
    raise ValueError(f"there is no placement {placement}: one of {', '.join(PLACEMENTS)}")


def share_near(deaths: Sequence[float] | npt.NDArray[np.float64], beta: float, within: float = 0.3) -> float:
    """Share of death times within a share of beta, from 0 to 1."""
    return float(np.mean(np.abs(np.asarray(deaths, dtype=np.float64) - beta) <= within * beta))
