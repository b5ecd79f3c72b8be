"""Several steps of full-batch gradient descent as one function of tensors, which a compiler can fuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.heavy_ball import HeavyBall
from agfrun.labs.staircases.networks.base import Architecture

# To call compiled code takes as long as dozens of its operations, to compile it longer the more steps it has.
STEPS_TOGETHER = 16

# From coordinates (n,), momentum term (n,), learning rate and momentum to the first two after the steps, and
# to the coordinates (T, n) and losses (T,) before each of the T steps.
Steps = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]
Compiler = Callable[[Steps], Steps]


class UnrolledHeavyBall(HeavyBall):
    """`HeavyBall` on the full batch, computed `STEPS_TOGETHER` steps ahead; whoever uses it sees single steps.

    Args:
        compiler: makes a faster function of the same numbers, but for rounding.
    """

    def __init__(self, architecture: Architecture, neurons: Tensor, rate: float, momentum: float,
                 compiler: Compiler) -> None:
        super().__init__(architecture, neurons, rate, momentum, None, 0)
        self.take = compiler(unrolled_steps(self.coordinates.traceable(), STEPS_TOGETHER))
        self.settings = self.y.new_tensor(rate), self.y.new_tensor(momentum)
        self.place = 0
        self.ahead: tuple[Tensor, Tensor, Tensor, list[float]] | None = None
        self._look_ahead()  # compiles, before training defers interruptions

    def state(self) -> TrainingState:
        """Where the steps that are computed together began, so that they will be the same to the last bit."""
        return replace(super().state(), numbers={"place": self.place})

    def restore(self, state: TrainingState) -> None:
        """See `HeavyBall.restore`."""
        super().restore(state)
        self.place, self.ahead = int(state.numbers["place"]), None

    @property
    def neurons(self) -> Tensor:
        """See `HeavyBall.neurons`."""
        return self.coordinates.decode(self._look_ahead()[2][self.place])

    def full_loss(self) -> float:
        """See `HeavyBall.full_loss`."""
        return self._look_ahead()[3][self.place]

    def step(self) -> None:
        """See `HeavyBall.step`."""
        self.place += 1
        if self.place == STEPS_TOGETHER:
            self.y, self.momentum_term, *_ = self._look_ahead()
            self.place, self.ahead = 0, None

    def _look_ahead(self) -> tuple[Tensor, Tensor, Tensor, list[float]]:
        """What `Steps` yields from here, the losses as numbers."""
        if self.ahead is None:
            y, momentum_term, before, losses = self.take(self.y, self.momentum_term, *self.settings)
            self.ahead = y, momentum_term, before, losses.tolist()
        return self.ahead


def unrolled_steps(flow: FlowCoordinates, count: int) -> Steps:
    """So many steps of heavy-ball gradient descent along a flow, written out one after the other."""

    def steps(y: Tensor, momentum_term: Tensor, rate: Tensor, momentum: Tensor
              ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        before, losses = [], []
        for _ in range(count):
            loss, velocity = flow.loss_and_velocity(y)
            before.append(y)
            losses.append(loss)
            momentum_term = momentum * momentum_term + velocity
            y = y + rate * momentum_term
        return y, momentum_term, torch.stack(before), torch.stack(losses)

    return steps
