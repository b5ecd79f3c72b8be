"""Extrapolated linearly implicit Euler for networks too large to factorize whole.

n steps (I - h J)(y' - y) = h f(y) of length h = step / n, for n = 1 ... 5, are extrapolated to n = infinity.
The expansion in powers of h behind it holds for any matrix J that is the same in all of them, so that the
order is 5 whatever J is; stability asks only that J holds what is stiff. In a network of neurons that is
the few large ones: neurons of a small norm relax slowly, and are as good as explicit.

P. Deuflhard, "Recent progress in extrapolation methods for ordinary differential equations", SIAM Review 27
(1985) 505-535; E. Hairer, G. Wanner, Solving ODEs II, section IV.9 (SEULEX).
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import Attempt, IntegrationStatistics, Stepper, hermite
from agfrun.labs.staircases.dynamics.linearization import Linearization

COLUMNS = 5


class PartlyStiffCoordinates(FlowCoordinates):
    """Coordinates that know which part of their Jacobian is stiff."""

    @abstractmethod
    def stiff_part(self, y: Tensor, step: float) -> Linearization:
        """What is stiff at y for a step of this length."""


class ExtrapolatedEuler(Stepper):
    """Order 5 with an error estimate of order 4; one factorization for each of the five step numbers."""

    order = COLUMNS
    sharpening = 0.3  # the error of a part that is not in J accumulates more than its estimate says

    def __init__(self, coordinates: PartlyStiffCoordinates, statistics: IntegrationStatistics) -> None:
        super().__init__(coordinates, statistics)
        self.partly_stiff = coordinates
        self.part: tuple[float, Linearization] | None = None

    def begin(self, y: Tensor, velocity: Tensor) -> None:
        """Prepare for steps from y."""
        self.y, self.velocity = y, velocity
        self.part = None

    def attempt(self, step: float) -> Attempt | None:
        """One step; None if it is longer than an e-fold of what grows fastest."""
        if self.part is None or step > self.part[0]:  # what is stiff for a longer step covers a shorter one
            self.part = (step, self.partly_stiff.stiff_part(self.y, step))
            self.statistics.jacobian_evaluations += 1
        previous: list[Tensor] = []
        for count in range(1, COLUMNS + 1):
            end = self._end(step, count, self.part[1])
            if end is None:
                return None
            row = [end]
            for column in range(1, count):  # Aitken and Neville, for steps of step / 1, step / 2, ...
                row.append(row[-1] + (row[-1] - previous[column - 1]) / (count / (count - column) - 1))
            previous = row
        return self._attempt(step, previous)

    def _end(self, step: float, count: int, part: Linearization) -> Tensor | None:
        """Where `count` linearly implicit Euler steps lead."""
        solve = part.solver(step / count)
        self.statistics.factorizations += 1
        if solve is None:
            return None
        # The velocity at the start is the same for all step numbers, and is not evaluated again.
        y = self.y + solve(self.velocity * (step / count))
        for _ in range(count - 1):
            y = y + solve(self.loss_and_velocity(y)[1] * (step / count))
        return y

    def _attempt(self, step: float, row: list[Tensor]) -> Attempt:
        """The attempt that the last row of the extrapolation table stands for, cubic between its ends."""
        y, velocity, y_new = self.y, self.velocity, row[-1]
        velocity_new: list[Tensor] = []

        def interpolant(fraction: float) -> Tensor:
            # Cubic Hermite; its slope at the end costs an evaluation, made only once somebody looks inside the step.
            if not velocity_new:
                velocity_new.append(self.loss_and_velocity(y_new)[1])
            return hermite(step, y, velocity, y_new, velocity_new[0])(fraction)

        return Attempt(y_new, row[-1] - row[-2], interpolant)
