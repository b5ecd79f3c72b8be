"""The optimizer of gradient descent: heavy-ball momentum, step by step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates
from agfrun.labs.staircases.networks.base import Architecture

# With more numbers than this, products of matrices on several threads are all of a step's time.
LARGEST_COMPILED = 4000


class HeavyBall:
    """Neurons and velocity of the optimizer.

    The full-batch optimizer works in the moving parameters in an orthonormal basis: the steps are the same, and a
    gradient there is cheaper.
    """

    def __init__(self, architecture: Architecture, neurons: Tensor, rate: float, momentum: float,
                 batch_size: int | None, seed: int) -> None:
        self.architecture = architecture
        # A batch has its gradient in the parameters.
        self.coordinates = (architecture.descent_coordinates(neurons) if batch_size is None
                            else EuclideanCoordinates(architecture, neurons, None))
        self.y = self.coordinates.encode(neurons).clone()  # steps are taken in place, on what may be a view
        self.momentum_term = torch.zeros_like(self.y)
        self.rate, self.momentum, self.batch_size = rate, momentum, batch_size
        self.generator = torch.Generator(device="cpu").manual_seed(seed)
        self.velocity: Tensor | None = None

    def state(self) -> TrainingState:
        """Where it is between two steps."""
        return TrainingState(arrays={"y": self.y, "momentum_term": self.momentum_term,
                                     "generator": self.generator.get_state()})

    def restore(self, state: TrainingState) -> None:
        """Go on from a state."""
        self.y, self.momentum_term = state.tensor("y", self.y), state.tensor("momentum_term", self.momentum_term)
        self.generator.set_state(state.arrays["generator"])

    def kernel(self) -> Any | None:
        """The gradient written out for compiled steps; None: it is not, or too large for one thread to gain by that."""
        if self.batch_size is not None or self.y.numel() > LARGEST_COMPILED:
            return None
        return self.coordinates.gradient_kernel()

    @property
    def neurons(self) -> Tensor:
        """The network as it is now, (H, D); valid until the next step."""
        return self.coordinates.decode(self.y)

    def full_loss(self) -> float:
        """Paper loss on the full data; the gradient comes with it and is kept for the next step."""
        loss, self.velocity = self.coordinates.loss_and_velocity(self.y)
        return float(loss)

    def step(self) -> None:
        """One step."""
        if self.batch_size is not None:
            gradient = self.architecture.sampled_gradient(self.neurons, self.batch_size, self.generator)
            velocity = -gradient.reshape(-1)
        elif self.velocity is not None:
            velocity = self.velocity
        else:
            velocity = self.coordinates.loss_and_velocity(self.y)[1]
        self.velocity = None
        self.momentum_term.mul_(self.momentum).add_(velocity)
        self.y.add_(self.momentum_term, alpha=self.rate)
