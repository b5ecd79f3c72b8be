"""Blow-up time of three-wave systems, exactly.

On one frequency a dormant quadratic neuron obeys (AGF fact: the utility decouples over frequencies)

    u' = g conj(v) w,   v' = g conj(u) w,   w' = g u v          (phases absorbed into w).

P = |u|^2 satisfies (dP/dt)^2 = 4 g^2 (P (P - a) (P - b) - h^2) with the conserved a = |u|^2 - |v|^2,
b = |u|^2 - |w|^2 and h = Im(conj(u v) w). Hence the time to infinity is Carlson's elliptic integral R_F
of the distances of P from the cubic's roots.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import elliprf

ComplexArray = npt.NDArray[np.complex128]
FloatArray = npt.NDArray[np.float64]


def blow_up_time(
    u: npt.ArrayLike, v: npt.ArrayLike, w: npt.ArrayLike, rate: npt.ArrayLike
) -> FloatArray:
    """Times at which |u|, |v|, |w| become infinite; infinite for systems at rest.

    Args:
        u, v, w: amplitudes at time 0, phases such that growth is fastest for u v = w in phase; any shapes
            that broadcast together, with that of `rate`.
        rate: g >= 0.
    """
    waves = np.stack(np.broadcast_arrays(*(np.asarray(part, dtype=np.complex128) for part in (u, v, w))))
    waves, rates = np.broadcast_arrays(waves, np.asarray(rate, dtype=np.float64))
    sizes = np.sort(np.abs(waves), axis=0)
    # With two amplitudes at zero, no product drives anything.
    moving = (rates[0] > 0) & (sizes[1] > 0)
    times = np.full(moving.shape, np.inf)
    # In units of the largest amplitude no scale underflows.
    largest = sizes[2][moving]
    times[moving] = _unit_time(waves[:, moving] / largest) / (rates[0][moving] * largest)
    return times


def _unit_time(waves: ComplexArray) -> FloatArray:
    """Blow-up times at rate 1 of waves (3, N) whose largest amplitude is 1."""
    u, v, w = waves
    start = np.abs(u) ** 2
    product = np.conj(u * v) * w
    roots = _roots(start - np.abs(v) ** 2, start - np.abs(w) ** 2, product.imag**2)
    times = _carlson(start - roots)
    turning = product.real < 0  # out of phase: P first shrinks to the largest root and comes back
    if turning.any():
        kept = roots[:, turning]
        distances = _largest_real(kept) - kept
        # The root itself, zero but for rounding.
        distances[np.argmin(np.abs(distances), axis=0), np.arange(distances.shape[1])] = 0
        times[turning] = 2 * _carlson(distances) - times[turning]
    return times


def _roots(a: FloatArray, b: FloatArray, square: FloatArray) -> ComplexArray:
    """Roots (3, N) of P (P - a) (P - b) = square: eigenvalues of the companion matrices."""
    companion = np.zeros((len(a), 3, 3))
    companion[:, 0] = np.stack([a + b, -a * b, square], axis=1)
    companion[:, [1, 2], [0, 1]] = 1
    roots = np.linalg.eigvals(companion).astype(np.complex128).T
    # The roots are then known, and those of the companion matrix would be off by rounding.
    exact = square == 0
    roots[:, exact] = np.stack([np.zeros_like(a), a, b])[:, exact]
    return roots


def _largest_real(roots: ComplexArray) -> FloatArray:
    real = np.abs(roots.imag) <= 1e-9 * np.maximum(np.abs(roots), 1e-300)
    return np.asarray(np.where(real, roots.real, -np.inf).max(axis=0))


def _carlson(distances: ComplexArray) -> FloatArray:
    # R_F(x, y, z) = 1/2 int_0^inf dt / sqrt((t + x) (t + y) (t + z)), t = P - P(0). Conjugate pairs make it real.
    return np.asarray(np.real(elliprf(*distances)))
