"""How fast a distance shrinks: the exponent of a power law with its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

CONFIDENCE = 0.95
# Distances are read off recorded rows and found to be good to about this; noise-free points that lie on a
# curve which is not quite a power would otherwise give an interval far too narrow.
ACCURACY = 0.01


@dataclass(frozen=True)
class PowerLaw:
    """distance = prefactor * size^exponent, fitted.

    Attributes:
        exponent: the slope in logarithms, common to all groups.
        low, high: ends of its confidence interval.
        prefactor: geometric mean over the points.
        points: number of points.
        groups: number of groups, each with a prefactor of its own.
        smallest, largest: the sizes between which it was fitted.
    """

    exponent: float
    low: float
    high: float
    prefactor: float
    points: int
    groups: int
    smallest: float
    largest: float

    def covers(self, exponent: float) -> bool:
        """Whether the confidence interval contains an exponent."""
        return self.low <= exponent <= self.high


def fit_power_law(
    sizes: Sequence[float] | FloatArray, distances: Sequence[float] | FloatArray,
    groups: Sequence[object] | None = None, confidence: float = CONFIDENCE, accuracy: float = ACCURACY,
) -> PowerLaw | None:
    """Least squares in logarithms with one exponent for all groups and a prefactor for each.

    The interval is Student's, with the points' scatter taken as no less than `accuracy`; it does not know of
    a systematic departure from the power law over the range of sizes.

    Args:
        sizes: what vanishes, positive.
        distances: what shrinks with it; points that are zero, negative or not finite are left out.
        groups: a label for each point (a seed, a feature); None puts all in one group.
        confidence: of the interval.
        accuracy: smallest standard deviation of a distance, relative to it.

    Returns:
        None where the points do not determine an exponent and its interval: every group needs two sizes to count,
        and there must be two more points than groups.
    """
    x, y, labels = _logarithms(sizes, distances, groups)
    inside_x, inside_y, x, y, count = _within_groups(x, y, labels)
    spread, freedom = float(inside_x @ inside_x), len(x) - count - 1
    if freedom < 1 or spread <= 0:
        return None
    from scipy.stats import t as student

    exponent = float(inside_x @ inside_y) / spread
    residuals = inside_y - exponent * inside_x
    scatter = max(math.sqrt(float(residuals @ residuals) / freedom), accuracy)
    half_width = float(student.ppf(0.5 + confidence / 2, freedom)) * scatter / math.sqrt(spread)
    return PowerLaw(exponent, exponent - half_width, exponent + half_width, math.exp(float(np.mean(y - exponent * x))),
                    len(x), count, math.exp(float(x.min())), math.exp(float(x.max())))


def _logarithms(
    sizes: Sequence[float] | FloatArray, distances: Sequence[float] | FloatArray, groups: Sequence[object] | None
) -> tuple[FloatArray, FloatArray, list[object]]:
    """Logarithms of the points that have them, and their labels."""
    given = [None] * len(sizes) if groups is None else list(groups)
    usable = [(math.log(size), math.log(distance), group)
              for size, distance, group in zip(sizes, distances, given, strict=True)
              if math.isfinite(distance) and distance > 0]
    return np.array([x for x, _, _ in usable]), np.array([y for _, y, _ in usable]), [group for *_, group in usable]


def _within_groups(
    x: FloatArray, y: FloatArray, labels: Sequence[object]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, int]:
    """X and y less their groups' means, x and y themselves, and the number of groups; of groups that count."""
    members = [np.array([label == group for label in labels]) for group in dict.fromkeys(labels)]
    members = [member for member in members if np.ptp(x[member]) > 0]
    if not members:
        nothing = np.zeros(0)
        return nothing, nothing, nothing, nothing, 0
    centred = [(x[member] - x[member].mean(), y[member] - y[member].mean()) for member in members]
    rows = np.concatenate([np.flatnonzero(member) for member in members])
    return (np.concatenate([part for part, _ in centred]), np.concatenate([part for _, part in centred]),
            x[rows], y[rows], len(members))
