"""The step loop shared by every adaptive integration of a flow.

*What* is integrated is a `FlowCoordinates`, *how* a `Stepper`, *how far* each step goes the
`StepController`. The loop yields accepted steps as `Segment`s that can be evaluated anywhere inside;
recording, events and stopping are the caller's.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.files.training_state import TrainingState
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.global_error import GlobalError
from agfrun.labs.staircases.dynamics.linearization import Solver
from agfrun.study.errors import DivergenceError, StalledError


@dataclass
class IntegrationStatistics:
    """What an integration cost, and how far it may be off; grows while it runs.

    Attributes:
        drop_time_error: estimated relative error of the times of drops (`staircases.dynamics.global_error`), in the
            statistics of a run with that of reading them off the record;
            None where no estimate was asked for, the method gives none, or there was no drop.
    """

    accepted_steps: int = 0
    rejected_steps: int = 0
    gradient_evaluations: int = 0
    jacobian_evaluations: int = 0
    factorizations: int = 0
    drop_time_error: float | None = None

    def restore(self, state: TrainingState) -> None:
        """Take up the counts of a state that has them among its numbers."""
        for entry in dataclasses.fields(self):
            setattr(self, entry.name, state.numbers[entry.name])


@dataclass(frozen=True)
class Segment:
    """One accepted step, from `start` to `end` in time, and the path between.

    `interpolant` maps a fraction in [0, 1] of the step to coordinates.
    """

    start: float
    end: float
    y_start: Tensor
    y_end: Tensor
    loss_end: Tensor
    velocity_end: Tensor
    interpolant: Callable[[float], Tensor]

    def at(self, time: float) -> Tensor:
        """Coordinates at a time within the step."""
        if time >= self.end:
            return self.y_end
        return self.interpolant((time - self.start) / (self.end - self.start))


@dataclass(frozen=True)
class Stretch:
    """What a record shows of some accepted steps: their ends, and points within.

    Attributes:
        times, losses: T of them, in order; the last is the end of a step.
        states: coordinates there, (T, n).
    """

    times: list[float]
    losses: list[float]
    states: Tensor


@dataclass(frozen=True)
class Attempt:
    """One attempted step: where it leads, its error estimate and the path between.

    `solve` solves with I - h gamma J, gamma being the stepper's, if the step was an implicit one; `reached` are loss
    and velocity at y, where they had to be evaluated.
    """

    y: Tensor
    error: Tensor
    interpolant: Callable[[float], Tensor]
    solve: Solver | None = None
    reached: tuple[Tensor, Tensor] | None = None


class Stepper(ABC):
    """A one-step method.

    Attributes:
        order: the order that step control assumes: local error ~ h^order.
        sharpening: part of the asked-for tolerance that is allowed in a step, so that the global error of
            methods of different order is alike (a local error h^k adds up to about tolerance^((k - 1) / k)).
        gamma: see `Attempt`.
    """

    order: int
    sharpening: float = 1.0
    gamma: float = 0.0

    def __init__(self, coordinates: FlowCoordinates, statistics: IntegrationStatistics) -> None:
        self.coordinates = coordinates
        self.statistics = statistics

    @abstractmethod
    def begin(self, y: Tensor, velocity: Tensor) -> None:
        """Prepare for steps from y, whose velocity is given."""

    @abstractmethod
    def attempt(self, step: float) -> Attempt | None:
        """Try a step from the prepared point; None if it cannot be formed (step too long)."""

    def state(self) -> TrainingState:
        """What is carried from step to step; most methods carry nothing."""
        return TrainingState()

    def restore(self, state: TrainingState, like: Tensor) -> None:
        """Take up a state; `like` is the path's coordinates (n,)."""
        if state.arrays:
            raise ValueError(f"{type(self).__name__} carries nothing")

    def loss_and_velocity(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the flow, counted."""
        self.statistics.gradient_evaluations += 1
        return self.coordinates.loss_and_velocity(y)


class StepController:
    """Predictive step-size control (Gustafsson 1994) with bounded growth.

    Args:
        tolerance: relative error per step that is accepted.
        order: order of the error estimate.
    """

    safety = 0.85
    largest_growth = 6.0
    smallest_factor = 0.15

    def __init__(self, tolerance: float, order: int) -> None:
        self.tolerance = tolerance
        self.order = order
        self.previous: tuple[float, float] | None = None
        self.rejected = False

    def accepts(self, error: float) -> bool:
        """Whether a step with this relative error stands (a non-finite error never does)."""
        return error <= self.tolerance

    def next_step(self, step: float, error: float) -> float:
        """The step to try next after one of length `step` with relative error `error`."""
        if not math.isfinite(error):
            self.rejected = True
            return 0.1 * step
        ratio = max(error / self.tolerance, 1e-10)  # zero has no negative power
        # Local errors grow like h^order: so long a step would just have met the tolerance.
        factor = float(self.safety * ratio ** (-1 / self.order))
        if ratio > 1:
            self.rejected = True
            return step * min(max(factor, self.smallest_factor), 0.9)
        if self.previous is not None:
            previous_step, previous_ratio = self.previous
            # Predictive: the error's constant goes on changing as over the last step; used only to shorten the next.
            trend = step / previous_step * (previous_ratio / ratio) ** (1 / self.order)
            factor = min(factor, factor * trend)
        # The model of the error has just failed: no growth at once.
        growth = 1.0 if self.rejected else self.largest_growth
        self.previous = (step, max(ratio, 1e-4))  # an error far below the tolerance tells no trend
        self.rejected = False
        return step * min(max(factor, self.smallest_factor), growth)


class Integration:
    """Accepted steps from `start` to `end` (which may be infinite: stop by leaving the loop), to be iterated over once.

    Args:
        first_step: length of the first step to try; None estimates it.
        estimate_error: follow the global error, where the stepper allows it (two more solves a step).

    Raises:
        DivergenceError: while iterating; the start is not finite, or no step is short enough to be accepted.
    """

    def __init__(
        self, stepper: Stepper, y: Tensor, start: float, end: float, tolerance: float,
        first_step: float | None = None, estimate_error: bool = False,
    ) -> None:
        self.stepper, self.y, self.time, self.end = stepper, y, start, end
        self.tolerance = tolerance * stepper.sharpening
        self.controller = StepController(self.tolerance, stepper.order)
        self.step = first_step
        self.global_error = GlobalError(math.nan) if estimate_error else None
        self.loss = self.velocity = torch.empty(0)
        self.moved = False

    def __iter__(self) -> Iterator[Segment]:
        if not self.moved:
            self._begin()
        while self.time < self.end:
            if self.moved:
                self._renew()
            segment = self._advance()
            if segment is None:
                return
            yield segment

    def state(self) -> TrainingState:
        """Where it stands after the last step that was yielded."""
        own = TrainingState(
            {"time": self.time, "step": self.step, "previous": self.controller.previous,
             "rejected": self.controller.rejected, **dataclasses.asdict(self.stepper.statistics)},
            {"y": self.y, "velocity": self.velocity, "loss": self.loss})
        error = TrainingState() if self.global_error is None else self.global_error.state()
        return TrainingState.joined(own=own, error=error, stepper=self.stepper.state(),
                                    coordinates=self.stepper.coordinates.state())

    def restore(self, state: TrainingState) -> None:
        """Go on from a state of an integration that was made in the same way."""
        own = state.part("own")
        self.stepper.coordinates.restore(state.part("coordinates"))
        self.stepper.restore(state.part("stepper"), self.y)
        if self.global_error is not None:
            self.global_error.restore(state.part("error"), self.y)
        self.velocity, self.y = own.tensor("velocity", self.y), own.tensor("y", self.y)
        self.loss = own.arrays["loss"].to(self.y)
        self.time, self.step = float(own.numbers["time"]), float(own.numbers["step"])
        previous = own.numbers["previous"]
        self.controller.previous = None if previous is None else (float(previous[0]), float(previous[1]))
        self.controller.rejected = bool(own.numbers["rejected"])
        self.stepper.statistics.restore(own)
        self.moved = True

    def _begin(self) -> None:
        self.loss, self.velocity = self.stepper.loss_and_velocity(self.y)
        _require_finite(self.loss, self.time)
        if self.step is None:
            self.step = first_step(self.stepper.coordinates, self.y, self.velocity, self.tolerance, self.stepper.order)
        if self.global_error is not None:
            self.global_error.initial_loss = float(self.loss)

    def _renew(self) -> None:
        """Change to better coordinates, if there are."""
        before, self.y = self.y, self.stepper.coordinates.renewed(self.y)
        if self.y is not before:
            self.velocity = self.stepper.loss_and_velocity(self.y)[1]
            if self.global_error is not None:
                self.global_error.restart()

    def _advance(self) -> Segment | None:
        """Take one step; None if the path is at rest and was asked to go on for ever."""
        assert self.step is not None
        # At rest the step grows without end.
        if not math.isfinite(min(self.step, self.end - self.time)):
            return None
        attempt, step, following = self._accepted()
        start, y, loss_before = self.time, self.y, self.loss
        # The end itself, which start + step may miss by rounding.
        reached = self.end if step == self.end - start else start + step
        self.loss, self.velocity = attempt.reached or self.stepper.loss_and_velocity(attempt.y)
        _require_finite(self.loss, reached)
        if not math.isfinite(reached):  # and time with it
            return None
        if self.global_error is not None and attempt.solve is not None:
            self.global_error.advance(attempt.solve, self.stepper.gamma, attempt.error)
            self.global_error.look(reached, self.velocity, float(loss_before - self.loss) / step)
            self.stepper.statistics.drop_time_error = self.global_error.time_error
        self.y, self.time, self.step, self.moved = attempt.y, reached, following, True
        return Segment(start, reached, y, attempt.y, self.loss, self.velocity, attempt.interpolant)

    def _accepted(self) -> tuple[Attempt, float, float]:
        """The first attempt that is good enough, its length, and the length to try next."""
        assert self.step is not None
        stepper, controller, time, step = self.stepper, self.controller, self.time, self.step
        stepper.begin(self.y, self.velocity)
        while True:
            step = min(step, self.end - time)
            attempt = stepper.attempt(step)
            error = math.inf if attempt is None else float(
                stepper.coordinates.relative_error(attempt.error, self.y, attempt.y))
            following = controller.next_step(step, error)
            if attempt is not None and controller.accepts(error):
                stepper.statistics.accepted_steps += 1
                return attempt, step, following
            stepper.statistics.rejected_steps += 1
            # Time would not move any more. At time 0 only a step that has underflowed is too short.
            if time + following <= time + 1e-15 * abs(time) and following < 1e-300 + 1e-15 * abs(time):
                raise StalledError(f"integration stalled at time {time:.6g}: no step is short enough")
            step = following


def integrate(
    stepper: Stepper, y: Tensor, start: float, end: float, tolerance: float, first_step: float | None = None,
    estimate_error: bool = False,
) -> Iterator[Segment]:
    """Yield accepted steps from `start` to `end`; see `Integration`."""
    return iter(Integration(stepper, y, start, end, tolerance, first_step, estimate_error))


def hermite(step: float, y: Tensor, velocity: Tensor, y_new: Tensor, velocity_new: Tensor) -> Callable[[float], Tensor]:
    """The cubic between the ends of a step that has their velocities, by the fraction of its duration."""

    def at(fraction: float) -> Tensor:
        rest = 1 - fraction
        rise = (step * rest) * velocity - (step * fraction) * velocity_new
        bend = rise + (rest - fraction) * (y - y_new)
        return rest * y + fraction * y_new + (fraction * rest) * bend

    return at


def first_step(coordinates: FlowCoordinates, y: Tensor, velocity: Tensor, tolerance: float, order: int) -> float:
    """A step over which y moves by about the order-th root of the tolerance."""
    # 1 / rate is the time in which neurons change by their own size, so that errors are about (h rate)^order.
    rate = float(coordinates.relative_error(velocity, y, y))
    return float(0.1 * tolerance ** (1 / order)) / rate if rate > 0 else 1.0


def _require_finite(loss: Tensor, time: float) -> None:
    if not bool(torch.isfinite(loss)):
        raise DivergenceError(f"the loss is not finite at time {time:.6g}")
