"""Rodas5P for many members, each with its own time and step: what is tried together is accepted one by one.

The formulas are those of `staircases.dynamics.rosenbrock` and the loop that of `staircases.dynamics.integrate`. A
member's steps depend on nothing but the member, so that none waits for another and leaving one out changes
nothing for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.linearization import Solver
from agfrun.labs.staircases.dynamics.rosenbrock import COUPLING, DENSE, GAMMA, RESULT, STAGE, Rosenbrock
from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
from agfrun.labs.staircases.ensemble.global_error import EnsembleGlobalError
from agfrun.labs.staircases.ensemble.step_control import EnsembleStepController

STAGE_COUNT = 8
RUNNING, AT_END, STALLED, NOT_FINITE = range(4)


@dataclass(frozen=True)
class EnsembleStep:
    """One attempt of every member that is still running; B of them.

    Attributes:
        accepted: whose attempt stands, (B,).
        start, end: times, (B,).
        y_start, y_end: coordinates, (B, n).
        loss_start, loss_end: paper losses, (B,).
        increments: of the stages, (8, B, n).
        state: RUNNING, AT_END, STALLED (no step is short enough) or NOT_FINITE (nor is the loss), (B,).
    """

    accepted: Tensor
    start: Tensor
    end: Tensor
    y_start: Tensor
    y_end: Tensor
    loss_start: Tensor
    loss_end: Tensor
    increments: Tensor
    state: Tensor

    def at(self, members: Tensor, fractions: Tensor) -> Tensor:
        """Coordinates (R, n) of members (R,) at fractions (R,) of their steps."""
        increments = self.increments.index_select(1, members)
        weights = torch.tensor(DENSE, dtype=increments.dtype, device=increments.device)
        dense = (weights @ increments.flatten(1)).view(3, *increments.shape[1:])
        part = fractions[:, None]
        rest = 1 - part
        bend = dense[0] + part * (dense[1] + part * dense[2])
        return rest * self.y_start[members] + part * (self.y_end[members] + rest * bend)


class EnsembleIntegration:
    """Members on their way from time 0.

    Args:
        flow: of B members.
        y: where they start, (B, n).
        ends: when each is to stop, (B,).
        tolerance: relative error of each neuron allowed in a step.

    Attributes:
        flow, y, time, loss: of the members that are still running.
    """

    def __init__(self, flow: EnsembleFlow, y: Tensor, ends: Tensor, tolerance: float) -> None:
        self.flow, self.y, self.ends = flow, y, ends
        self.loss, self.velocity = flow.loss_and_velocity(y)
        self.time = torch.zeros_like(ends)
        tolerance = tolerance * Rosenbrock.sharpening
        self.controller = EnsembleStepController(tolerance, Rosenbrock.order, ends)
        rates = flow.relative_error(self.velocity, y, y)
        length = 0.1 * tolerance ** (1 / Rosenbrock.order)
        self.step = torch.where(rates > 0, length / rates, 1.0)
        self.global_error = EnsembleGlobalError(self.loss, y)
        self.weights = [_weights(row, y) for row in STAGE]
        self.coupling = [_weights(row, y) for row in COUPLING]
        self.result = _weights(RESULT, y)

    def attempt(self) -> EnsembleStep:
        """Try one step of every member; take those that stand."""
        self.step = torch.minimum(self.step, self.ends - self.time)
        solve, failed = self.flow.linearization(self.y).solver(self.step * GAMMA)
        increments = self._increments(solve)
        y, time, loss, step = self.y, self.time, self.loss, self.step
        y_new = y + (self.result @ increments.flatten(1)).view_as(y)
        error = torch.where(failed, torch.inf, self.flow.relative_error(increments[-1], y, y_new))
        loss_new, velocity_new = self.flow.loss_and_velocity(y_new)
        accepted = self.controller.accepts(error)
        self.step = self.controller.next_step(step, error)
        reached = torch.where(step == self.ends - time, self.ends, time + step)
        state = self._state(accepted, loss_new, reached)
        self.y = torch.where(accepted[:, None], y_new, y)
        self.velocity = torch.where(accepted[:, None], velocity_new, self.velocity)
        self.loss = torch.where(accepted, loss_new, loss)
        self.time = torch.where(accepted, reached, time)
        self.global_error.advance(accepted, solve, increments[-1])
        self.global_error.look(accepted, reached, self.velocity, (loss - loss_new) / step)
        return EnsembleStep(accepted, time, self.time, y, self.y, loss, self.loss, increments, state)

    def keep(self, members: Tensor) -> None:
        """Go on with chosen members (C,) alone."""
        self.flow = self.flow.select(members)
        self.y, self.velocity = self.y[members], self.velocity[members]
        self.loss, self.time, self.step, self.ends = (
            values[members] for values in (self.loss, self.time, self.step, self.ends))
        self.controller.keep(members)
        self.global_error.keep(members)

    def renew(self, members: list[int]) -> None:
        """Give members coordinates better suited from here on; between attempts."""
        self.y = self.flow.renewed(self.y, members)
        chosen = torch.tensor(members, device=self.y.device)
        self.velocity[chosen] = self.flow.select(chosen).loss_and_velocity(self.y[chosen])[1]
        self.global_error.restart(chosen)

    def _state(self, accepted: Tensor, loss: Tensor, reached: Tensor) -> Tensor:
        """What becomes of each member, (B,); `reached` is the time after an accepted step."""
        smallest = 1e-300 + 1e-15 * self.time
        stalled = ~accepted & (self.time + self.step <= self.time + 1e-15 * self.time) & (self.step < smallest)
        state = torch.where(accepted & (reached >= self.ends), AT_END, RUNNING)
        state = torch.where(stalled, STALLED, state)
        return torch.where(accepted & ~torch.isfinite(loss), NOT_FINITE, state)

    def _increments(self, solve: Solver) -> Tensor:
        """The stage increments (8, B, n)."""
        increments = self.y.new_empty(STAGE_COUNT, *self.y.shape)
        scale = (self.step * GAMMA)[:, None]
        increments[0] = solve(self.velocity * scale)
        for stage in range(1, STAGE_COUNT):
            done = increments[:stage].flatten(1)
            point = self.y + (self.weights[stage] @ done).view_as(self.y)
            velocity = self.flow.loss_and_velocity(point)[1]
            increments[stage] = solve(velocity * scale + GAMMA * (self.coupling[stage] @ done).view_as(self.y))
        return increments


def _weights(row: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(row, dtype=like.dtype, device=like.device)
