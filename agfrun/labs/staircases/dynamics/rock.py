"""Orthogonal Runge-Kutta-Chebyshev: a stabilized explicit method of order 4 for networks too large to factorize.

s stages are stable over a step of about s^2 / 3 over the spectral radius, so that a stiff flow costs the square root of
its stiffness in gradients, and no linear algebra (A. Abdulle, SIAM J. Sci. Comput. 23 (2002) 2041-2054).
"""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.integrate import Attempt, hermite
from agfrun.labs.staircases.dynamics.rock_coefficients import STAGE_COUNTS, interval, stabilized_method
from agfrun.labs.staircases.dynamics.stabilized import Stabilized


def stage_count(stiffness: float) -> int | None:
    """The least number of stages that is stable where step times spectral radius is this; None if there is none."""
    return next((count for count in STAGE_COUNTS if interval(count) >= stiffness), None)


class Rock4(Stabilized):
    """Order 4, number of stages chosen from an estimate of the Jacobian's spectral radius."""

    order = 4  # the error is that of the embedded method of order 3, h^4

    def stages(self, step: float) -> Attempt | None:
        """See `Stabilized.stages`."""
        count = stage_count(step * self.radius)
        if count is None:
            return None
        method, y = stabilized_method(count), self.y
        before = current = y
        increment = step * self.velocity
        for j, (drive, last, second) in enumerate(method.recurrence):
            if j:
                increment = step * self.loss_and_velocity(current)[1]
            before, current = current, drive * increment + last * current + second * before
        increments: list[Tensor] = []
        for row in method.coupling:
            stage = current
            for weight, earlier in zip(row.tolist(), increments, strict=False):
                stage = stage + weight * earlier
            increments.append(step * self.loss_and_velocity(stage)[1])
        y_new = current
        for weight, earlier in zip(method.result.tolist(), increments, strict=True):
            y_new = y_new + weight * earlier
        loss, velocity = self.loss_and_velocity(y_new)
        increments.append(step * velocity)
        error = torch.zeros_like(y)
        for weight, earlier in zip(method.error.tolist(), increments, strict=True):
            error = error + weight * earlier
        return Attempt(y_new, error, hermite(step, y, self.velocity, y_new, velocity), reached=(loss, velocity))
