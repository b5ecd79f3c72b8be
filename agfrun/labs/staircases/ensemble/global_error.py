"""The estimate of `staircases.dynamics.global_error` for many members: the error carried along each path."""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.global_error import DROP, carried
from agfrun.labs.staircases.dynamics.linearization import Solver
from agfrun.labs.staircases.dynamics.rosenbrock import GAMMA


class EnsembleGlobalError:
    """Follows the errors along B paths.

    Args:
        initial_loss: (B,).
        y: coordinates at the start, (B, n).

    Attributes:
        time_error: largest estimated shift in time during a drop so far, relative to the time, (B,); 0 before
            the first drop.
    """

    def __init__(self, initial_loss: Tensor, y: Tensor) -> None:
        self.initial_loss = initial_loss
        self.delta = torch.zeros_like(y)
        self.time_error = torch.zeros_like(initial_loss)

    def advance(self, accepted: Tensor, solve: Solver, error: Tensor) -> None:
        """Carry the errors over the steps that were accepted (B,), whose local errors are (B, n)."""
        self.delta = torch.where(accepted[:, None], carried(self.delta, solve, GAMMA) + error, self.delta)

    def look(self, accepted: Tensor, time: Tensor, velocity: Tensor, loss_rate: Tensor) -> None:
        """Note the shifts at the ends of accepted steps where the loss is dropping; see `GlobalError.look`."""
        shift = (velocity * self.delta).sum(1).abs() / velocity.square().sum(1) / time
        dropping = accepted & (loss_rate * time >= DROP * self.initial_loss)
        self.time_error = torch.where(dropping, torch.maximum(self.time_error, shift), self.time_error)

    def restart(self, members: Tensor) -> None:
        """Forget the errors of members (C,) so far, because their coordinates have changed."""
        self.delta[members] = 0.0

    def keep(self, members: Tensor) -> None:
        """Go on with chosen members (C,) alone."""
        self.initial_loss, self.delta = self.initial_loss[members], self.delta[members]
        self.time_error = self.time_error[members]
