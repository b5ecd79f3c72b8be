"""An estimate of the error that an integration has accumulated, as a share of the time of a drop.

The local errors that step control sees are carried along the path by the linearized flow,

    delta_(n+1) = R(h J) delta_n + error_n,    R(z) = (1 + (1 - 2 gamma) z) / (1 - gamma z)^2,

of order 2 and bounded for every stiff direction, with the matrix that the step has factorized anyway: with
W = (I - gamma h J)^-1 it is R = (1 + c) W^2 - c W, c = (1 - 2 gamma) / gamma. The part of delta along the
velocity is a shift in time, and that is what a staircase can be wrong by: levels do not depend on it.

The local errors are those of the embedded method, one order lower than what is kept: the estimate is
cautious, by an order of magnitude.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.linearization import Solver

# Decline of the loss over an e-fold of time, as a share of what there was at first, that makes a drop.
DROP = 0.05


class GlobalError:
    """Follows the error along a path.

    Attributes:
        time_error: largest estimated shift in time during a drop so far, relative to the time; None before
            the first drop.
    """

    def __init__(self, initial_loss: float) -> None:
        self.initial_loss = initial_loss
        self.time_error: float | None = None
        self.delta: Tensor | None = None

    def advance(self, solve: Solver, gamma: float, error: Tensor) -> None:
        """Carry the error over a step.

        Args:
            solve: solves with I - gamma h J.
            error: local error of the step, (n,).
        """
        if self.delta is None:
            self.delta = error
            return
        self.delta = carried(self.delta, solve, gamma) + error

    def restart(self) -> None:
        """Forget the error so far, because coordinates have changed; what was seen of it stays."""
        self.delta = None

    def state(self) -> TrainingState:
        """The error so far."""
        return TrainingState({"initial_loss": self.initial_loss, "time_error": self.time_error},
                             {} if self.delta is None else {"delta": self.delta})

    def restore(self, state: TrainingState, like: Tensor) -> None:
        """Take up a state; `like` is the path's coordinates (n,)."""
        self.initial_loss, self.time_error = float(state.numbers["initial_loss"]), state.numbers["time_error"]
        self.delta = state.tensor("delta", like) if "delta" in state.arrays else None

    def look(self, time: float, velocity: Tensor, loss_rate: float) -> None:
        """Note the shift at the end of a step, if the loss is dropping there.

        Args:
            velocity: dy/dt, (n,).
            loss_rate: minus the loss's derivative in time.
        """
        # -dL / d(log t) is the decline over an e-fold of time.
        if self.delta is None or loss_rate * time < DROP * self.initial_loss:
            return
        # delta = shift * velocity + rest, by least squares.
        shift = float(torch.dot(velocity, self.delta) / torch.dot(velocity, velocity)) / time
        self.time_error = max(abs(shift), self.time_error or 0.0)


def carried(delta: Tensor, solve: Solver, gamma: float) -> Tensor:
    """R(h J) delta, for delta of any shape that `solve` takes."""
    # By two solves, without a product with J: an implicit step may know J only in a form to solve with.
    once, weight = solve(delta), (1 - 2 * gamma) / gamma
    return (1 + weight) * solve(once) - weight * once
