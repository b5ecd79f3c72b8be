"""What a training run returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics
from agfrun.labs.staircases.dynamics.recorder import Recorder
from agfrun.labs.staircases.dynamics.trajectory import Trajectory


@dataclass
class TrainingResult:
    """A finished, or interrupted, training run.

    Attributes:
        trajectory: observables along the path.
        final: neurons at the end, (H, D).
        reason: one sentence on why training ended.
        status: `converged`, `horizon`, `diverged`, `stalled` or `interrupted`.
        statistics: cost of a flow's integration; for gradient descent only gradient evaluations count.
        clock: how optimizer steps became gradient-flow time; empty for a flow.
    """

    trajectory: Trajectory
    recorder: Recorder
    final: Tensor
    status: str
    reason: str
    statistics: IntegrationStatistics
    clock: dict[str, float | str] = field(default_factory=dict)
