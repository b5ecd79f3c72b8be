"""The active neurons: gradient flow of the cost to a critical point (AGF paper, section 2)."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from agfrun.labs.staircases.agf.modes import Modes
from agfrun.labs.staircases.agf.rest import IN_A_VALLEY, Rest
from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.gradient_flow import follow_flow
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, Segment
from agfrun.labs.staircases.dynamics.stability import curvature_along
from agfrun.labs.staircases.networks.base import Architecture

LARGEST_STEP_COUNT = 1000
# Of a step beyond the end, to the valley's other cut, of which only the time of the next activation is asked.
FORESIGHT_TOLERANCE = 1e-3
# How much longer than the phase itself its valley is followed for the other admissible cut.
LONGEST_VALLEY = 100.0


@dataclass(frozen=True)
class Cut:
    """Active neurons (K, D) at a time of a cost phase's own."""

    duration: float
    neurons: Tensor


@dataclass(frozen=True)
class CriticalPoint:
    """Where a cost phase ended, and how certain it is that this is a critical point.

    Attributes:
        neurons: the active neurons that are left, (K, D).
        index: their indices, (K,).
        loss: cost at the end.
        gradient_norm: Euclidean norm of the cost's gradient there.
        remaining: what the convex modes would still lower, sum_k g_k^2 / (2 lambda_k), over the initial loss.
        smallest_curvature: least eigenvalue of the cost's Hessian there; beyond 2500 unknowns its least Ritz value
            in the Krylov space of the gradient.
        slowest_rate: geometric mean of the curvatures of the modes that make up `remaining`, each weighted by its part;
            what is left falls at about twice this rate.
        duration: flow time the phase took on its own, fast clock.
        collapsed: indices of neurons that returned to the origin.
        reason: one clause on why the phase ended.
        other_cut: in a valley, the other end of the admissible cuts; None elsewhere.
    """

    neurons: Tensor
    index: Tensor
    loss: float
    gradient_norm: float
    remaining: float
    smallest_curvature: float
    slowest_rate: float
    duration: float
    collapsed: tuple[int, ...]
    reason: str
    other_cut: Cut | None = None


@dataclass(frozen=True)
class CostRules:
    """What a cost phase is followed by.

    Attributes:
        initial_loss: loss of the empty network.
        tolerance: when a phase is over, see `staircases.agf.rest`.
        step_tolerance: relative error of an integration step.
        time_left: how long active neurons (K, D) with indices (K,) have until the next activation.
    """

    initial_loss: float
    tolerance: float
    step_tolerance: float
    time_left: Callable[[Tensor, Tensor], float]


def minimize_cost(
    architecture: Architecture, neurons: Tensor, index: Tensor, collapse_norms: Tensor, loss_before: float,
    rules: CostRules, statistics: IntegrationStatistics,
) -> CriticalPoint:
    """Follow d Theta_A / dt = -grad C until the cost is stationary, as `staircases.agf.rest` defines it.

    What the phase has lowered is counted from the cost before the last neuron joined, if that is less than the cost at
    the start: at norm 1 a neuron may overshoot by far. While a neuron is on its way back to the origin it goes on.

    Args:
        neurons: active neurons at the start, (K, D), with indices `index` (K,).
        collapse_norms: norm below which a neuron has collapsed, (K,).
        loss_before: cost before the last neuron joined.
    """
    start_loss = min(loss_before, float(architecture.loss(architecture.residual(neurons, index))))
    phase = _Phase(architecture, neurons, index, start_loss, rules, statistics)
    collapsed: list[int] = []
    while phase.neurons.shape[0] > 0:
        fallen = phase.run(collapse_norms)
        if not bool(fallen.any()):
            return phase.end(tuple(collapsed))
        collapsed += phase.index[fallen].tolist()
        collapse_norms = collapse_norms[~fallen]
        phase.drop(fallen)
    loss = float(architecture.loss(architecture.residual(phase.neurons, phase.index)))
    return CriticalPoint(phase.neurons, phase.index, loss, 0.0, 0.0, 0.0, 0.0, phase.duration, tuple(collapsed),
                         "no active neuron is left")


class _Phase:
    """The flow of active neurons, none of which collapses; with those that did left out it begins anew."""

    def __init__(self, architecture: Architecture, neurons: Tensor, index: Tensor, start_loss: float, rules: CostRules,
                 statistics: IntegrationStatistics) -> None:
        self.architecture, self.rules, self.statistics = architecture, rules, statistics
        self.neurons, self.index, self.start_loss = neurons, index, start_loss
        self.duration, self.reason, self.left = 0.0, "", math.inf

    def run(self, collapse_norms: Tensor) -> Tensor:
        """Follow the flow until the phase is over; which neurons have collapsed, (K,)."""
        rest = Rest(self.rules.tolerance, self.start_loss, self.rules.initial_loss)
        self.cuts: list[Cut] = []
        self.reason = ""
        fallen: Tensor = torch.zeros_like(self.index, dtype=torch.bool)
        self.coordinates, steps = self._flow(math.inf, self.rules.step_tolerance)
        for count, segment in enumerate(steps):
            self.segment, self.duration = segment, segment.end
            self.neurons = self.coordinates.decode(segment.y_end)
            self.cuts.append(Cut(self.duration, self.neurons))
            fallen = torch.linalg.vector_norm(self.neurons, dim=1) < collapse_norms
            if bool(fallen.any()):
                break
            worth = rest.worth_a_look(self.duration, float(segment.loss_end), self._gradient_norm())
            if worth and not self._vanishing():
                self.modes = self._modes()
                self.reason = rest.reached(self.modes, self._time_left, self._curvature_before)
                if self.reason:
                    return fallen
            if count >= LARGEST_STEP_COUNT:
                self.reason = f"not stationary after {LARGEST_STEP_COUNT} steps"
                break
        else:
            self.reason = "the flow came to rest"
        if self.reason:
            self.modes = self._modes()
        return fallen

    def drop(self, fallen: Tensor) -> None:
        """Leave out neurons that have collapsed, (K,)."""
        self.neurons, self.index = self.neurons[~fallen], self.index[~fallen]

    def end(self, collapsed: tuple[int, ...]) -> CriticalPoint:
        """The point reached, with its certificate."""
        loss = float(self.architecture.loss(self.architecture.residual(self.neurons, self.index)))
        return CriticalPoint(
            self.neurons, self.index, loss, self._gradient_norm(), self.modes.remaining() / self.rules.initial_loss,
            self.modes.smallest_curvature, self.modes.remaining_curvature(), self.duration, collapsed,
            self.reason, self._other_cut() if self.reason == IN_A_VALLEY else None)

    def _other_cut(self) -> Cut | None:
        """Where the phase has lasted as long as it has until the next activation: before its end, or beyond."""
        if self.left <= self.duration:
            return next(cut for cut in self.cuts if cut.duration >= self.left)
        coordinates, steps = self._flow(min(self.left, LONGEST_VALLEY * self.duration), FORESIGHT_TOLERANCE)
        cut = self.cuts[-1]
        for segment in islice(steps, LARGEST_STEP_COUNT):
            cut = Cut(segment.end, coordinates.decode(segment.y_end))
        return cut

    def _flow(self, end: float, tolerance: float) -> tuple[FlowCoordinates, Iterator[Segment]]:
        """Steps from here to a time of the phase's own, and their coordinates."""
        coordinates = self.architecture.flow_coordinates(self.neurons, self.index)
        y = coordinates.encode(self.neurons)
        return coordinates, follow_flow(coordinates, y, self.duration, end, tolerance, self.statistics)

    def _time_left(self) -> float:
        self.left = self.rules.time_left(self.neurons, self.index)
        return self.left

    def _curvature_before(self, step: Tensor) -> tuple[float, float]:
        """Curvature of the cost along a step (K, D) at half the time or before, and that time over this."""
        cut = self.cuts[max(bisect_right(self.cuts, 0.5 * self.duration, key=lambda cut: cut.duration) - 1, 0)]
        image = curvature_along(self.architecture, cut.neurons, step, self.index)
        return float((image * step).sum() / step.square().sum()), cut.duration / self.duration

    def _gradient_norm(self) -> float:
        """Norm of the cost's gradient at the end of a step, by its speed where the coordinates are orthonormal."""
        if self.coordinates.isometric:
            return float(torch.linalg.vector_norm(self.segment.velocity_end))
        return float(torch.linalg.vector_norm(self.architecture.loss_and_gradient(self.neurons, self.index)[1]))

    def _modes(self) -> Modes:
        return Modes.at(self.architecture, self.coordinates, self.segment.y_end, self.segment.velocity_end,
                        self.neurons, self.index)

    def _vanishing(self) -> bool:
        """Whether a neuron shrinks faster than 1 / t: exponentially, on its way back to the origin.

        Its part in the cost may have become negligible long before it has arrived. In a valley without a minimum
        neurons shrink by slower powers of the time, and for ever.
        """
        gradient = self.architecture.loss_and_gradient(self.neurons, self.index)[1]
        # -d log|theta| / dt, which is a / t for a power t^-a.
        rates = (self.neurons * gradient).sum(1) / self.neurons.square().sum(1)
        return bool((rates * self.duration > 1).any())
