"""Distances between two sets of points that stand beside the alignment score: Chamfer, Wasserstein, Hausdorff."""

from __future__ import annotations

from dataclasses import dataclass

from agfrun.labs.hyperbolic.geometry.points import Array, Points, distances

# Of one exact assignment: the matrix of distances, and O(n^3) steps.
MOST_FOR_WASSERSTEIN = 5000


@dataclass(frozen=True)
class SetDistances:
    """How far two sets are apart.

    Attributes:
        chamfer: (mean over a of min over b of d^2 + mean over b of min over a of d^2) / 2.
        wasserstein: mean distance when each point of the smaller set is given one of the larger set of its own, with
            the least sum: the first Wasserstein distance for sets of one size. None where both are too large.
        hausdorff: the largest squared distance of a point of either set from the other set.
    """

    chamfer: float
    wasserstein: float | None
    hausdorff: float


def set_distances(a: Points, b: Points, *, transport: bool = True) -> SetDistances:
    """All three for two sets of points of one space; without `transport` no Wasserstein distance."""
    between = distances(a, b)
    from_a, from_b = between.min(axis=1) ** 2, between.min(axis=0) ** 2
    return SetDistances(float(from_a.mean() + from_b.mean()) / 2, wasserstein(between) if transport else None,
                        float(max(from_a.max(), from_b.max())))


def wasserstein(between: Array) -> float | None:
    """Mean distance of the assignment of least sum, from the matrix of distances; None as in `SetDistances`."""
    from scipy.optimize import linear_sum_assignment  # takes a while to import

    if min(between.shape) > MOST_FOR_WASSERSTEIN:
        return None
    return float(between[linear_sum_assignment(between)].mean())
