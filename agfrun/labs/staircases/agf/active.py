"""The active neurons: gradient flow of the cost to a critical point (AGF paper, section 2)."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import FlowCoordinates
from agfrun.labs.staircases.dynamics.gradient_flow import make_stepper
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, Segment, integrate
from agfrun.labs.staircases.networks.base import Architecture

LARGEST_STEP_COUNT = 1000
# Of the initial loss: a decline over an e-fold of time that rounding hides.
ROUNDING = 1e-13
# Part of the tolerance to which a cost that converges exponentially is followed.
EXPONENTIAL = 1e-6


@dataclass(frozen=True)
class CriticalPoint:
    """Where a cost phase ended, and how certain it is that this is a critical point.

    Attributes:
        neurons: the active neurons that are left, (K, D).
        index: their indices, (K,).
        loss: cost at the end.
        gradient_norm: Euclidean norm of the cost's gradient there.
        loss_decline: how much the cost would still fall over the next e-fold of time,
            ||grad C||^2 * duration, as a fraction of the initial loss.
        duration: flow time the phase took on its own, fast clock.
        collapsed: indices of neurons that returned to the origin.
        reason: one clause on why the phase ended.
    """

    neurons: Tensor
    index: Tensor
    loss: float
    gradient_norm: float
    loss_decline: float
    duration: float
    collapsed: tuple[int, ...]
    reason: str


def minimize_cost(
    architecture: Architecture, neurons: Tensor, index: Tensor, collapse_norms: Tensor, loss_before: float,
    initial_loss: float, tolerance: float, step_tolerance: float, statistics: IntegrationStatistics,
) -> CriticalPoint:
    """Follow d Theta_A / dt = -grad C until the cost is stationary.

    The phase ends when an e-fold of time would lower the cost by less than `tolerance` of what the phase
    has lowered so far, ||grad C||^2 t <= tolerance (C_start - C), where C_start is the cost before the
    last neuron joined if that is less (at norm 1 a neuron may overshoot by far). Scale-free, and it also ends in
    the valleys that have no minimum: with fewer than six neurons on one frequency of modular addition the
    infimum is approached with diverging weights and never attained, by a power of the time. Where the cost
    approaches its minimum exponentially the phase goes on, at little expense, to a millionth of `tolerance`;
    and it goes on while a neuron is on its way back to the origin.

    Args:
        neurons: active neurons at the start, (K, D), with indices `index` (K,).
        collapse_norms: norm below which a neuron has collapsed, (K,).
        loss_before: cost before the last neuron joined.
        initial_loss: loss of the empty network.
        step_tolerance: relative error of an integration step.
    """
    duration, collapsed = 0.0, []
    gradient_norm = math.inf
    start_loss = min(loss_before, float(architecture.loss(architecture.residual(neurons, index))))
    while neurons.shape[0] > 0:
        coordinates = architecture.flow_coordinates(neurons, index)
        y = coordinates.encode(neurons)
        stepper = make_stepper("auto", coordinates, y.numel(), statistics)
        reason, fallen, rest = "", None, _Rest(tolerance, start_loss, initial_loss)
        for count, segment in enumerate(integrate(stepper, y, duration, math.inf, step_tolerance)):
            neurons, duration = coordinates.decode(segment.y_end), segment.end
            gradient_norm = _gradient_norm(architecture, coordinates, segment, neurons, index)
            fallen = torch.linalg.vector_norm(neurons, dim=1) < collapse_norms
            if bool(fallen.any()):
                break
            reason = rest.reached(duration, gradient_norm**2 * duration, float(segment.loss_end))
            if reason and not _vanishing(neurons, architecture.loss_and_gradient(neurons, index)[1], duration):
                break
            if count >= LARGEST_STEP_COUNT:
                reason = f"not stationary after {LARGEST_STEP_COUNT} steps"
                break
        if fallen is None or not bool(fallen.any()):
            reason = reason or "the flow came to rest"
            break
        collapsed += index[fallen].tolist()
        neurons, index, collapse_norms = neurons[~fallen], index[~fallen], collapse_norms[~fallen]
    else:
        gradient_norm, reason = 0.0, "no active neuron is left"
    loss = float(architecture.loss(architecture.residual(neurons, index)))
    # -dC/dt = |grad C|^2, over the time that an e-fold takes from here.
    decline = gradient_norm**2 * duration / initial_loss
    return CriticalPoint(neurons, index, loss, gradient_norm, decline, duration, tuple(collapsed), reason)


def _gradient_norm(architecture: Architecture, coordinates: FlowCoordinates, segment: Segment, neurons: Tensor,
                   index: Tensor) -> float:
    """Norm of the cost's gradient at the end of a step, by its speed where the coordinates are orthonormal."""
    if coordinates.isometric:
        return float(torch.linalg.vector_norm(segment.velocity_end))
    return float(torch.linalg.vector_norm(architecture.loss_and_gradient(neurons, index)[1]))


class _Rest:
    """Tells when the cost is stationary from its decline over an e-fold of time."""

    def __init__(self, tolerance: float, start_loss: float, initial_loss: float) -> None:
        self.tolerance, self.start_loss, self.initial_loss = tolerance, start_loss, initial_loss
        self.durations: list[float] = []
        self.declines: list[float] = []

    def reached(self, duration: float, decline: float, loss: float) -> str:
        """Why the cost counts as stationary, or an empty string."""
        self.durations.append(duration)
        self.declines.append(decline)
        if decline <= ROUNDING * self.initial_loss:
            return "the cost does not change any more to the last digit"
        lowered = max(self.start_loss - loss, 0.0)
        fine = decline <= EXPONENTIAL * self.tolerance * lowered
        if fine or (decline <= self.tolerance * lowered and not self._converging()):
            return f"an e-fold of time lowers the cost by less than {self.tolerance:g} of what the phase lowered"
        return ""

    def _converging(self) -> bool:
        """Whether the decline has fallen tenfold while the time doubled: faster than any power seen in a valley."""
        row = bisect_right(self.durations, 0.5 * self.durations[-1]) - 1
        # Faster than t^-3.3.
        return row >= 0 and self.declines[-1] < 0.1 * self.declines[row]


def _vanishing(neurons: Tensor, gradient: Tensor, duration: float) -> bool:
    """Whether a neuron shrinks faster than 1 / t: exponentially, on its way back to the origin.

    Its part in the cost may have become negligible long before it has arrived. In a valley without a minimum
    neurons shrink by slower powers of the time, and for ever.
    """
    # -d log|theta| / dt, which is a / t for a power t^-a.
    rates = (neurons * gradient).sum(1) / neurons.square().sum(1)
    return bool((rates * duration > 1).any())
