"""The members of an ensemble: which seed at which scale, and what became of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.run.pipeline import Plan, Result
from agfrun.study.interruption import interruption_of
from agfrun.study.schema import EnsembleConfig, RunConfig

UNFINISHED = "interrupted"
FAILED = "failed"


@dataclass
class Member:
    """One run among many.

    Attributes:
        number: from 0; seeds of the first scale come first.
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
    def steps(self) -> int:
        """Accepted steps of its training."""
        return self.training.statistics.accepted_steps if self.training is not None else 0


def raise_interruption(members: Sequence[Member]) -> None:
    """Raise what ended the training of a member before its time, if something did."""
    for member in members:
        if member.status == UNFINISHED:
            raise interruption_of(member.reason)


def members_of(config: RunConfig) -> list[Member]:
    """The members that a configuration asks for."""
    scales = config.ensemble.scales
    inits = [config.init] if scales is None else [dataclasses.replace(config.init, scale=scale) for scale in scales]
    cases = [(init, seed) for init in inits for seed in range(config.seed, config.seed + config.ensemble.seeds)]
    return [Member(number, dataclasses.replace(config, seed=seed, init=init, ensemble=EnsembleConfig(), plots=False))
            for number, (init, seed) in enumerate(cases)]


def trained(members: Sequence[Member]) -> list[Member]:
    """Those with a training, complete or not."""
    return [member for member in members if member.training is not None]
