"""Which transitions of a batch had a contact, judged by how far the code of the object's scene moved.

A contact moves the code across the sphere, noise moves it by a thousandth: the squared distance e = |w - w'|^2 spans
orders of magnitude. Otsu's threshold on e, which the paper takes, sits too high for that; a mixture of two Gaussians in
log e does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Distances = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ITERATIONS = 30
_SMALLEST, _LEAST_VARIANCE = 1e-8, 1e-3


def otsu_threshold(values: Distances) -> float:
    """The value up to which a batch is of the lower class: the cut that maximizes the variance between classes.

    With k of n values below the cut and class means m0 and m1: (k / n) (1 - k / n) (m0 - m1)^2, of all n - 1 cuts
    (Otsu, A threshold selection method from gray-level histograms, 1979, without his histogram).

    Args:
        values: shape (n,), at least two.
    """
    ordered = np.sort(values)
    count = len(ordered)
    below = np.arange(1, count)
    # Of centred values: the squared difference of means of large values would lose its digits.
    sums = np.cumsum(ordered - ordered.mean())
    gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / (count - below)
    return float(ordered[np.argmax(below * (count - below) * gap**2)])


def otsu(distances: Distances) -> Flags:
    """Whether each distance is above Otsu's threshold."""
    return distances > otsu_threshold(distances)


def mixture(distances: Distances) -> Flags:
    """Whether each distance belongs to the upper of two Gaussians that are fitted to log e by EM.

    Args:
        distances: shape (n,), at least 0.

    Returns:
        Where the responsibility of the Gaussian with the larger mean is at least 1/2.
    """
    values = np.log(distances + _SMALLEST)[:, None]
    means, weights = np.quantile(values, (0.25, 0.75)), np.full(2, 0.5)
    variances = np.full(2, values.var() / 4 + _LEAST_VARIANCE)
    responsibilities = _responsibilities(values, means, variances, weights)
    for _ in range(ITERATIONS):
        # A class that nothing belongs to keeps a trace, or its mean would be 0 / 0.
        counts = responsibilities.sum(0) + _SMALLEST
        means = (responsibilities * values).sum(0) / counts
        variances = (responsibilities * (values - means) ** 2).sum(0) / counts + _LEAST_VARIANCE
        weights = counts / counts.sum()
        responsibilities = _responsibilities(values, means, variances, weights)
    upper: Flags = responsibilities[:, int(np.argmax(means))] >= 0.5
    return upper


def _responsibilities(values: Distances, means: Distances, variances: Distances, weights: Distances) -> Distances:
    logarithms = np.log(weights) - 0.5 * np.log(variances) - (values - means) ** 2 / (2 * variances)
    densities = np.exp(logarithms - logarithms.max(1, keepdims=True))
    shares: Distances = densities / densities.sum(1, keepdims=True)
    return shares


SPLITTERS: dict[str, Callable[[Distances], Flags]] = {"mixture": mixture, "otsu": otsu}
