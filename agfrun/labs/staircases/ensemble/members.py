"""The members of an ensemble: which seed at which scale, and what became of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.run.result import Plan, Result
from agfrun.study.interruption import interruption_of

UNFINISHED = "interrupted"
FAILED = "failed"


@dataclass
class Member:
    """One run among many.

    Attributes:
        number: from 0.
        config: the single run that it stands for.
        plan, training, result: what is known so far.
        failure: why it failed, in one line; empty where it did not.
        seconds: wall seconds of what was computed for this member alone.
        shared_seconds: its share, by steps, of what was computed for many.
    """

    number: int
    config: RunConfig
    plan: Plan | None = None
    training: TrainingResult | None = None
    result: Result | None = None
    failure: str = ""
    seconds: float = 0.0
    shared_seconds: float = 0.0

    @property
    def status(self) -> str:
        """`failed`, or that of its training; `interrupted` where there is none."""
        if self.failure:
            return FAILED
        return self.training.status if self.training is not None else UNFINISHED

    @property
    def reason(self) -> str:
        """One sentence on how it ended."""
        if self.failure:
            return self.failure
        return self.training.reason if self.training is not None else "interrupted before it was trained"

    @property
    def order_agrees(self) -> bool | None:
        """Whether all predicted acquisitions come in their order; None if there is nothing to compare."""
        if self.result is None or self.status in GAVE_UP:
            return None
        agrees: bool | None = self.result.verdict["order_agrees"]
        return agrees

    @property
    def steps(self) -> int:
        """Accepted steps of its training."""
        return self.training.statistics.accepted_steps if self.training is not None else 0


def raise_interruption(members: Sequence[Member]) -> None:
    """Raise what ended the training of a member before its time, if something did."""
    for member in members:
        if member.status == UNFINISHED:
            raise interruption_of(member.reason)


def members_of(config: RunConfig, seeds: int) -> list[Member]:
    """Members from `seeds` seeds, counted from the configured one."""
    return [Member(number, dataclasses.replace(config, seed=config.seed + number, plots=False))
            for number in range(seeds)]


def trained(members: Sequence[Member]) -> list[Member]:
    """Those with a training, complete or not."""
    return [member for member in members if member.training is not None]
