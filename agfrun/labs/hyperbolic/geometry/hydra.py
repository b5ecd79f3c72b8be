"""Points of hyperbolic space for data without a hyperbolic model: a graph of nearest neighbours, and hydra.

Hydra (Keller-Ressel & Nargang, "Hydra: a method for strain-minimizing hyperbolic embedding of network- and
distance-based data", Journal of Complex Networks 8 (2020)): of distances D that points of H^m have, cosh D = z_0 z_0^T
- X X^T has one positive eigenvalue and m negative ones, whose eigenvectors are the coordinates on the hyperboloid. Of
other distances the leading ones are taken, in one decomposition and without training.
"""

from __future__ import annotations

import numpy as np

from agfrun.labs.hyperbolic.geometry.points import Array, Points, PointsError, at_distance, points_of

MOST_SAMPLES = 4000
"""Of one embedding: its time is that of a dense eigenvalue problem, a minute there."""
# Of the spread of the data: separates equal samples, whose neighbours would be nobody else.
_SEPARATION = 1e-6


def geodesic_distances(samples: Array, neighbours: int, seed: int = 0) -> Array:
    """(n, n) lengths of shortest paths between samples (n, d) in the graph of nearest neighbours.

    Edges of the minimum spanning tree belong to it too, so that it is connected; equal samples are separated.

    Raises:
        PointsError: there are too few samples, or too many.
    """
    from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path  # takes a while to import
    from scipy.spatial.distance import cdist

    count = len(samples)
    if not 2 <= neighbours + 1 <= count <= MOST_SAMPLES:
        raise PointsError(f"{count} samples with {neighbours} neighbours each cannot be embedded: there must be at "
                          f"least one neighbour, more samples than that and at most {MOST_SAMPLES}")
    spread = float(samples.std())
    if spread == 0:
        raise PointsError(f"all {count} samples are equal: there is nothing to embed")
    moved = samples + _SEPARATION * spread * np.random.default_rng(seed).normal(size=samples.shape)
    apart = cdist(moved, moved)
    far = np.partition(apart, neighbours, axis=1)[:, neighbours:neighbours + 1]
    near = np.where((apart <= far) | (apart <= far.T), apart, 0)
    tree = minimum_spanning_tree(apart).toarray()
    return np.asarray(shortest_path(np.maximum(near, np.maximum(tree, tree.T)), directed=False))


def hydra(between: Array, dimension: int = 2) -> Points:
    """N points of H^m from their distances (n, n); exact where they are those of such points.

    Radii are arccosh(z_0 / min(1, least z_0)): the least z_0 is below 1 only where distances are no hyperbolic ones.

    Raises:
        PointsError: fewer than m + 1 points.
    """
    count = len(between)
    if count < dimension + 1:
        raise PointsError(f"{count} points are too few for an embedding in H^{dimension}")
    values, vectors = np.linalg.eigh(np.cosh(between))
    heights = np.sqrt(values[-1]) * np.abs(vectors[:, -1])
    x = vectors[:, :dimension] * np.sqrt(np.maximum(0, -values[:dimension]))
    return points_of(at_distance(x, np.arccosh(heights / min(1.0, float(heights.min())))), "poincare")
