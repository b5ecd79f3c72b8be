"""Explicit methods whose number of stages follows the stiffness: what they share, the spectral radius."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import Attempt, IntegrationStatistics, Stepper

# For a symmetric J, |J d| / |d| comes to its radius from below: the margin has to be above.
MARGIN = 1.2
# The power iteration stops once it finds no more than so much above what it had found before.
STEADY = 1.02


class Stabilized(Stepper):
    """A stabilized explicit method: steps from an estimate of the Jacobian's spectral radius.

    Attributes:
        radius: the estimate at the prepared point, with its margin.
    """

    def __init__(self, coordinates: FlowCoordinates, statistics: IntegrationStatistics) -> None:
        super().__init__(coordinates, statistics)
        self.direction: Tensor | None = None
        self.estimate = self.radius = 0.0

    def state(self) -> TrainingState:
        """What the next power iteration starts from."""
        return TrainingState({"estimate": self.estimate},
                             {} if self.direction is None else {"direction": self.direction})

    def restore(self, state: TrainingState, like: Tensor) -> None:
        """See `Stepper.restore`."""
        self.estimate = float(state.numbers["estimate"])
        self.direction = state.tensor("direction", like) if "direction" in state.arrays else None

    def begin(self, y: Tensor, velocity: Tensor) -> None:
        """Estimate the spectral radius at y."""
        self.y, self.velocity, self.tried = y, velocity, False
        self.radius = MARGIN * self._spectral_radius()

    def attempt(self, step: float) -> Attempt | None:
        """One step; None if it would take more stages than are sensible, or nobody knows how many."""
        if self.tried:  # what was refused may have been unstable
            self.radius = max(self.radius, MARGIN * self._spectral_radius())
        self.tried = True
        return self.stages(step) if math.isfinite(self.radius) else None

    @abstractmethod
    def stages(self, step: float) -> Attempt | None:
        """See `attempt`, whose radius is a number."""

    def _spectral_radius(self) -> float:
        """Nonlinear power iteration; it goes on where that of the last step stopped."""
        y, velocity = self.y, self.velocity
        if self.direction is None:
            self.direction = velocity if bool(velocity.any()) else torch.ones_like(y)
        # Near the square root of the rounding error, where rounding and truncation disturb a difference alike.
        size = 1e-7 * max(float(torch.linalg.vector_norm(y)), 1e-300)
        direction, radius = self.direction, self.estimate
        for _ in range(50):
            shift = direction * (size / torch.linalg.vector_norm(direction))
            direction = self.loss_and_velocity(y + shift)[1] - velocity
            before, radius = radius, float(torch.linalg.vector_norm(direction)) / size
            if radius <= STEADY * before or not math.isfinite(radius):
                break
        if radius > 0:
            self.direction = direction
        self.estimate = radius
        return radius
