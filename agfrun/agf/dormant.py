"""The dormant neurons: normalized utility flow with exact location of the next activation.

With theta = exp(l) d, |d| = 1 and a utility of degree kappa (AGF paper, section 2, equations for utility
maximization):

    d d / dt = e^(l (kappa - 2)) (I - d d^T) grad U(d; r),    d l / dt = e^(l (kappa - 2)) kappa U(d; r).

Log norm and direction are carried apart, so that any initialization scale costs the same. The flow is
not stiff; an explicit pair of order 5(4) integrates all dormant neurons in parallel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from scipy.integrate import RK45
from torch import Tensor

from agfrun.architectures.base import Architecture
from agfrun.dynamics.integrate import IntegrationStatistics, StepController
from agfrun.dynamics.polar import directions_and_log_norms

_STAGES = [[float(a) for a in row[:i]] for i, row in enumerate(RK45.A)]
_NODES = [float(c) for c in RK45.C]
_RESULT = [float(b) for b in RK45.B]
_ERROR = [float(e) for e in RK45.E]
CROSSING_TOLERANCE = 1e-12
LARGEST_STEP_COUNT = 20_000

ResidualAt = Callable[[float, Tensor], Any]


@dataclass(frozen=True)
class DormantNeurons:
    """K dormant neurons: unit directions (K, D), log norms (K,), indices in the network (K,)."""

    directions: Tensor
    log_norms: Tensor
    index: Tensor

    @classmethod
    def of(cls, neurons: Tensor, index: Tensor, log_scale: float = 0.0) -> DormantNeurons:
        """Split `neurons * exp(log_scale)`, (K, D), into direction and log norm."""
        directions, log_norms = directions_and_log_norms(neurons)
        return cls(directions, log_norms + log_scale, index)

    def neurons(self) -> Tensor:
        """The neurons' parameters, (K, D)."""
        return self.directions * self.log_norms.exp()[:, None]

    def without(self, row: int) -> DormantNeurons:
        """All but one row."""
        keep = torch.arange(self.index.shape[0], device=self.index.device) != row
        return DormantNeurons(self.directions[keep], self.log_norms[keep], self.index[keep])

    def joined(self, other: DormantNeurons) -> DormantNeurons:
        """These neurons and others."""
        return DormantNeurons(torch.cat([self.directions, other.directions]),
                              torch.cat([self.log_norms, other.log_norms]),
                              torch.cat([self.index, other.index]))


class DormantFlow:
    """Integrates dormant neurons until the first reaches the threshold, or until a given time.

    Args:
        threshold: norm at which a neuron activates.
        tolerance: error per step of a direction (radians) and of a log norm.
        residual_at: (time, dormant neurons (K, D)) to the residual that drives them.
        observe: called with (time, neurons) after each accepted step.
    """

    def __init__(
        self, architecture: Architecture, threshold: float, tolerance: float,
        statistics: IntegrationStatistics, observe: Callable[[float, DormantNeurons], None],
    ) -> None:
        self.architecture = architecture
        self.log_threshold = math.log(threshold)
        self.tolerance = tolerance
        self.statistics = statistics
        self.observe = observe
        self.step: float | None = None
        self.exhausted = False

    def advance(
        self, dormant: DormantNeurons, residual_at: ResidualAt, start: float, end: float
    ) -> tuple[DormantNeurons, float, int | None]:
        """Flow from `start` to at most `end`.

        Returns:
            The neurons, the time reached, and the row of the neuron that has just reached the
            threshold, or None if `end` came first, every velocity vanished, or the step budget ran out
            (then `exhausted` is set).
        """
        if dormant.index.shape[0] == 0:
            return dormant, end, None
        state = torch.cat([dormant.directions, dormant.log_norms[:, None]], dim=1)
        controller = StepController(self.tolerance, 5)
        time, steps = start, 0
        velocity = self._velocity(time, state, dormant.index, residual_at)
        while time < end:
            ready = (self._excess(state) >= -CROSSING_TOLERANCE) & (velocity[:, -1] > 0)
            if bool(ready.any()):
                return self._split(state, dormant.index), time, int(ready.nonzero()[0, 0])
            fastest = float(torch.linalg.vector_norm(velocity, dim=1).max())
            if fastest == 0 or fastest * (end - time) < 0.01 * self.tolerance:
                break
            step = min(self.step or 0.01 / fastest, end - time)
            new, stage_velocities, error = self._try(time, state, velocity, step, dormant.index, residual_at)
            following = controller.next_step(step, error)
            if not controller.accepts(error):
                self.statistics.rejected_steps += 1
                self.step = following
                continue
            row = self._crossing(state, new, velocity)
            if row is not None:
                step, new = self._locate(time, state, velocity, step, dormant.index, residual_at)
                row = int(self._excess(new).argmax())
            time = end if step == end - time else time + step
            state = self._independent(self._renormalized(new))
            self.statistics.accepted_steps += 1
            self.observe(time, self._split(state, dormant.index))
            if row is not None:
                return self._split(state, dormant.index), time, row
            self.step = following
            steps += 1
            if steps > LARGEST_STEP_COUNT:
                self.exhausted = True
                return self._split(state, dormant.index), time, None
            velocity = self._velocity(time, state, dormant.index, residual_at)
        return self._split(state, dormant.index), end, None

    def _velocity(self, time: float, state: Tensor, index: Tensor, residual_at: ResidualAt) -> Tensor:
        """Time derivative of (direction, log norm), (K, D + 1)."""
        self.statistics.gradient_evaluations += 1
        directions, log_norms = state[:, :-1], state[:, -1:]
        norms = log_norms.exp()
        residual = residual_at(time, directions * norms)
        gradient = self.architecture.utility_gradient(directions, residual, index)
        growth = (directions * gradient).sum(1, keepdim=True)
        speed = norms ** (self.architecture.homogeneity_degree - 2)
        return torch.cat([gradient - growth * directions, growth], dim=1) * speed

    def _try(
        self, time: float, state: Tensor, velocity: Tensor, step: float, index: Tensor, residual_at: ResidualAt
    ) -> tuple[Tensor, list[Tensor], float]:
        """One Dormand-Prince step: new state, stage velocities, largest error of a neuron."""
        slopes = [velocity]
        for i in range(1, 6):
            inside = state + step * _combine(_STAGES[i], slopes)
            slopes.append(self._velocity(time + _NODES[i] * step, inside, index, residual_at))
        new = state + step * _combine(_RESULT, slopes)
        slopes.append(self._velocity(time + step, new, index, residual_at))
        error = torch.linalg.vector_norm(step * _combine(_ERROR, slopes), dim=1).max()
        return new, slopes, float(error)

    def _excess(self, state: Tensor) -> Tensor:
        """Log norm above the log threshold, (K,)."""
        return state[:, -1] - self.log_threshold

    def _crossing(self, state: Tensor, new: Tensor, velocity: Tensor) -> int | None:
        """The row that crosses the threshold upwards within a step, if any."""
        below = (self._excess(state) < 0) | (velocity[:, -1] < 0)
        crossed = below & (self._excess(new) >= 0)
        return int(crossed.nonzero()[0, 0]) if bool(crossed.any()) else None

    def _locate(
        self, time: float, state: Tensor, velocity: Tensor, step: float, index: Tensor, residual_at: ResidualAt
    ) -> tuple[float, Tensor]:
        """The step length after which the first neuron sits on the threshold: safeguarded Newton."""
        low, high, trial = 0.0, step, 0.5 * step
        new = state
        for _ in range(60):
            new, slopes, _ = self._try(time, state, velocity, trial, index, residual_at)
            excess = self._excess(new)
            row = int(excess.argmax())
            value, slope = float(excess[row]), float(slopes[-1][row, -1])
            if abs(value) <= CROSSING_TOLERANCE or high - low <= 1e-15 * (time + step):
                break
            low, high = (trial, high) if value < 0 else (low, trial)
            newton = trial - value / slope if slope > 0 else math.nan
            trial = newton if low < newton < high else 0.5 * (low + high)
        return trial, new

    def _renormalized(self, state: Tensor) -> Tensor:
        directions = state[:, :-1]
        return torch.cat([directions / torch.linalg.vector_norm(directions, dim=1, keepdim=True), state[:, -1:]], 1)

    def _independent(self, state: Tensor) -> Tensor:
        """Equivalent neurons that have not all turned to one direction, if the network allows to mix them."""
        mixtures = self.architecture.independent_mixtures(state[:, :-1], state[:, -1])
        return state if mixtures is None else torch.cat([mixtures[0], mixtures[1][:, None]], dim=1)

    def _split(self, state: Tensor, index: Tensor) -> DormantNeurons:
        return DormantNeurons(state[:, :-1], state[:, -1], index)


def _combine(weights: list[float], slopes: list[Tensor]) -> Tensor:
    """Weighted sum of slopes, skipping zero weights."""
    total = torch.zeros_like(slopes[0])
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            total = total + weight * slope
    return total
