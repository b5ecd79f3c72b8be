"""The step-size control of `staircases.dynamics.integrate`, one clock for each member."""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.integrate import StepController


class EnsembleStepController:
    """`StepController` on tensors: what was accepted before and whether a step was rejected, for each member.

    Args:
        tolerance: relative error per step that is accepted.
        order: order of the error estimate.
        like: a number for each member, (B,), of the dtype and on the device to compute with.
    """

    def __init__(self, tolerance: float, order: int, like: Tensor) -> None:
        self.tolerance = tolerance
        self.order = order
        # An infinite ratio makes the trend no constraint on the second step.
        self.previous_step = torch.ones_like(like)
        self.previous_ratio = torch.full_like(like, torch.inf)
        self.rejected = torch.zeros_like(like, dtype=torch.bool)

    def accepts(self, error: Tensor) -> Tensor:
        """Which steps stand (a non-finite error never does)."""
        return error <= self.tolerance

    def next_step(self, step: Tensor, error: Tensor) -> Tensor:
        """The steps to try next after ones of length `step` with relative errors `error`, (B,) each."""
        finite = torch.isfinite(error)
        ratio = (error / self.tolerance).clamp(min=1e-10)
        factor = StepController.safety * ratio ** (-1 / self.order)
        accepted = finite & (ratio <= 1)
        trend = step / self.previous_step * (self.previous_ratio / ratio) ** (1 / self.order)
        growth = torch.where(self.rejected, 1.0, StepController.largest_growth)
        smallest = StepController.smallest_factor
        grown = torch.minimum(torch.minimum(factor, factor * trend).clamp(min=smallest), growth)
        shrunk = torch.where(finite, factor.clamp(smallest, 0.9), 0.1)
        self.previous_step = torch.where(accepted, step, self.previous_step)
        self.previous_ratio = torch.where(accepted, ratio.clamp(min=1e-4), self.previous_ratio)
        self.rejected = ~accepted
        return step * torch.where(accepted, grown, shrunk)

    def keep(self, members: Tensor) -> None:
        """Go on with chosen members (C,) alone."""
        self.previous_step = self.previous_step[members]
        self.previous_ratio = self.previous_ratio[members]
        self.rejected = self.rejected[members]
