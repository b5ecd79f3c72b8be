"""SciPy's LSODA as a fall-back: an implementation that shares nothing with ours but the flow itself.

Variable-order Adams and backward differentiation formulas with automatic switching (L. Petzold, SIAM J. Sci.
Stat. Comput. 4 (1983) 136-148). Its absolute tolerance is set from the norm of each neuron at the start: a
fixed one would swamp a tiny initialization.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np
import torch
from torch import Tensor

from agfrun.dynamics.coordinates import FlowCoordinates
from agfrun.dynamics.integrate import IntegrationStatistics, Segment
from agfrun.dynamics.trajectory import FloatArray
from agfrun.errors import DivergenceError

# Taken for the velocity where there is none: a step there is refused.
WILD = 1e100


def integrate_lsoda(
    coordinates: FlowCoordinates, statistics: IntegrationStatistics, y: Tensor, start: float, end: float,
    tolerance: float,
) -> Iterator[Segment]:
    """Yield LSODA's steps from `start` to `end`.

    Raises:
        DivergenceError: the solver gives up, or the loss is not finite.
    """
    time = start
    while time < end:
        y, time = yield from _until_renewed(coordinates, statistics, y, time, end, tolerance)


def _until_renewed(
    coordinates: FlowCoordinates, statistics: IntegrationStatistics, y: Tensor, start: float, end: float,
    tolerance: float,
) -> Generator[Segment, None, tuple[Tensor, float]]:
    """Steps until the coordinates change (the method has a memory, and must start anew) or to the end."""
    from scipy.integrate import LSODA

    def velocity(_: float, point: FloatArray) -> FloatArray:
        statistics.gradient_evaluations += 1
        found = np.asarray(coordinates.loss_and_velocity(_like(point, y))[1].cpu().numpy())
        # The solver takes NaN for a good step, and a wild value for a bad one.
        return found if np.isfinite(found).all() else np.full_like(found, WILD)

    def jacobian(_: float, point: FloatArray) -> FloatArray:
        statistics.jacobian_evaluations += 1
        return np.asarray(coordinates.jacobian(_like(point, y)).cpu().numpy())

    sizes = coordinates.sizes(y).cpu().numpy()
    solver = LSODA(velocity, start, y.cpu().numpy(), end, rtol=tolerance, atol=tolerance * sizes, jac=jacobian)
    before = y
    while solver.status == "running":
        message = solver.step()
        if solver.status == "failed":
            raise DivergenceError(f"LSODA gave up at time {solver.t:.6g}: {message}")
        if solver.t <= solver.t_old * (1 + 1e-15):
            raise DivergenceError(f"integration stalled at time {solver.t:.6g}: no step is short enough")
        statistics.accepted_steps += 1
        after = _like(solver.y, y)
        loss, speed = coordinates.loss_and_velocity(after)
        if not bool(torch.isfinite(loss)):
            raise DivergenceError(f"the loss is not finite at time {solver.t:.6g}")
        begun, reached = float(solver.t_old), float(solver.t)

        interpolant = _interpolant(solver.dense_output(), begun, reached, y)
        yield Segment(begun, reached, before, after, loss, speed, interpolant)
        before = coordinates.renewed(after)
        if before is not after:
            break
    return before, float(solver.t)


def _interpolant(
    dense: Callable[[float], FloatArray], start: float, end: float, y: Tensor
) -> Callable[[float], Tensor]:
    return lambda fraction: _like(dense(start + fraction * (end - start)), y)


def _like(point: FloatArray, y: Tensor) -> Tensor:
    return torch.as_tensor(point, dtype=y.dtype, device=y.device).clone()
