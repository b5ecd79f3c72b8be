"""Blow-up time of a three-wave system, exactly.

On one frequency a dormant quadratic neuron obeys (AGF fact: the utility decouples over frequencies)

    u' = g conj(v) w,   v' = g conj(u) w,   w' = g u v          (phases absorbed into w).

P = |u|^2 satisfies (dP/dt)^2 = 4 g^2 (P (P - a) (P - b) - h^2) with the conserved a = |u|^2 - |v|^2,
b = |u|^2 - |w|^2 and h = Im(conj(u v) w). Hence the time to infinity is Carlson's elliptic integral R_F
of the distances of P from the cubic's roots.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import elliprf


def blow_up_time(u: complex, v: complex, w: complex, rate: float) -> float:
    """Time at which |u|, |v|, |w| become infinite; infinite if the system is at rest.

    Args:
        u, v, w: amplitudes at time 0, phases such that growth is fastest for u v = w in phase.
        rate: g >= 0.
    """
    sizes = [abs(u), abs(v), abs(w)]
    if rate == 0 or sorted(sizes)[1] == 0:
        return math.inf
    # Work in units of the largest amplitude, so that no scale underflows.
    largest = max(sizes)
    u, v, w = u / largest, v / largest, w / largest
    start, a, b = abs(u) ** 2, abs(u) ** 2 - abs(v) ** 2, abs(u) ** 2 - abs(w) ** 2
    product = (u * v).conjugate() * w
    roots = np.roots([1.0, -(a + b), a * b, -float(product.imag) ** 2]).astype(np.complex128)
    top = _largest_real(roots)
    rising = _carlson(start - roots)
    # A product out of phase first shrinks to the largest root and comes back.
    time = rising if product.real >= 0 else 2 * _carlson(top - roots, at_root=True) - rising
    return time / (rate * largest)


def _largest_real(roots: npt.NDArray[np.complex128]) -> float:
    real = roots[np.abs(roots.imag) <= 1e-9 * np.maximum(np.abs(roots), 1e-300)]
    return float(real.real.max())


def _carlson(distances: npt.NDArray[np.complex128], at_root: bool = False) -> float:
    """R_F of three distances; with `at_root` the smallest, zero but for rounding, is set to zero."""
    values = distances.copy()
    if at_root:
        values[np.argmin(np.abs(values))] = 0.0
    return float(np.real(elliprf(*values)))
