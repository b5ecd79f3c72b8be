"""Where two sets are mixed: clusters of all points, and the score's graph within each.

Delaunay component analysis (Poklukar, Polianskii, Varava, Pokorny & Kragic, "Delaunay Component Analysis for Evaluation
of Data Representations", arXiv:2202.06866) with hyperbolic graphs: clusters by HDBSCAN on hyperbolic distances; in each
the balance of the two sets and the share of edges between them. Where both are high enough a component is fundamental,
and the shares of the sets in such components are their precision and recall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfrun.labs.hyperbolic.geometry.alignment import Alignment
from agfrun.labs.hyperbolic.geometry.points import Points, PointsError, distances, joined
from agfrun.study.errors import UsageError

CONSISTENCY, QUALITY = 0.5, 0.3
"""Above both a component is fundamental."""
SMALLEST_CLUSTER = 5
MOST_POINTS = 10_000
"""Of both sets: all distances are held."""


@dataclass(frozen=True)
class Component:
    """One cluster.

    Attributes:
        n_a, n_b: points of the two sets.
        edges: edges of the graph of all points with both ends in it.
        consistency: 1 - |n_a - n_b| / (n_a + n_b).
        quality: share of its edges that join the two sets; 0 without edges.
    """

    n_a: int
    n_b: int
    edges: int
    consistency: float
    quality: float

    @property
    def fundamental(self) -> bool:
        """Whether both sets are there and mixed."""
        return self.consistency > CONSISTENCY and self.quality > QUALITY


def components(found: Alignment, a: Points, b: Points) -> list[Component]:
    """The clusters of two sets, the largest first; points that HDBSCAN calls noise are in none.

    Args:
        found: their alignment.
        a, b: the sets.

    Raises:
        UsageError: scikit-learn is not installed.
        PointsError: there are fewer points than in the smallest cluster, or too many.
    """
    try:
        from sklearn.cluster import HDBSCAN  # an extra, where components are asked for
    except ImportError:
        raise UsageError("components need scikit-learn: pip install 'agfrun[images]'") from None
    points = joined(a, b).of(found.graph.distinct)
    if not SMALLEST_CLUSTER <= len(points) <= MOST_POINTS:
        raise PointsError(f"components are of {SMALLEST_CLUSTER} to {MOST_POINTS} distinct points, not {len(points)}")
    clusters = HDBSCAN(min_cluster_size=SMALLEST_CLUSTER, metric="precomputed", allow_single_cluster=True,
                       copy=True).fit(distances(points, points)).labels_
    ends = np.searchsorted(found.graph.distinct, found.graph.edges)
    unequal = found.labels[ends[:, 0]] != found.labels[ends[:, 1]]
    made = []
    for cluster in range(int(clusters.max()) + 1):
        inside = clusters == cluster
        within = inside[ends].all(axis=1)
        n_b, edges = int(found.labels[inside].sum()), int(within.sum())
        n_a = int(inside.sum()) - n_b
        made.append(Component(n_a, n_b, edges, 1 - abs(n_a - n_b) / (n_a + n_b),
                              float(unequal[within].sum() / edges) if edges else 0.0))
    return sorted(made, key=lambda one: -(one.n_a + one.n_b))


def precision_and_recall(made: list[Component], found: Alignment) -> tuple[float, float]:
    """Shares of the second set and of the first that are in fundamental components."""
    return (sum(one.n_b for one in made if one.fundamental) / found.n_b,
            sum(one.n_a for one in made if one.fundamental) / found.n_a)
