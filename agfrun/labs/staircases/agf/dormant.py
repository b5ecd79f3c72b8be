"""The dormant neurons: normalized utility flow with exact location of the next activation.

With theta = exp(l) d, |d| = 1 and a utility of degree kappa (AGF paper, section 2, equations for utility
maximization):

    d d / dt = e^(l (kappa - 2)) (I - d d^T) grad U(d; r),    d l / dt = e^(l (kappa - 2)) kappa U(d; r).

Log norm and direction are carried apart, so that any initialization scale costs the same. The flow is
not stiff; an explicit pair of Dormand and Prince (Hairer, Norsett & Wanner, Solving ODEs I, sections II.5 and
II.10) integrates all dormant neurons in parallel. Where utilities are polynomials in a quick form it is the one of
order 8; elsewhere, where kinks or mixtures call for short steps anyway, the one of order 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.integrate import DOP853, RK45
from torch import Tensor

from agfrun.labs.staircases.agf.field import ResidualAt, ResidualField, UtilityField
from agfrun.labs.staircases.arrays import Array, as_tensor, namespace, native
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, StepController
from agfrun.labs.staircases.dynamics.polar import directions_and_log_norms
from agfrun.labs.staircases.networks.base import Architecture

CROSSING_TOLERANCE = 1e-12  # of a log norm
LARGEST_STEP_COUNT = 20_000


@dataclass(frozen=True)
class DormantNeurons:
    """K dormant neurons: unit directions (K, D), log norms (K,), indices in the network (K,)."""

    directions: Tensor
    log_norms: Tensor
    index: Tensor

    @classmethod
    def of(cls, neurons: Tensor, index: Tensor, log_factor: float = 0.0) -> DormantNeurons:
        """Split `neurons * exp(log_factor)`, (K, D), into direction and log norm."""
        directions, log_norms = directions_and_log_norms(neurons)
        return cls(directions, log_norms + log_factor, index)

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
        threshold: norm at which a neuron activates; may be infinite.
        tolerance: error per step of a direction (radians) and of a log norm.
        observe: called with (time, neurons) after each accepted step.
        most_steps: after so many it gives up.
    """

    def __init__(
        self, architecture: Architecture, threshold: float, tolerance: float, statistics: IntegrationStatistics,
        observe: Callable[[float, DormantNeurons], None], most_steps: int = LARGEST_STEP_COUNT,
    ) -> None:
        self.most_steps = most_steps
        self.architecture = architecture
        self.log_threshold = math.log(threshold)
        self.tolerance = tolerance
        self.statistics = statistics
        self.observe = observe
        self.step: float | None = None
        self.exhausted = False

    def advance(
        self, dormant: DormantNeurons, drive: UtilityField | ResidualAt, start: float, end: float
    ) -> tuple[DormantNeurons, float, int | None]:
        """Flow from `start` to at most `end`.

        Args:
            drive: the gradient of the utilities, or a residual that it follows from.

        Returns:
            The neurons, the time reached, and the row of the neuron that has just reached the
            threshold, or None if `end` came first, every velocity vanished, or the step budget ran out
            (then `exhausted` is set).
        """
        if dormant.index.shape[0] == 0:
            return dormant, end, None
        field = drive if isinstance(drive, UtilityField) else ResidualField(self.architecture, drive, dormant.index)
        run = _Run(self, field, dormant)
        controller = StepController(self.tolerance, field.order)
        time, steps = start, 0
        run.begin(time)
        while time < end:
            row = run.ready()
            if row is not None:
                return run.neurons(), time, row
            fastest = run.speed()
            # Nothing moves by more than a hundredth of the tolerance until the end.
            if fastest == 0 or fastest * (end - time) < 0.01 * self.tolerance:
                break
            # At first so short that no neuron turns by more than 0.01 radians or grows by more than 1%.
            step = min(self.step or 0.01 / fastest, end - time)
            with np.errstate(over="ignore", invalid="ignore"):  # a step that is far too long is rejected
                error = run.attempt(time, step)
            self.step = controller.next_step(step, error)
            if not controller.accepts(error):
                self.statistics.rejected_steps += 1
                continue
            row = run.crossing()
            if row is not None:
                step, row = run.locate(time, step, row)
            time = end if step == end - time else time + step
            run.accept()
            self.statistics.accepted_steps += 1
            self.observe(time, run.neurons())
            if row is not None:
                return run.neurons(), time, row
            steps += 1
            if steps > self.most_steps:
                self.exhausted = True
                return run.neurons(), time, None
            run.begin(time)
        return run.neurons(), end, None


class _Run:
    """One integration: the state (K, m + 1) of direction and log norm, and the step being tried."""

    def __init__(self, flow: DormantFlow, field: UtilityField, dormant: DormantNeurons) -> None:
        self.flow, self.field, self.index = flow, field, dormant.index
        self.degree = flow.architecture.homogeneity_degree
        self.mixing = flow.architecture.interchangeable_neurons
        self.state = self._joined(dormant.directions, dormant.log_norms)
        self.tableau = _Tableau.of(field.order, flow.architecture.dtype, dormant.directions.device)
        self.slopes = namespace(self.state).stack([self.state] * len(self.tableau.nodes))

    def begin(self, time: float) -> None:
        """Evaluate the velocity at the state."""
        self.slopes[0] = self._velocity(time, self.state)

    def ready(self) -> int | None:
        """A row that is on the threshold and growing, if any."""
        # To the accuracy with which a crossing is located.
        ready = (self._excess(self.state) >= -CROSSING_TOLERANCE) & (self.slopes[0, :, -1] > 0)
        return int(ready.nonzero()[0][0]) if bool(ready.any()) else None

    def speed(self) -> float:
        """The largest velocity of a neuron."""
        return math.sqrt(float((self.slopes[0] * self.slopes[0]).sum(1).max()))

    def attempt(self, time: float, step: float) -> float:
        """Try a step; the largest error of a neuron."""
        tableau, shape, slopes = self.tableau, self.state.shape, self.slopes.reshape(len(self.slopes), -1)
        for stage in range(1, len(tableau.nodes)):
            inside = self.state + step * (tableau.stages[stage] @ slopes[:stage]).reshape(shape)
            self.slopes[stage] = self._velocity(time + tableau.nodes[stage] * step, inside)
        self.new = self.state + step * (tableau.result @ slopes).reshape(shape)
        errors = step * (tableau.errors @ slopes).reshape(-1, *shape)
        squares = (errors * errors).sum(2)
        if len(squares) == 2:  # the estimate of order 7 by Hairer, Norsett & Wanner, section II.10
            tiny = torch.finfo(self.flow.architecture.dtype).tiny
            squares = squares[0] * (squares[0] / (squares[0] + 0.01 * squares[1] + tiny))
        return math.sqrt(float(squares.max()))

    def crossing(self) -> int | None:
        """A row that crosses the threshold upwards within the step, if any."""
        # A neuron that came back from a collapse sits on the threshold and is driven down first: that is no crossing.
        below = (self._excess(self.state) < 0) | (self.slopes[0, :, -1] < 0)
        crossed = below & (self._excess(self.new) >= 0)
        return int(crossed.nonzero()[0][0]) if bool(crossed.any()) else None

    def locate(self, time: float, step: float, row: int) -> tuple[float, int]:
        """The step length after which the first neuron sits on the threshold, and its row: safeguarded Newton."""
        low, high, trial = 0.0, step, step
        for _ in range(60):  # if only by halving, the length is then known to rounding
            excess = self._excess(self.new)
            row = int(excess.argmax())
            value = float(excess[row])
            if abs(value) <= CROSSING_TOLERANCE or high - low <= 1e-15 * (time + step):
                break
            low, high = (trial, high) if value < 0 else (low, trial)
            slope = float(self._velocity(time + trial, self.new)[row, -1])
            newton = trial - self._lag(value, slope)
            trial = newton if low < newton < high else 0.5 * (low + high)
            self.attempt(time, trial)
        return trial, row

    def accept(self) -> None:
        """Go on from where the step led, with unit directions."""
        directions = self.new[:, :-1]
        self.new[:, :-1] = directions / ((directions * directions).sum(1) ** 0.5)[:, None]
        self.state = self.new
        if self.mixing:
            self._mix()

    def neurons(self) -> DormantNeurons:
        """The state as neurons."""
        return DormantNeurons(self.field.decode(self.state[:, :-1]), as_tensor(self.state[:, -1]), self.index)

    def _velocity(self, time: float, state: Array) -> Array:
        """Time derivative of (direction, log norm), (K, m + 1)."""
        self.flow.statistics.gradient_evaluations += 1
        directions, log_norms = state[:, :-1], state[:, -1]
        gradient = self.field.gradient(time, directions, log_norms)
        # Euler's theorem: <d, grad U> = kappa U; taken off the gradient, it keeps |d| = 1.
        growth = (directions * gradient).sum(1)
        numbers = namespace(state)
        velocity = numbers.empty_like(state)
        velocity[:, :-1] = gradient - growth[:, None] * directions
        velocity[:, -1] = growth
        if self.degree != 2:
            velocity *= numbers.exp((self.degree - 2) * log_norms)[:, None]
        return velocity

    def _excess(self, state: Array) -> Array:
        """Log norm above the log threshold, (K,)."""
        return state[:, -1] - self.flow.log_threshold

    def _lag(self, value: float, slope: float) -> float:
        """Time since the crossing at an excess and its slope: Newton in norm^(2 - degree), which is nearly linear."""
        if slope <= 0:
            return math.nan
        # n^(-power) falls at the rate power * kappa * U, which hardly changes near the crossing. 500: e^500 is finite.
        power = self.degree - 2
        return value / slope if power == 0 else math.expm1(min(power * value, 500.0)) / (power * slope)

    def _mix(self) -> None:
        """Replace neurons that turn to one direction by equivalent ones that do not."""
        mixtures = self.flow.architecture.independent_mixtures(
            self.field.decode(self.state[:, :-1]), as_tensor(self.state[:, -1]))
        if mixtures is not None:
            self.state = self._joined(*mixtures)

    def _joined(self, directions: Tensor, log_norms: Tensor) -> Array:
        states = self.field.encode(directions)
        return namespace(states).concatenate([states, native(log_norms)[:, None]], -1)


@dataclass(frozen=True)
class _Tableau:
    """Nodes (s,), weights of each stage, of the result (s,) and of one or two error estimates (1 or 2, s)."""

    nodes: list[float]
    stages: list[Array]
    result: Array
    errors: Array

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, order: int, dtype: torch.dtype, device: torch.device) -> _Tableau:
        """The coefficients of order 5 or 8, in the precision and at the place of a state."""
        def array(values: Any) -> Array:
            return native(torch.tensor(np.asarray(values), dtype=dtype, device=device))

        if order == 8:
            rows, nodes, result = list(DOP853.A), DOP853.C, DOP853.B
            errors = [DOP853.E5[:-1], DOP853.E3[:-1]]  # which do not use the result's slope
        else:
            # One more stage than the result needs: the error uses the slope there.
            rows, nodes, result = [*RK45.A, RK45.B], np.append(RK45.C, 1.0), np.append(RK45.B, 0.0)
            errors = [RK45.E]
        return cls([float(node) for node in nodes], [array(row[:stage]) for stage, row in enumerate(rows)],
                   array(result), array(errors))
