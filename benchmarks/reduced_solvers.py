"""SciPy's solvers in agfrun's coordinates: the same unknowns, gradient and Jacobian as agfrun's own method has.

Where the flow is written out as machine code (`staircases.compiled`), they are given that too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.lsoda import WILD
from benchmarks.compiled_flow import compiled_flow
from benchmarks.problems import Instance
from benchmarks.reference import Array
from benchmarks.solution import Solution, Solver
from benchmarks.timing import Deadline, clock


def scipy_in_our_coordinates(method: str) -> Solver:
    """A method of `scipy.integrate` with the coordinates of the network's flow.

    Its absolute tolerance is relative to each neuron's norm at the start, as in agfrun's own use of LSODA. It starts
    anew where the coordinates change on the way.
    """

    def solve(instance: Instance, times: Array, tolerance: float, limit: float) -> Solution:
        coordinates = instance.architecture.flow_coordinates(instance.initial)
        y = coordinates.encode(instance.initial).numpy()
        run = _Run(method, coordinates, y.size, tolerance, Deadline(limit))
        run.prepare(y)
        start = clock()
        inside = [coordinates.decode(torch.from_numpy(states)) for states in run.states(y, times)]
        seconds = clock() - start
        states = torch.cat([instance.initial[None], *inside]).numpy()
        return Solution(states, seconds, run.evaluations, f"{y.size} unknowns")

    return solve


class _Run:
    """One integration."""

    def __init__(self, method: str, coordinates: FlowCoordinates, size: int, tolerance: float, deadline: Deadline
                 ) -> None:
        self.method, self.coordinates, self.tolerance, self.deadline = method, coordinates, tolerance, deadline
        self.evaluations = 0
        self.fast = compiled_flow(coordinates, size)

    def prepare(self, y: Array) -> None:
        """Compile what has to be: that is not timed."""
        if self.fast is not None:
            self.fast.loss_and_velocity(y)
            self.fast.jacobian(y)

    def states(self, y: Array, times: Array) -> Iterator[Array]:
        """Coordinates (m, n) at the times after the first, step by step, before they change."""
        time, answered = 0.0, 1
        while answered < len(times):
            solver = self._solver(y, time, float(times[-1]))
            while solver.status == "running":
                message = solver.step()
                if solver.status == "failed":
                    raise RuntimeError(message)
                reached = int(np.searchsorted(times, solver.t, side="right"))
                if reached > answered:
                    yield np.ascontiguousarray(solver.dense_output()(times[answered:reached]).T)
                    answered = reached
                renewed = self.coordinates.renewed(torch.from_numpy(solver.y)).numpy()
                if not np.shares_memory(renewed, solver.y):
                    y, time = renewed, float(solver.t)
                    break

    def _solver(self, y: Array, time: float, end: float) -> Any:
        import scipy.integrate

        sizes = self.coordinates.sizes(torch.from_numpy(y)).numpy()
        return getattr(scipy.integrate, self.method)(
            self._velocity, time, y, end, rtol=self.tolerance, atol=self.tolerance * sizes, jac=self._jacobian)

    def _velocity(self, _: float, y: Array) -> Array:
        self.deadline.check()
        self.evaluations += 1
        found = (self.coordinates.loss_and_velocity(torch.from_numpy(y))[1].numpy() if self.fast is None
                 else self.fast.loss_and_velocity(y)[1])
        # LSODA takes NaN for a good step, and a wild value for a bad one; the others know what NaN is.
        return np.full_like(found, WILD) if self.method == "LSODA" and not np.isfinite(found).all() else found

    def _jacobian(self, _: float, y: Array) -> Array:
        self.deadline.check()
        if self.fast is not None and self.fast.dense:
            return self.fast.jacobian(y)
        return self.coordinates.jacobian(torch.from_numpy(y)).numpy()
