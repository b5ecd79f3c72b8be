"""The active neurons: gradient flow of the cost to a critical point (AGF paper, section 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.architectures.base import Architecture
from agfrun.dynamics.gradient_flow import make_stepper
from agfrun.dynamics.integrate import IntegrationStatistics, integrate

LARGEST_STEP_COUNT = 1000


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
    architecture: Architecture, neurons: Tensor, index: Tensor, collapse_norms: Tensor, initial_loss: float,
    tolerance: float, step_tolerance: float, statistics: IntegrationStatistics,
) -> CriticalPoint:
    """Follow d Theta_A / dt = -grad C until the cost is stationary.

    The phase ends when an e-fold of time would lower the cost by less than `tolerance` of what the phase
    has lowered so far, ||grad C||^2 t <= tolerance (C_start - C). Scale-free, and it also ends in the
    valleys that have no minimum: with fewer than six neurons on one frequency of modular addition the
    infimum is approached with diverging weights and never attained.

    Args:
        neurons: active neurons at the start, (K, D), with indices `index` (K,).
        collapse_norms: norm below which a neuron has collapsed, (K,).
        initial_loss: loss of the empty network.
        step_tolerance: relative error of an integration step.
    """
    duration, collapsed = 0.0, []
    gradient_norm, start_loss = math.inf, float(architecture.loss(architecture.residual(neurons, index)))
    while neurons.shape[0] > 0:
        coordinates = architecture.flow_coordinates(neurons, index)
        y = coordinates.encode(neurons)
        stepper = make_stepper("auto", coordinates, y.numel(), statistics)
        reason, fallen = "", None
        for count, segment in enumerate(integrate(stepper, y, duration, math.inf, step_tolerance)):
            neurons, duration = coordinates.decode(segment.y_end), segment.end
            gradient = architecture.loss_and_gradient(neurons, index)[1]
            gradient_norm = float(torch.linalg.vector_norm(gradient))
            fallen = torch.linalg.vector_norm(neurons, dim=1) < collapse_norms
            if bool(fallen.any()):
                break
            reason = _stationary(gradient_norm, duration, start_loss - float(segment.loss_end), initial_loss, tolerance)
            if reason:
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
    decline = gradient_norm**2 * duration / initial_loss
    return CriticalPoint(neurons, index, loss, gradient_norm, decline, duration, tuple(collapsed), reason)


def _stationary(gradient_norm: float, duration: float, lowered: float, initial_loss: float, tolerance: float) -> str:
    """Why the cost counts as stationary, or an empty string."""
    if gradient_norm**2 * duration <= tolerance * lowered:
        return f"an e-fold of time lowers the cost by less than {tolerance:g} of what the phase lowered"
    if lowered < 0 or gradient_norm**2 * duration <= 1e-13 * initial_loss:
        return "the cost does not change any more to the last digit"
    return ""
