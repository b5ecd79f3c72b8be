"""HyperDGA: how well two sets of points are mixed, by the edges of their Delaunay graph.

The score of A and B is 1 - (edges between A and B) / (edges of the hyperbolic Delaunay graph of both): 1 where no edge
joins them (Medbouhi, Marchetti, Polianskii, Kravberg, Poklukar, Varava & Kragic, "Hyperbolic Delaunay Geometric
Alignment", arXiv:2404.08608, section 4). If the labels are exchangeable its mean is exactly
1 - 2 n_A n_B / (n (n - 1)), about 1/2 for sets of one size and more otherwise, so the score is read beside that mean:
as a z-score, and as the p-value of a permutation test, for which the graph is made once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agfrun.labs.hyperbolic.geometry.delaunay import Graph, delaunay
from agfrun.labs.hyperbolic.geometry.hull import Integers
from agfrun.labs.hyperbolic.geometry.points import Points, PointsError, joined, points_of

RELABELLINGS = 999
# Labels of edges that are held at once.
_BLOCK = 20_000_000


@dataclass(frozen=True)
class Alignment:
    """The score of two sets.

    Attributes:
        score: 1 - heterogeneous / edges.
        edges, heterogeneous: edges of the graph, and of them those that join the two sets.
        null_mean, null_sd: of the score if labels are exchangeable; both exact, no sample.
        z: (score - null_mean) / null_sd; nan where the labels cannot matter.
        p_value: chance of a score at least as large if labels are exchangeable, from relabellings.
        interval: the middle 95 % of the score over bootstrap samples of the points, on the one graph.
        n_a, n_b: points of the two sets in the graph.
        graph: the graph of both, the points of b after those of a.
        labels: for each of `graph.distinct` whether it belongs to b.
        notes: what was done to the points, in words.
    """

    score: float
    edges: int
    heterogeneous: int
    null_mean: float
    null_sd: float
    z: float
    p_value: float
    interval: tuple[float, float]
    n_a: int
    n_b: int
    graph: Graph
    labels: npt.NDArray[np.bool_]
    notes: tuple[str, ...]


def alignment(a: npt.ArrayLike | Points, b: npt.ArrayLike | Points, model: str = "lorentz", *,
              relabellings: int = RELABELLINGS, seed: int = 0, exact: bool = False) -> Alignment:
    """The score of two sets, its null distribution and its interval.

    Equal points count once; one that both sets share goes to either by a coin of fixed seed, and a note says so.

    Args:
        a, b: coordinates of a model, or `Points`.
        model: of the coordinates, see `points_of`.
        relabellings: of the permutation test and of the bootstrap; 0 leaves both out (nan).
        seed: of relabellings and coins.
        exact: see `delaunay`.

    Raises:
        PointsError: the points cannot be taken, one set is empty, or both are the same points.
    """
    sets = [_set_of(name, given, model) for name, given in (("a", a), ("b", b))]
    both = joined(*sets)
    graph = delaunay(both, exact=exact)
    generator = np.random.default_rng(seed)
    labels, shared = _labels(graph, len(sets[0]), generator)
    notes = graph.notes + ((f"{shared} points are in both sets, and were given to one of them by a coin",) if shared
                           else ())
    return scored(graph, labels, generator, relabellings, notes)


def _set_of(name: str, given: npt.ArrayLike | Points, model: str) -> Points:
    if isinstance(given, Points):
        if len(given):
            return given
    elif np.size(given):
        try:
            return points_of(given, model)
        except PointsError as error:
            raise PointsError(f"set {name}: {error}") from None
    raise PointsError(f"set {name} is empty")


def _labels(graph: Graph, n_a: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
    """Whether each distinct point is of b, and how many are of both."""
    in_a, in_b = (np.isin(graph.distinct, part) for part in (graph.first[:n_a], graph.first[n_a:]))
    both = in_a & in_b
    if both.all():
        raise PointsError("both sets are the same points: there is nothing to compare")
    labels = np.where(both, generator.random(len(both)) < 0.5, in_b)
    return labels, int(both.sum())


def scored(graph: Graph, labels: npt.NDArray[np.bool_], generator: np.random.Generator, relabellings: int,
           notes: tuple[str, ...] = ()) -> Alignment:
    """The score of a graph whose `distinct` points have labels."""
    ends = np.searchsorted(graph.distinct, graph.edges)
    heterogeneous = int((labels[ends[:, 0]] != labels[ends[:, 1]]).sum())
    n, n_b, count = len(labels), int(labels.sum()), len(ends)
    if n_b in (0, n):
        raise PointsError("one of the sets has no point of its own: all are shared and fell to the other")
    score = 1 - heterogeneous / count
    mean, sd = null_moments(ends, n - n_b, n_b)
    larger, low, high = math.nan, math.nan, math.nan
    if relabellings:
        found = relabelled(ends, labels, generator, relabellings)
        larger = (1 + int((found <= heterogeneous).sum())) / (1 + relabellings)
        low, high = _interval(ends, labels, generator, relabellings)
    return Alignment(score, count, heterogeneous, mean, sd, (score - mean) / sd if sd > 0 else math.nan, larger,
                     (low, high), n - n_b, n_b, graph, labels, notes)


def null_moments(ends: Integers, n_a: int, n_b: int) -> tuple[float, float]:
    """Mean and standard deviation of the score over all relabellings, exactly.

    Two ends have different labels with the chance P = 2 n_A n_B / (n (n - 1)); both of two edges with a common end with
    P / 2, both of two disjoint ones with 4 n_A (n_A - 1) n_B (n_B - 1) / (n (n - 1) (n - 2) (n - 3)). (The join counts
    of Cliff & Ord, sampled without replacement.)
    """
    n, count = n_a + n_b, len(ends)
    one = 2 * n_a * n_b / (n * (n - 1))
    degrees = np.bincount(ends.ravel(), minlength=n).astype(np.float64)
    touching = float(np.sum(degrees * (degrees - 1)))  # ordered pairs of edges with a common end
    apart = 4 * n_a * (n_a - 1) * n_b * (n_b - 1) / max(1, n * (n - 1) * (n - 2) * (n - 3))
    square = count * one + touching * one / 2 + (count * (count - 1) - touching) * apart
    return 1 - one, math.sqrt(max(0.0, square - (count * one) ** 2)) / count


def relabelled(ends: Integers, labels: npt.NDArray[np.bool_], generator: np.random.Generator, times: int) -> Integers:
    """(times,) edges between the sets under random permutations of the labels."""
    found = []
    step = max(1, _BLOCK // max(len(ends), len(labels)))
    for first in range(0, times, step):
        drawn = np.array([generator.permutation(labels) for _ in range(min(step, times - first))])
        found.append((drawn[:, ends[:, 0]] != drawn[:, ends[:, 1]]).sum(axis=1))
    return np.concatenate(found)


def _interval(ends: Integers, labels: npt.NDArray[np.bool_], generator: np.random.Generator, times: int
              ) -> tuple[float, float]:
    """Points are drawn with replacement, within each set; an edge counts as often as both ends were drawn."""
    unequal = labels[ends[:, 0]] != labels[ends[:, 1]]
    scores = []
    for _ in range(times):
        weights = np.zeros(len(labels))
        for label in (False, True):
            own = np.flatnonzero(labels == label)
            weights += np.bincount(generator.choice(own, len(own)), minlength=len(labels))
        drawn = weights[ends[:, 0]] * weights[ends[:, 1]]
        if drawn.sum() > 0:
            scores.append(1 - float(drawn[unequal].sum() / drawn.sum()))
    low, high = np.quantile(scores, [0.025, 0.975]) if scores else (math.nan, math.nan)
    return float(low), float(high)
