"""Coefficients of stabilized explicit Runge-Kutta methods of order 4, for any number of stages.

The stability polynomial of s stages is R(z) = w(z) P(z), P orthogonal of degree s - 4 in the weight
w(x)^2 / sqrt(1 - x^2), so that w P ripples almost evenly on [-1, 1], which z in [-l, 0] is mapped to; w has degree 4
and two pairs of complex zeros, which make R agree with e^z to z^4. P runs by its three-term recurrence, w by four
stages that meet the four other conditions of order 4. Tables of such methods are long; here the equations are solved.

A. Abdulle, "Fourth order Chebyshev methods with recurrence relation", SIAM J. Sci. Comput. 23 (2002) 2041-2054.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

FINISHING = 4
# Numbers of stages that there are methods for: a step takes the least that is stable.
STAGE_COUNTS = (5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86, 104, 125, 150, 180)
# Largest |R| on the interval but close to 0: what is stiff shrinks by 5% a step at least.
RIPPLE = 0.95
# Length of the weights of the error estimate: with it, errors after many steps are Rosenbrock's at the same tolerance.
LENGTH_OF_ERROR = 0.1
# Where the equations are solved from, near the limit of many stages: zeros a +- ib and c +- id of w, s^2 (x_0 - 1), and
# the finishing stages a21, a31, a32, a41, a42, a43, b1, b2, b3, b4.
_ZEROS, _BEYOND = (-2.5, 1.35, -0.29, 3.6), 0.32
_FINISH = (0.3, 0.1, 0.2, 0.1, 0.1, 0.4, 0.1, 0.2, 0.2, 0.2)
# Weights in an exact step of the rooted trees of up to four nodes, t [t] [t,t] [[t]] [t,t,t] [t,[t]] [[t,t]] [[[t]]].
EXACT = np.array([1, 1 / 2, 1 / 3, 1 / 6, 1 / 4, 1 / 8, 1 / 12, 1 / 24])
_BUSHY = [2, 4, 5, 6]


@dataclass(frozen=True)
class StabilizedMethod:
    """A method of s stages and order 4, with an error estimate of order 3.

    Attributes:
        interval: l; stable where -l <= z <= 0.
        recurrence: for j = 1 ... s - 4 the factors of h f(g_(j-1)), g_(j-1) and g_(j-2) in g_j; g_0 = y.
        recurrence: for j = 1 ... s - 4 the factors of h f(g_(j-1)), g_(j-1) and g_(j-2) in g_j, g_0 = y.
        result: of these four increments in the new y's distance from g_(s-4), (4,).
        error: of these and h f at the new y in the error, (5,).
    """

    interval: float
    recurrence: tuple[tuple[float, float, float], ...]
    coupling: FloatArray
    result: FloatArray
    error: FloatArray


def interval(stages: int) -> float:
    """L of a method of s stages; 0.35 s^2 is the most there can be."""
    return 0.33 * stages**2 - 3


@lru_cache(maxsize=len(STAGE_COUNTS))
def stabilized_method(stages: int) -> StabilizedMethod:
    """The method of so many stages, at least 5."""
    from scipy.optimize import least_squares  # SciPy's optimizers take a while to import

    degree = stages - FINISHING
    start = np.array([*_ZEROS, np.log(_BEYOND / stages**2)])
    found = least_squares(lambda unknowns: _Stability(degree, unknowns).defects(), start, xtol=1e-15, ftol=1e-15,
                          gtol=1e-15)
    stability = _Stability(degree, found.x)
    recurrence = stability.recurrence()
    inner = before = np.zeros(len(EXACT))
    for drive, last, second in recurrence:
        before, inner = inner, drive * _increment(inner) + last * inner + second * before
    finish = _finish(inner, stability.weight[1:] / stability.weight[0])
    increments = _finished(finish, inner)[1]
    # Weights that leave all trees of three nodes at zero: one direction, whose length is free.
    error = np.linalg.svd(np.array([increment[:4] for increment in increments]).T)[2][-1]
    return StabilizedMethod(interval(stages), recurrence, _lower(finish), finish[6:],
                            error * (LENGTH_OF_ERROR * np.sign(error[-1])))


class _Stability:
    """R = w P for zeros (a, b, c, d) of w, a +- ib and c +- id, and log(x_0 - 1), where x_0 is the x of z = 0."""

    def __init__(self, degree: int, unknowns: FloatArray) -> None:
        a, b, c, d, beyond = unknowns
        self.degree, self.origin = degree, 1 + float(np.exp(beyond))
        self.scale = (1 + self.origin) / interval(degree + FINISHING)
        self.weight = np.convolve([a * a + b * b, -2 * a, 1], [c * c + d * d, -2 * c, 1])
        # Gauss and Chebyshev's nodes are exact for the polynomials in the recurrence's scalar products.
        nodes = np.cos((np.arange(degree + 6) + 0.5) * np.pi / (degree + 6))
        measure = self._weight(nodes) ** 2
        self.diagonal, self.beside = _orthonormal(nodes, measure / measure.sum(), degree)

    def _weight(self, x: FloatArray) -> FloatArray:
        return np.asarray(np.polynomial.polynomial.polyval((x - self.origin) / self.scale, self.weight), dtype=float)

    def taylor(self) -> FloatArray:
        """P and its derivatives by z over factorials at z = 0, up to the fourth."""
        before, value = np.zeros(5), np.array([1.0, 0, 0, 0, 0])
        for j in range(self.degree):
            following = (self.origin - self.diagonal[j]) * value - (self.beside[j - 1] if j else 0.0) * before
            following[1:] += self.scale * value[:-1]
            before, value = value, following / self.beside[j]
        return value

    def defects(self) -> FloatArray:
        """What R lacks of e^z, and its ripple of what it ought to be, (5,)."""
        around = np.convolve(self.weight, self.taylor())[:5]
        x = np.cos(np.linspace(0, np.pi, 8 * (self.degree + 4) + 1))
        before, value = np.zeros_like(x), np.ones_like(x)
        for j in range(self.degree):
            following = (x - self.diagonal[j]) * value - (self.beside[j - 1] if j else 0.0) * before
            before, value = value, following / self.beside[j]
        ripple = np.abs(value * self._weight(x)).max() / (RIPPLE * abs(around[0]))
        return np.array([*(around[1:] / around[0] - [1, 1 / 2, 1 / 6, 1 / 24]), np.log(ripple)])

    def recurrence(self) -> tuple[tuple[float, float, float], ...]:
        """See `StabilizedMethod`: the recurrence of P(z) / P(0)."""
        before, value, rows = 0.0, 1.0, []
        for j in range(self.degree):
            last = (self.origin - self.diagonal[j]) * value
            second = -(self.beside[j - 1] if j else 0.0) * before
            total = last + second
            rows.append((self.scale * value / total, last / total, second / total))
            before, value = value, total / float(self.beside[j])
        return tuple((float(drive), float(last), float(second)) for drive, last, second in rows)


def _orthonormal(nodes: FloatArray, measure: FloatArray, degree: int) -> tuple[FloatArray, FloatArray]:
    """A and b in x p_j = b_(j+1) p_(j+1) + a_j p_j + b_j p_(j-1) for a discrete measure (Stieltjes)."""
    diagonal, beside = np.zeros(degree), np.zeros(degree)
    before, value = np.zeros_like(nodes), np.ones_like(nodes)
    for j in range(degree):
        diagonal[j] = (measure * nodes * value**2).sum()
        following = (nodes - diagonal[j]) * value - (beside[j - 1] if j else 0.0) * before
        beside[j] = np.sqrt((measure * following**2).sum())
        before, value = value, following / beside[j]
    return diagonal, beside


def _increment(stage: FloatArray) -> FloatArray:
    """Weights of the trees in h f(u), given those in u - y."""
    t, tt, bush, tall = stage[:4]
    return np.array([1, t, t**2, tt, t**3, t * tt, bush, tall])


def _lower(finish: FloatArray) -> FloatArray:
    coupling = np.zeros((FINISHING, FINISHING))
    coupling[np.tril_indices(FINISHING, -1)] = finish[:6]
    return coupling


def _finished(finish: FloatArray, inner: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    """Weights of the trees in the new y, and in the four increments and that at the new y."""
    increments: list[FloatArray] = []
    for row in _lower(finish):
        increments.append(_increment(inner + sum((a * k for a, k in zip(row, increments, strict=False)), 0 * inner)))
    result = inner + finish[6:] @ np.array(increments)
    return result, [*increments, _increment(result)]


def _finish(inner: FloatArray, weight: FloatArray) -> FloatArray:
    """Finishing stages whose own stability polynomial has these coefficients of z ... z^4, and that make order 4.

    Eight equations for ten unknowns: Newton's method, each of whose steps is the shortest there is.
    """
    def defects(finish: FloatArray) -> FloatArray:
        coupling, powers = _lower(finish), [np.ones(FINISHING)]
        for _ in range(FINISHING - 1):
            powers.append(coupling @ powers[-1])
        own = np.array([finish[6:] @ power for power in powers]) - weight
        return np.concatenate([own, (_finished(finish, inner)[0] - EXACT)[_BUSHY]])

    finish, small = np.array(_FINISH), 1e-7
    for _ in range(100):
        defect = defects(finish)
        if np.abs(defect).max() < 1e-14:
            break
        slopes = [(defects(finish + small * e) - defects(finish - small * e)) / (2 * small) for e in np.eye(10)]
        change = np.linalg.lstsq(np.array(slopes).T, -defect, rcond=None)[0]
        finish = finish + change * min(1.0, 0.3 / float(np.abs(change).max()))
    return finish
