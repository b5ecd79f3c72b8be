"""SciPy's LSODA as a fall-back: an implementation that shares nothing with ours but the flow itself.

Variable-order Adams and backward differentiation formulas with automatic switching (L. Petzold, SIAM J. Sci.
Stat. Comput. 4 (1983) 136-148). Its absolute tolerance is set from the norm of each neuron at the start: a
fixed one would swamp a tiny initialization.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, Segment
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.study.errors import DivergenceError, StalledError

if TYPE_CHECKING:
    from scipy.integrate import LSODA

# Taken for the velocity where there is none: a step there is refused.
WILD = 1e100


class LsodaIntegration:
    """LSODA's steps from `start` to `end`, to be iterated over once.

    Raises:
        DivergenceError: while iterating; the solver gives up, or the loss is not finite.
    """

    def __init__(self, coordinates: FlowCoordinates, statistics: IntegrationStatistics, y: Tensor, start: float,
                 end: float, tolerance: float) -> None:
        self.coordinates, self.statistics, self.tolerance = coordinates, statistics, tolerance
        self.y, self.time, self.end = y, start, end

    def __iter__(self) -> Iterator[Segment]:
        while self.time < self.end:
            yield from self._until_renewed()

    def state(self) -> TrainingState:
        """Where it stands after the last step. The solver's own memory is left out: it starts anew from there."""
        own = TrainingState({"time": self.time, **dataclasses.asdict(self.statistics)}, {"y": self.y})
        return TrainingState.joined(own=own, coordinates=self.coordinates.state())

    def restore(self, state: TrainingState) -> None:
        """Go on from a state."""
        own = state.part("own")
        self.coordinates.restore(state.part("coordinates"))
        self.y, self.time = own.tensor("y", self.y), float(own.numbers["time"])
        self.statistics.restore(own)

    def _until_renewed(self) -> Iterator[Segment]:
        """Steps until the coordinates change (the method has a memory, and must start anew) or to the end."""
        coordinates, statistics = self.coordinates, self.statistics
        solver = self._solver()
        while solver.status == "running":
            message = solver.step()
            if solver.status == "failed":
                raise StalledError(f"LSODA gave up at time {solver.t:.6g}: {message}")
            if solver.t <= solver.t_old * (1 + 1e-15):
                raise StalledError(f"integration stalled at time {solver.t:.6g}: no step is short enough")
            statistics.accepted_steps += 1
            before, after = self.y, _like(solver.y, self.y)
            loss, speed = coordinates.loss_and_velocity(after)
            if not bool(torch.isfinite(loss)):
                raise DivergenceError(f"the loss is not finite at time {solver.t:.6g}")
            begun, reached = float(solver.t_old), float(solver.t)
            interpolant = _interpolant(solver.dense_output(), begun, reached, after)
            self.y, self.time = after, reached
            yield Segment(begun, reached, before, after, loss, speed, interpolant)
            self.y = coordinates.renewed(after)
            if self.y is not after:
                return

    def _solver(self) -> LSODA:
        """The solver at the start of a stretch."""
        from scipy.integrate import LSODA

        coordinates, statistics, start = self.coordinates, self.statistics, self.y

        def velocity(_: float, point: FloatArray) -> FloatArray:
            statistics.gradient_evaluations += 1
            found = np.asarray(coordinates.loss_and_velocity(_like(point, start))[1].cpu().numpy())
            # The solver takes NaN for a good step, and a wild value for a bad one.
            return found if np.isfinite(found).all() else np.full_like(found, WILD)

        def jacobian(_: float, point: FloatArray) -> FloatArray:
            statistics.jacobian_evaluations += 1
            return np.asarray(coordinates.jacobian(_like(point, start)).cpu().numpy())

        sizes = coordinates.sizes(start).cpu().numpy()
        return LSODA(velocity, self.time, start.cpu().numpy(), self.end, rtol=self.tolerance,
                     atol=self.tolerance * sizes, jac=jacobian)


def _interpolant(
    dense: Callable[[float], FloatArray], start: float, end: float, y: Tensor
) -> Callable[[float], Tensor]:
    return lambda fraction: _like(dense(start + fraction * (end - start)), y)


def _like(point: FloatArray, y: Tensor) -> Tensor:
    return torch.as_tensor(point, dtype=y.dtype, device=y.device).clone()
