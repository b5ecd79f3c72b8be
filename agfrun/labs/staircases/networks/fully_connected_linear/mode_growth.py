"""How modes of a linear network grow and are learned, one at a time, in closed form.

In the coordinates of mode k, a = A^T u_k and w = W v_k are vectors of one number a neuron. With the hidden vectors
p = a + w and q = a - w and dtau = (sigma - s m) dt, a mode alone moves as p e^tau and q e^-tau, so that

    m(tau) = (|p|^2 e^(2 tau) - |q|^2 e^(-2 tau)) / 4,

the curve of one coefficient of a diagonal network; t is the integral of dtau / (sigma - s m), m* = sigma / s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

# Hidden vectors below this part of what they were before projections are rounding.
RESOLUTION = 1e-12


@dataclass(frozen=True)
class HiddenVectors:
    """Hidden vectors of one mode from a moment on, over exp(log_factor).

    Attributes:
        rate: sigma, at which the growing one grows.
        size: m*, at which the mode settles.
        growing, shrinking: p and q, (H,).
        log_factor: of both.
        time: the moment.
        original: norm of `growing` before projections.
    """

    rate: float
    size: float
    growing: FloatArray
    shrinking: FloatArray
    log_factor: float
    time: float
    original: float

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left of it but rounding."""
        return float(np.linalg.norm(self.growing)) <= RESOLUTION * self.original

    @property
    def starts_large(self) -> bool:
        """Whether it begins at half of the mode's size or beyond: no step is left to take."""
        if self.time > 0 or self.original == 0:
            return False
        return 2 * (self.log_factor + math.log(self.original)) >= math.log(2 * self.size)

    @property
    def direction(self) -> FloatArray:
        """Unit vector along `growing`, (H,)."""
        return np.asarray(self.growing / np.linalg.norm(self.growing))

    def passing(self, share: float) -> float:
        """When the mode, alone, passes a share of its size, from the moment on; infinite where nothing grows."""
        if self.exhausted:
            return math.inf
        # In X = e^(2 tau) |p|^2 / (4 m*): sigma - s m = -(sigma / X) (X - upper) (X - lower).
        log_start = 2 * (self.log_factor + math.log(float(np.linalg.norm(self.growing)))) - math.log(4 * self.size)
        shrinking = float(np.linalg.norm(self.shrinking))
        decaying = math.exp(2 * self.log_factor) * shrinking**2 / (4 * self.size)
        curved = 4 * decaying * math.exp(log_start)
        upper, reached = 0.5 * (1 + math.sqrt(1 + curved)), 0.5 * (share + math.sqrt(share**2 + curved))
        if log_start >= math.log(reached):  # a step that came late found it so: it is there at once
            return self.time
        lower = -0.25 * curved / upper
        end = math.log((reached - lower) / (upper - reached))
        # log(start - lower), where both may be below the smallest float.
        start = log_start + math.log1p(decaying / upper) - math.log(upper - math.exp(log_start))
        return self.time + (end - start) / (2 * self.rate * math.sqrt(1 + curved))

    @property
    def step(self) -> float:
        """When free growth reaches the mode's size."""
        if self.exhausted:
            return math.inf
        reach = math.log(4 * self.size) / 2 - math.log(float(np.linalg.norm(self.growing))) - self.log_factor
        return self.time + reach / self.rate
