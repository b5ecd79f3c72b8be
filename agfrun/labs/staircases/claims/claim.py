"""What a claim sees and what it says."""

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

    def acquisitions(self, source: str) -> list[Event]:
        """Acquisitions predicted (`agf`) or measured (`training`), in order of time."""
        events = self.predicted if source == "agf" else self.measured
        return [event for event in events if event.kind == "acquisition"]


@dataclass(frozen=True)
class Claim:
    """One checked claim: a row of claims.csv.

    Attributes:
        claim: short name.
        source: whose numbers were checked: `training`, `agf` or `theory`.
        statement: the claim in words, with where the paper makes it.
        expected, measured: numbers or short texts.
        tolerance: how far measured may be from expected; None for an exact statement.
        holds: the verdict.
    """

    claim: str
    source: str
    statement: str
    expected: float | str
    measured: float | str
    tolerance: float | None
    holds: bool


def close(claim: str, source: str, statement: str, expected: float, measured: float, tolerance: float,
          scale: float | None = None) -> Claim:
    """A claim that two numbers agree to `tolerance`, relative to `scale` (default: the expected number)."""
    reference = abs(expected) if scale is None else scale
    return Claim(claim, source, statement, expected, measured, tolerance,
                 abs(measured - expected) <= tolerance * reference)
