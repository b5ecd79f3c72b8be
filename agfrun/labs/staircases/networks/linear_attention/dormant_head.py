"""A dormant attention head while the residual is diagonal: solved up to one integral.

Along the eigenvectors of the covariance, with drives g_i, the utility is U = v sum_i g_i K_i . Q_i and

    v' = sum_i g_i K_i . Q_i,    K_i' = v g_i Q_i,    Q_i' = v g_i K_i        (K_i, Q_i: columns, r numbers).

The modes share the clock s' = v, on which each is linear: K_i +- Q_i grow as exp(+-g_i s). As
v v' = sum_i K_i . K_i', v^2 - |K|^2 is conserved, so that v is a function of s and t = integral ds / v. With
one mode this is the three-wave system of `staircases.networks.quadratic_modadd.three_wave`, whatever the rank r.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

# Roots are found to this relative accuracy, however close to zero they are.
ROOT = {"xtol": 1e-300, "rtol": 1e-13, "maxiter": 2000}
# Squares of exp(g s) stay finite up to here; from a norm this large on, blow-up takes no more time.
LARGEST_EXPONENT = 340.0
LARGEST_NORM = 1e140
# A layer below this part of the path is thin; one below 1e-30 of it changes no digit.
THIN = 1e-3
MOST_DECADES = 30
BLOWN_UP = "the head has blown up before that time"


@dataclass(frozen=True)
class DormantHead:
    """One head at one moment, in units of `scale`.

    Attributes:
        value: v.
        keys, queries: K and Q along the eigenvectors, (r, D).
        scale: actual parameters are these times `scale`, actual times are those divided by it.
    """

    value: float
    keys: FloatArray
    queries: FloatArray
    scale: float = 1.0

    @classmethod
    def of(cls, value: float, keys: FloatArray, queries: FloatArray) -> DormantHead:
        """A head in units of its own norm."""
        norm = math.sqrt(value**2 + float((keys**2).sum() + (queries**2).sum()))
        return cls(value / norm, keys / norm, queries / norm, norm) if norm > 0 else cls(value, keys, queries)

    @classmethod
    def from_parameters(cls, parameters: FloatArray, rank: int) -> DormantHead:
        """The head of a rank with actual parameters in a row, see `parameters`."""
        return cls.of(*split(parameters, rank))

    @property
    def parameters(self) -> FloatArray:
        """Actual v, K and Q in a row, (1 + 2 r D,)."""
        return self.scale * np.concatenate([[self.value], self.keys.ravel(), self.queries.ravel()])

    @property
    def norm(self) -> float:
        """Euclidean norm of the actual parameters."""
        return self.scale * math.sqrt(self.value**2 + float((self.keys**2).sum() + (self.queries**2).sum()))

    def activation_time(self, drives: FloatArray, threshold: float) -> float:
        """Time until the norm reaches the threshold; infinite if it never does."""
        norm = threshold / self.scale if threshold < LARGEST_NORM * self.scale else LARGEST_NORM
        return _Path(self, drives).time_to_norm(norm) / self.scale

    def first_output(self, drives: FloatArray, sizes: FloatArray) -> tuple[float, int]:
        """When v K_i . Q_i first reaches the i-th of `sizes` (D,), all positive, and for which driven mode i.

        Infinite, and mode -1, if it never does.
        """
        if self.norm == 0:
            return math.inf, -1
        # Of sizes far above the norm no more is asked than that the head has blown up.
        logs = np.minimum(np.log(sizes) - 3 * math.log(self.scale), math.log(LARGEST_NORM))
        time, mode = _Path(self, drives).time_to_output(logs)
        return time / self.scale, mode

    def after(self, time: float, drives: FloatArray) -> DormantHead:
        """The head a time later.

        Raises:
            ValueError: it has blown up before.
        """
        return _Path(self, drives).at(time * self.scale)

    def turned(self, modes: list[int], axes: FloatArray) -> DormantHead:
        """The head along new axes (columns, orthonormal) in place of some of the modes."""
        keys, queries = self.keys.copy(), self.queries.copy()
        keys[:, modes], queries[:, modes] = keys[:, modes] @ axes, queries[:, modes] @ axes
        return replace(self, keys=keys, queries=queries)


def split(parameters: FloatArray, rank: int) -> tuple[float, FloatArray, FloatArray]:
    """v, and K and Q, (r, D), of parameters in a row."""
    keys, queries = parameters[1:].reshape(2, rank, -1)
    return float(parameters[0]), keys, queries


def velocity(parameters: FloatArray, rank: int, residual: FloatArray) -> FloatArray:
    """Of a head with parameters in a row, by the utility v <K^T Q, W> of any residual W, (D, D)."""
    value, keys, queries = split(parameters, rank)
    return np.concatenate([[(residual * (keys.T @ queries)).sum()], (value * queries @ residual.T).ravel(),
                           (value * keys @ residual).ravel()])


class _Path:
    """The path of a head on its clock s, mirrored if need be so that s first rises.

    It rises for ever, or up to a turning point at which v vanishes, from where it falls for ever.
    """

    def __init__(self, head: DormantHead, drives: FloatArray) -> None:
        self.head = head
        self.drives = drives
        slope = float((drives * (head.keys * head.queries).sum(0)).sum())
        self.mirror = -1.0 if head.value < 0 or (head.value == 0 and slope < 0) else 1.0
        self.value = abs(head.value)
        self.slope = self.mirror * slope
        self.rising = 0.25 * ((head.keys + self.mirror * head.queries) ** 2).sum(0)
        self.falling = 0.25 * ((head.keys - self.mirror * head.queries) ** 2).sum(0)
        self.resting = not drives.any() or (self.value == 0 and self.slope == 0)

    def speed_squared(self, s: float) -> float:
        """v^2 at clock s."""
        # v^2 - |K|^2 is conserved. Differences from the start: a head with next to no v keeps its digits.
        gained = self.rising * np.expm1(2 * self.drives * s) + self.falling * np.expm1(-2 * self.drives * s)
        return self.value**2 + float(gained.sum())

    def norm_squared(self, s: float) -> float:
        """Squared norm at clock s: |K|^2 + |Q|^2 = 2 |K|^2 up to the constants of motion."""
        # In |K|^2 + |Q|^2 the products of rising and falling parts cancel.
        return self.speed_squared(s) + 2 * float(
            (self.rising * np.exp(2 * self.drives * s) + self.falling * np.exp(-2 * self.drives * s)).sum())

    @cached_property
    def slowest(self) -> float:
        """Clock at which v^2, a convex function, is least; infinite if it falls for ever."""
        def derivative(s: float) -> float:
            return float((self.drives * (self.rising * np.exp(2 * self.drives * s)
                                         - self.falling * np.exp(-2 * self.drives * s))).sum())

        if self.slope >= 0:
            return 0.0
        end = self._first(lambda s: derivative(s) >= 0)
        return _root(derivative, 0.0, end) if math.isfinite(end) else math.inf

    @cached_property
    def turning(self) -> float:
        """Clock at which v vanishes; infinite if it never does."""
        if self.slope >= 0:
            return math.inf
        end = self.slowest if math.isfinite(self.slowest) else self._first(lambda s: self.speed_squared(s) < 0)
        if not math.isfinite(end) or self.speed_squared(end) >= 0:
            return math.inf
        return _root(self.speed_squared, 0.0, end)

    def time_to_norm(self, norm: float) -> float:
        """Time at which the norm reaches a value for the first time."""
        if self.norm_squared(0.0) >= norm**2:
            return 0.0
        if self.resting:
            return math.inf
        sign = -1.0 if math.isfinite(self.turning) else 1.0
        end = self._first(lambda s: self.norm_squared(sign * s) >= norm**2)
        if not math.isfinite(end):
            return math.inf
        target = sign * _root(lambda s: self.norm_squared(sign * s) - norm**2, 0.0, end)
        return self.time(target, returned=sign < 0)

    def time_to_output(self, log_sizes: FloatArray) -> tuple[float, int]:
        """Time at which v K_i . Q_i first reaches a size on a driven mode i, and i; (infinity, -1) if it never does."""
        returned = math.isfinite(self.turning)
        if self.resting or not (returned or math.isfinite(self.slowest)):
            return math.inf, -1
        clocks = {int(mode): self._clock_of_output(int(mode), float(log_sizes[mode]), returned)
                  for mode in np.flatnonzero(self.drives > 0)}
        mode = min(clocks, key=lambda mode: clocks[mode])
        if not math.isfinite(clocks[mode]):
            return math.inf, -1
        return self.time(-clocks[mode] if returned else clocks[mode], returned), mode

    def _clock_of_output(self, mode: int, log_size: float, returned: bool) -> float:
        """Distance from clock 0 at which v K_i . Q_i reaches a size; infinite if it never does.

        From the clock on at which v^2 is least, or on the way back, the output only grows.
        """
        sign, begin = (-1.0, 0.0) if returned else (1.0, self.slowest)

        def excess(s: float) -> float:
            # (K + Q) / 2 has grown and (K - Q) / 2 shrunk; on the way back they change roles, as v its sign.
            growth = math.exp(self.drives[mode] * sign * s)
            aligned = sign * float(self.rising[mode] * growth**2 - self.falling[mode] / growth**2)
            squared = self.speed_squared(sign * s)
            if squared <= 0 or aligned <= 0:
                return -LARGEST_EXPONENT
            return max(0.5 * math.log(squared) + math.log(aligned) - log_size, -LARGEST_EXPONENT)

        if excess(begin) >= 0:
            return begin
        end = self._first(lambda s: s > begin and excess(s) >= 0)
        return _root(excess, begin, end) if math.isfinite(end) else math.inf

    def time(self, s: float, returned: bool) -> float:
        """Time at which the clock shows s, on the way up or (`returned`) on the way back."""
        if not returned:
            return self._integral(0.0, s)
        # v^2 depends on the clock alone, so that the way back takes as long as the way there.
        return 2 * self._integral(0.0, self.turning) - self._integral(0.0, s)

    def at(self, time: float) -> DormantHead:
        """The head at a time."""
        if time == 0 or self.resting:
            return self.head
        returned = math.isfinite(self.turning) and time > self.time(self.turning, False)
        if returned:
            low = -self._first(lambda s: self.time(-s, True) >= time)
            if not math.isfinite(low):
                raise ValueError(BLOWN_UP)
            s = _root(lambda s: self.time(s, True) - time, low, self.turning)
        else:
            high = self.turning if math.isfinite(self.turning) else self._first(
                lambda s: self.time(s, False) >= time)
            if not math.isfinite(high):
                if (self.drives * self.rising).any():
                    raise ValueError(BLOWN_UP)
                # All modes have decayed, v is constant.
                return self._state(LARGEST_EXPONENT / float(self.drives.max()), 1.0)
            s = _root(lambda s: self.time(s, False) - time, 0.0, high)
        return self._state(s, -1.0 if returned else 1.0)

    def _state(self, s: float, direction: float) -> DormantHead:
        grown, shrunk = np.exp(self.drives * s), np.exp(-self.drives * s)
        total = (self.head.keys + self.mirror * self.head.queries) * grown
        difference = (self.head.keys - self.mirror * self.head.queries) * shrunk
        speed = math.sqrt(max(self.speed_squared(s), 0.0))
        return replace(self.head, value=self.mirror * direction * speed, keys=0.5 * (total + difference),
                       queries=0.5 * self.mirror * (total - difference))

    def _integral(self, start: float, end: float) -> float:
        """Integral of ds / v; the substitution takes away inverse square roots at both ends."""
        from scipy.integrate import quad

        if start == end:
            return 0.0

        def integrand(angle: float) -> float:
            s = start + (end - start) * math.sin(0.5 * angle) ** 2
            return math.sin(angle) / math.sqrt(max(self.speed_squared(s), 1e-300))

        # The full output comes without the warning that a head which all but stops would draw.
        value = quad(integrand, 0.0, math.pi, epsabs=0.0, epsrel=1e-11, limit=500, full_output=1,
                     points=self._decades(end - start) if start == 0 else None)[0]
        return 0.5 * (end - start) * float(value)

    def _decades(self, length: float) -> list[float] | None:
        """Angles to break the integral from clock 0 at, a decade of s apart, where it would miss a thin layer.

        A head with next to no v leaves its v behind within a clock of about v^2 over the slope of v^2, however
        long the path: a dip of the integrand that an adaptive rule steps over.
        """
        # Second derivative of v^2 at clock 0; the first is 2 slope.
        curvature = 4 * float((self.drives**2 * (self.rising + self.falling)).sum())
        rate = 2 * abs(self.slope) + self.value * math.sqrt(curvature)
        layer = self.value**2 / rate if rate > 0 else math.inf
        if not 0 < layer < THIN * abs(length):
            return None
        count = math.ceil(math.log10(abs(length)) - math.log10(layer))
        return [2 * math.asin(math.sqrt(10.0**-k)) for k in range(1, min(count, MOST_DECADES) + 2)]

    def _first(self, holds: Callable[[float], bool]) -> float:
        """A clock at which a condition that stays true has become true; infinite if none is in reach."""
        fastest = float(self.drives.max())
        if fastest <= 0:
            return math.inf
        s = 1e-3 / fastest
        while not holds(s):
            s *= 2
            if s * fastest > LARGEST_EXPONENT:
                return math.inf
        return s


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function changes its sign between two clocks."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, **ROOT))
