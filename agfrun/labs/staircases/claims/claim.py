"""What the claims about a run see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.theory import Theory

NOTHING_LEARNED = "training acquired nothing, so that nothing was put to the test"


@dataclass(frozen=True)
class Evidence:
    """Everything a run has established.

    Attributes:
        architecture, initial: the problem; neurons (H, D), zero where they are below the smallest float.
        log_init_scale: natural logarithm of the initialization scale alpha.
        threshold: norm at which a dormant neuron activates.
        prediction, training: the two paths; `is_flow` tells whether training was a gradient flow.
        theory: closed forms, if any.
        predicted, measured: events of the two.
        comparison: rows of comparison.csv.
    """

    architecture: Architecture
    initial: Tensor
    log_init_scale: float
    threshold: float
    prediction: Prediction
    training: TrainingResult
    is_flow: bool
    theory: Theory | None
    predicted: Sequence[Event]
    measured: Sequence[Event]
    comparison: Sequence[dict[str, Any]]

    def complete(self, source: str) -> bool:
        """Whether a path (`agf` or `training`) went on until nothing was left to learn."""
        return self.prediction.complete if source == "agf" else self.training.status == "converged"

    def end(self, source: str) -> str:
        """Where a path ended, in a few words: why what comes later is open."""
        path, status = ("AGF", "complete" if self.prediction.complete else "incomplete") if source == "agf" else (
            "training", self.training.status)
        count = len(self.acquisitions(source))
        return f"{path} ended ({status}) after {count} acquisition{'' if count == 1 else 's'}"

    @property
    def learned(self) -> bool:
        """Whether training acquired anything: before that its neurons have hardly moved, and show nothing."""
        return len(self.acquisitions("training")) > 0

    def compared(self, kind: str) -> list[dict[str, Any]]:
        """Rows of the comparison about events of a kind, as they are predicted."""
        return [row for row in self.comparison if row["kind"] == kind]

    def acquisitions(self, source: str) -> list[Event]:
        """Acquisitions predicted (`agf`) or measured (`training`), in order of time."""
        events = self.predicted if source == "agf" else self.measured
        return [event for event in events if event.kind == "acquisition"]
