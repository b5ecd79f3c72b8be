"""What AGF predicts: the same observables and events as a training run, and how each phase ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event

# Of its time: from so wide an interval of an activation on, it is told in words.
NOTABLE_SPREAD = 0.05


@dataclass(frozen=True)
class Round:
    """One alternation: a utility phase that ends in an activation, then a cost phase.

    Attributes:
        time: gradient-flow time of the activation.
        neuron: index of the neuron that activated.
        feature: label of the feature that it points at.
        collapsed: neurons that returned to the dormant set.
        loss: cost after the cost phase.
        gradient_norm, remaining, smallest_curvature, slowest_rate, cost_reason: certificate of the critical point, see
            `CriticalPoint`.
        earliest, latest: times of the activation over the admissible cuts of the cost phase before, if that ended in
            a valley; the time itself otherwise. Infinite if no neuron would activate.
    """

    time: float
    neuron: int
    feature: str
    collapsed: tuple[int, ...]
    loss: float
    gradient_norm: float
    remaining: float
    smallest_curvature: float
    slowest_rate: float
    cost_reason: str
    earliest: float
    latest: float


@dataclass(frozen=True)
class Prediction:
    """The AGF prediction of a training run.

    Attributes:
        trajectory: observables along the predicted path, of the source `agf` or `decoupled`.
        events: activations and collapses, in order.
        rounds: the alternations, in order.
        final: neurons at the end, (H, D).
        method: `generic` or `closed_form`.
        cost_phase: `instantaneous` or `decoupled`.
        complete: whether it ended because nothing was left to learn.
        reason: one sentence on why the prediction ended.
        statistics: what it cost.
    """

    trajectory: Trajectory
    events: tuple[Event, ...]
    rounds: tuple[Round, ...]
    final: Tensor
    method: str
    cost_phase: str
    complete: bool
    reason: str
    statistics: IntegrationStatistics

    @property
    def source(self) -> str:
        """Which rung of the ladder it is."""
        return self.trajectory.source

    @property
    def last_time(self) -> float:
        """Time of the last activation, 0 if there is none."""
        return self.rounds[-1].time if self.rounds else 0.0

    def cut_sensitivity(self) -> str:
        """One clause on the activation that depends most on where a valley is cut; empty where none does by 5 %."""
        def spread(stage: Round) -> float:
            return (stage.latest - stage.earliest) / stage.time if stage.time > 0 else 0.0

        widest = max(self.rounds, key=spread, default=None)
        if widest is None or not spread(widest) > NOTABLE_SPREAD:
            return ""
        latest = f"{widest.latest:.4g}" if math.isfinite(widest.latest) else "never"
        return (f"predicted times depend on where a cost phase without a minimum is cut: most of all the activation of "
                f"neuron {widest.neuron} at {widest.time:.4g} (from {widest.earliest:.4g} to {latest})")

    def extended_to(self, time: float) -> Prediction:
        """The same prediction, its path held at the last state up to `time` if it ended before."""
        path = self.trajectory
        if time <= path.times[-1]:
            return self
        held = path.at_rows(np.append(np.arange(len(path.times)), -1))
        return replace(self, trajectory=replace(held, times=np.append(path.times, time)))
