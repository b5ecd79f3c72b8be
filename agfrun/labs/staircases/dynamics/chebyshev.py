"""Runge-Kutta-Chebyshev: a stabilized explicit method of order 2 for networks too large to factorize.

s stages are stable over a step of about 0.65 s^2 / spectral radius, so that a stiff flow costs the
square root of its stiffness in gradients and no linear algebra.

Formulas: B. P. Sommeijer, L. F. Shampine, J. G. Verwer, "RKC: an explicit solver for parabolic PDEs",
J. Comput. Appl. Math. 88 (1998) 315-326.
"""

from __future__ import annotations

import math
from functools import lru_cache

from agfrun.labs.staircases.dynamics.integrate import Attempt, hermite
from agfrun.labs.staircases.dynamics.stabilized import Stabilized

# Stable up to step * radius = 1e5; beyond, a shorter step is tried.
LARGEST_STAGE_COUNT = 400


class RungeKuttaChebyshev(Stabilized):
    """RKC of order 2, stage number chosen from an estimate of the Jacobian's spectral radius."""

    order = 3  # local errors of the method of order 2 are h^3
    sharpening = 0.1  # h^3 adds up to tolerance^(2/3), the h^5 of other methods to tolerance^(4/5)

    def stages(self, step: float) -> Attempt | None:
        """See `Stabilized.stages`."""
        # Stable up to step * radius = 0.653 (s^2 - 1), and 1.54 is a little more than 1 / 0.653.
        stages = max(2, 1 + math.ceil(math.sqrt(1 + 1.54 * step * self.radius)))
        if stages > LARGEST_STAGE_COUNT:
            return None
        y, velocity = self.y, self.velocity
        first, recurrence = chebyshev_coefficients(stages)
        before, current = y, y + (first * step) * velocity
        for own, last, second, drive, start_drive in recurrence:
            stage_velocity = self.loss_and_velocity(current)[1]
            following = (own * y + last * current + second * before
                         + (drive * step) * stage_velocity + (start_drive * step) * velocity)
            before, current = current, following
        loss, velocity_new = self.loss_and_velocity(current)
        # The paper's (12 (y - y') + 6 h (f + f')) / 15, which is h^3 y''' / 15 to leading order.
        error = 0.8 * (y - current) + (0.4 * step) * (velocity + velocity_new)
        return Attempt(current, error, hermite(step, y, velocity, current, velocity_new), reached=(loss, velocity_new))


@lru_cache(maxsize=1024)
def chebyshev_coefficients(stages: int) -> tuple[float, tuple[tuple[float, float, float, float, float], ...]]:
    """First-stage weight, and for each further stage j the weights of y_0, y_(j-1), y_(j-2), f_(j-1), f_0."""
    # The paper's w_0 with epsilon = 2/13: stiff components shrink by 5% a step; with 0 some would not.
    damped = 1 + 2 / (13 * stages**2)
    value, slope, curvature = _chebyshev_polynomials(stages, damped)
    # Its w_1, with which the stability polynomial agrees with e^z to second order.
    stretch = slope[stages] / curvature[stages]
    # The second order of every stage fixes b_j from the second on; b_0 and b_1 are free, and b_2 in the paper.
    b = [0.0, 0.0, *(curvature[j] / slope[j] ** 2 for j in range(2, stages + 1))]
    b[0] = b[1] = b[2]
    recurrence = []
    for j in range(2, stages + 1):
        # In the paper's letters mu_j, nu_j, mu~_j and gamma~_j = -a_(j-1) mu~_j, a_j = 1 - b_j T_j(w_0).
        last = 2 * b[j] * damped / b[j - 1]
        second = -b[j] / b[j - 2]
        drive = 2 * b[j] * stretch / b[j - 1]
        start_drive = -(1 - b[j - 1] * value[j - 1]) * drive
        recurrence.append((1 - last - second, last, second, drive, start_drive))
    return b[1] * stretch, tuple(recurrence)


def _chebyshev_polynomials(degree: int, x: float) -> tuple[list[float], list[float], list[float]]:
    """T_j(x), T_j'(x), T_j''(x) for j = 0 .. degree by their three-term recurrences."""
    value, slope, curvature = [1.0, x], [0.0, 1.0], [0.0, 0.0]
    for j in range(2, degree + 1):
        value.append(2 * x * value[j - 1] - value[j - 2])
        slope.append(2 * value[j - 1] + 2 * x * slope[j - 1] - slope[j - 2])
        curvature.append(4 * slope[j - 1] + 2 * x * curvature[j - 1] - curvature[j - 2])
    return value, slope, curvature
