"""An integration by compiled steps, with the interface and the states of `dynamics.integrate.Integration`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.compiled import growth, rodas
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, Segment, Stretch, first_step
from agfrun.labs.staircases.dynamics.rosenbrock import RESULT, Rosenbrock, interpolant
from agfrun.labs.staircases.dynamics.sampling import FINEST_SAMPLING
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.study.errors import DivergenceError, StalledError

# So many steps at a time are worth a call, and leave Ctrl-C and progress waiting for milliseconds.
STEPS_TOGETHER = 64
ROWS_TOGETHER = 4 * FINEST_SAMPLING


class CompiledIntegration:
    """Steps of Rodas5P from `start` to `end` in coordinates that have a kernel, to be iterated over once.

    Args:
        goal: loss at which the integration ends.
        estimate_error: follow the global error (two more solves a step).

    Raises:
        DivergenceError: while iterating; the start is not finite, or no step is short enough to be accepted.
    """

    def __init__(
        self, coordinates: FlowCoordinates, kernel: Any, statistics: IntegrationStatistics, y: Tensor, start: float,
        end: float, tolerance: float, goal: float = -math.inf, estimate_error: bool = False,
    ) -> None:
        self.coordinates, self.kernel, self.statistics = coordinates, kernel, statistics
        self.end, self.tolerance, self.goal, self.estimates = end, tolerance, goal, estimate_error
        self._y = y.numpy().copy()
        self.velocity, self.error = np.zeros_like(self._y), np.zeros_like(self._y)
        # A kernel that says how wide a neuron is wants growth made straight.
        width = getattr(kernel, "width", None)
        self.growth = None if width is None else np.zeros((growth.ROWS, len(self._y) // width))
        self.numbers, self.counts = np.full(rodas.NUMBERS, -1.0), np.zeros(rodas.COUNTS, np.int64)
        self.numbers[rodas.TIME] = start
        self.has_begun = False

    @property
    def y(self) -> Tensor:
        """Coordinates where it stands, (n,)."""
        return torch.from_numpy(self._y)

    def __iter__(self) -> Iterator[Stretch]:
        if not self.has_begun:
            self._begin()
        while True:
            times, losses = np.empty(ROWS_TOGETHER), np.empty(ROWS_TOGETHER)
            states, increments = np.empty((ROWS_TOGETHER, len(self._y))), np.empty((rodas.STAGES, len(self._y)))
            status, filled = self._advance(STEPS_TOGETHER, increments, times, losses, states)
            if filled:
                yield Stretch(times[:filled].tolist(), losses[:filled].tolist(), torch.from_numpy(states[:filled]))
            if not self._goes_on(status):
                return

    def segments(self) -> Iterator[Segment]:
        """Step by step, each with the path between its ends."""
        if not self.has_begun:
            self._begin()
        nothing = np.empty(0)
        while True:
            start, y = float(self.numbers[rodas.TIME]), self.y.clone()
            increments = np.empty((rodas.STAGES, len(self._y)))
            status, _ = self._advance(1, increments, nothing, nothing, nothing.reshape(0, len(self._y)))
            end = float(self.numbers[rodas.TIME])
            if end > start and status != rodas.NOT_FINITE:
                y_new, velocity = self.y.clone(), torch.from_numpy(self.velocity.copy())
                yield Segment(start, end, y, y_new, torch.tensor(self.numbers[rodas.LOSS]), velocity,
                              self._path(y, y_new, torch.from_numpy(increments), end - start))
            if not self._goes_on(status):
                return

    def _path(self, y: Tensor, y_new: Tensor, increments: Tensor, lapse: float) -> Callable[[float], Tensor]:
        """The path of the last step from y to y_new (n,), by the fraction of the time that it took."""
        if self.growth is None:
            return interpolant(y, y_new, increments)
        scaled = interpolant(y, y + torch.tensor(RESULT, dtype=torch.float64) @ increments, increments)
        warp, gauge = float(self.numbers[rodas.WARP]), torch.from_numpy(self.growth[growth.GAUGE].copy())
        length = growth.length(lapse, warp)

        def at(fraction: float) -> Tensor:
            passed = growth.length(fraction * lapse, warp)
            inside = scaled(passed / length).view(len(gauge), -1)
            return (inside * torch.exp(gauge * passed)[:, None]).view(-1)

        return at

    def state(self) -> TrainingState:
        """Where it stands after the last stretch that was yielded; see `Integration.state`."""
        numbers, counts = self.numbers, self.counts
        previous = numbers[rodas.PREVIOUS_STEP], numbers[rodas.PREVIOUS_RATIO]
        stepper = TrainingState() if self.growth is None else TrainingState(
            {"lapse": float(numbers[rodas.LAPSE]), "settled": bool(counts[rodas.HAS_SETTLED])},
            {"rates": torch.from_numpy(self.growth[growth.PREVIOUS_RATE].copy())})
        own = TrainingState(
            {"time": float(numbers[rodas.TIME]), "step": float(numbers[rodas.STEP]),
             "previous": None if previous[0] < 0 else (float(previous[0]), float(previous[1])),
             "rejected": bool(counts[rodas.HAS_FAILED]), **dataclasses.asdict(self.statistics)},
            {"y": self.y.clone(), "velocity": torch.from_numpy(self.velocity.copy()),
             "loss": torch.tensor(numbers[rodas.LOSS])})
        time_error = float(numbers[rodas.TIME_ERROR])
        error = TrainingState(
            {"initial_loss": float(numbers[rodas.INITIAL_LOSS]), "time_error": time_error if time_error >= 0 else None},
            {"delta": torch.from_numpy(self.error.copy())} if counts[rodas.HAS_ERROR] else {})
        return TrainingState.joined(own=own, error=error if self.estimates else TrainingState(),
                                    stepper=stepper, coordinates=self.coordinates.state())

    def restore(self, state: TrainingState) -> None:
        """Go on from a state of an integration that was made in the same way; see `Integration.restore`."""
        own, error = state.part("own"), state.part("error")
        self.coordinates.restore(state.part("coordinates"))
        self._y[:], self.velocity[:] = own.tensor("y", self.y).numpy(), own.tensor("velocity", self.y).numpy()
        numbers, counts = self.numbers, self.counts
        numbers[rodas.TIME], numbers[rodas.STEP] = float(own.numbers["time"]), float(own.numbers["step"])
        numbers[rodas.LOSS] = float(own.arrays["loss"])
        if own.numbers["previous"] is not None:
            numbers[rodas.PREVIOUS_STEP : rodas.PREVIOUS_RATIO + 1] = own.numbers["previous"]
        counts[rodas.HAS_FAILED], counts[rodas.HAS_MOVED] = bool(own.numbers["rejected"]), 1
        if self.growth is not None:
            stepper, rates = state.part("stepper"), self.growth[growth.PREVIOUS_RATE]
            numbers[rodas.LAPSE], counts[rodas.HAS_SETTLED] = stepper.numbers["lapse"], stepper.numbers["settled"]
            rates[:] = stepper.tensor("rates", torch.from_numpy(rates)).numpy()
        self.statistics.restore(own)
        for place, name in _COUNTED:
            counts[place] = getattr(self.statistics, name)
        if self.estimates:
            numbers[rodas.INITIAL_LOSS] = float(error.numbers["initial_loss"])
            if error.numbers["time_error"] is not None:
                numbers[rodas.TIME_ERROR] = float(error.numbers["time_error"])
            if "delta" in error.arrays:
                self.error[:] = error.tensor("delta", self.y).numpy()
                counts[rodas.HAS_ERROR] = 1
        self.has_begun = True

    def _begin(self) -> None:
        for place, name in _COUNTED:
            self.counts[place] = getattr(self.statistics, name)
        loss, velocity = self.coordinates.loss_and_velocity(self.y)
        self.counts[rodas.GRADIENTS] += 1
        if not bool(torch.isfinite(loss)):
            raise DivergenceError(f"the loss is not finite at time {self.numbers[rodas.TIME]:.6g}")
        self.velocity[:] = velocity.numpy()
        self.numbers[rodas.LOSS] = self.numbers[rodas.INITIAL_LOSS] = float(loss)
        self.numbers[rodas.STEP] = first_step(
            self.coordinates, self.y, velocity, self.tolerance, Rosenbrock.order)
        self.has_begun = True

    def _advance(self, most_steps: int, increments: FloatArray, times: FloatArray, losses: FloatArray,
                 states: FloatArray) -> tuple[int, int]:
        found: tuple[int, int] = rodas.advance(
            self.kernel, self._y, self.velocity, self.error, self.growth, self.numbers, self.counts, self.end,
            self.tolerance, self.goal, self.estimates, most_steps, increments, times, losses, states)
        for place, name in _COUNTED:
            setattr(self.statistics, name, int(self.counts[place]))
        if self.numbers[rodas.TIME_ERROR] >= 0:
            self.statistics.drop_time_error = float(self.numbers[rodas.TIME_ERROR])
        return found

    def _goes_on(self, status: int) -> bool:
        """Whether there are more steps after a call that has ended so."""
        time = self.numbers[rodas.TIME]
        if status == rodas.STALLED:
            raise StalledError(f"integration stalled at time {time:.6g}: no step is short enough")
        if status == rodas.NOT_FINITE:
            raise DivergenceError(f"the loss is not finite at time {time:.6g}")
        if status == rodas.OUTWORN:
            self._renew()
        return status in (rodas.GOING, rodas.OUTWORN)

    def _renew(self) -> None:
        """Change to better coordinates, if these think so too, and do not ask again before the next step."""
        before, after = self.y, self.coordinates.renewed(self.y)
        self.counts[rodas.HAS_MOVED] = 0
        if after is not before:
            self._y[:] = after.numpy()
            self.velocity[:] = self.coordinates.loss_and_velocity(after)[1].numpy()
            self.counts[rodas.GRADIENTS] += 1
            self.counts[rodas.HAS_ERROR] = 0


_COUNTED = ((rodas.ACCEPTED, "accepted_steps"), (rodas.REJECTED, "rejected_steps"),
            (rodas.GRADIENTS, "gradient_evaluations"), (rodas.JACOBIANS, "jacobian_evaluations"),
            (rodas.FACTORIZATIONS, "factorizations"))
