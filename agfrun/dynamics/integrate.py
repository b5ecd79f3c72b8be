"""The step loop shared by every adaptive integration of a flow.

*What* is integrated is a `FlowCoordinates`, *how* a `Stepper`, *how far* each step goes the
`StepController`. The loop yields accepted steps as `Segment`s that can be evaluated anywhere inside;
recording, events and stopping are the caller's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.dynamics.coordinates import FlowCoordinates
from agfrun.dynamics.global_error import GlobalError
from agfrun.dynamics.linearization import Solver
from agfrun.errors import DivergenceError


@dataclass
class IntegrationStatistics:
    """What an integration cost, and how far it may be off; grows while it runs.

    Attributes:
        drop_time_error: estimated relative error of the times of drops (`agfrun.dynamics.global_error`);
            None where no estimate was asked for, the method gives none, or there was no drop.
    """

    accepted_steps: int = 0
    rejected_steps: int = 0
    gradient_evaluations: int = 0
    jacobian_evaluations: int = 0
    factorizations: int = 0
    drop_time_error: float | None = None


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
class Attempt:
    """One attempted step: where it leads, its error estimate and the path between.

    `solve` solves with I - h gamma J, gamma being the stepper's, if the step was an implicit one.
    """

    y: Tensor
    error: Tensor
    interpolant: Callable[[float], Tensor]
    solve: Solver | None = None


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
        ratio = max(error / self.tolerance, 1e-10)
        factor = float(self.safety * ratio ** (-1 / self.order))
        if ratio > 1:
            self.rejected = True
            return step * min(max(factor, self.smallest_factor), 0.9)
        if self.previous is not None:
            previous_step, previous_ratio = self.previous
            trend = step / previous_step * (previous_ratio / ratio) ** (1 / self.order)
            factor = min(factor, factor * trend)
        growth = 1.0 if self.rejected else self.largest_growth
        self.previous = (step, max(ratio, 1e-4))
        self.rejected = False
        return step * min(max(factor, self.smallest_factor), growth)


def integrate(
    stepper: Stepper, y: Tensor, start: float, end: float, tolerance: float, first_step: float | None = None,
    estimate_error: bool = False,
) -> Iterator[Segment]:
    """Yield accepted steps from `start` to `end` (which may be infinite: stop by leaving the loop).

    Args:
        estimate_error: follow the global error, where the stepper allows it (two more solves a step).

    Raises:
        DivergenceError: the start is not finite, or no step is short enough to be accepted.
    """
    tolerance = tolerance * stepper.sharpening
    controller = StepController(tolerance, stepper.order)
    loss, velocity = stepper.loss_and_velocity(y)
    _require_finite(loss, start)
    step = first_step or _first_step(stepper, y, velocity, tolerance)
    time = start
    global_error = GlobalError(float(loss)) if estimate_error else None
    while time < end:
        stepper.begin(y, velocity)
        while True:
            step = min(step, end - time)
            attempt = stepper.attempt(step)
            error = math.inf if attempt is None else float(
                stepper.coordinates.relative_error(attempt.error, y, attempt.y))
            following = controller.next_step(step, error)
            if attempt is not None and controller.accepts(error):
                break
            stepper.statistics.rejected_steps += 1
            if time + following <= time + 1e-15 * abs(time) and following < 1e-300 + 1e-15 * abs(time):
                raise DivergenceError(f"integration stalled at time {time:.6g}: no step is short enough")
            step = following
        stepper.statistics.accepted_steps += 1
        reached = end if step == end - time else time + step
        loss_before = loss
        loss, velocity = stepper.loss_and_velocity(attempt.y)
        _require_finite(loss, reached)
        if not math.isfinite(reached):  # at rest, and asked to go on for ever
            return
        if global_error is not None and attempt.solve is not None:
            global_error.advance(attempt.solve, stepper.gamma, attempt.error)
            global_error.look(reached, velocity, float(loss_before - loss) / step)
            stepper.statistics.drop_time_error = global_error.time_error
        yield Segment(time, reached, y, attempt.y, loss, velocity, attempt.interpolant)
        y, time, step = stepper.coordinates.renewed(attempt.y), reached, following
        if y is not attempt.y:
            velocity = stepper.loss_and_velocity(y)[1]
            if global_error is not None:
                global_error.restart()


def _first_step(stepper: Stepper, y: Tensor, velocity: Tensor, tolerance: float) -> float:
    """A step over which y moves by about the order-th root of the tolerance."""
    rate = float(stepper.coordinates.relative_error(velocity, y, y))
    return float(0.1 * tolerance ** (1 / stepper.order)) / rate if rate > 0 else 1.0


def _require_finite(loss: Tensor, time: float) -> None:
    if not bool(torch.isfinite(loss)):
        raise DivergenceError(f"the loss is not finite at time {time:.6g}")
