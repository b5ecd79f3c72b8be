"""Many seeds of one configuration in memory: predicted one by one, trained together, judged one by one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tqdm import tqdm

from agfrun.files.series import attempt
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.ensemble.members import Member, members_of, raise_interruption
from agfrun.labs.staircases.ensemble.training import Batch, batches, train_members
from agfrun.labs.staircases.run.pipeline import judge, prepare
from agfrun.labs.staircases.run.problem import build_architecture, draw_initialization
from agfrun.labs.staircases.run.single import check_seeds
from agfrun.study.settings import validate


def run_seeds(config: RunConfig, seeds: int, *, progress: bool | None = None) -> list[Member]:
    """Predict, train and compare from many seeds; a sweep does the same with files (`agfrun -m seed=...`).

    A member that fails or diverges says so itself and leaves the others alone.

    Args:
        config: of a run of the study `compare`; validated here.
        seeds: how many, counted from `seed`.
        progress: show bars; None decides by whether standard error is a terminal.

    Returns:
        The members in the order of their seeds, each with its `result`, or why it has none.

    Raises:
        ConfigError: a value is not allowed, or the initialization cannot be held.
        KeyboardInterrupt: interrupted.
    """
    validate(config)
    check_seeds(config, seeds, "seeds")
    members = members_of(config, seeds)
    shown = sys.stderr.isatty() if progress is None else progress
    architecture = build_architecture(config)
    draw_initialization(config, architecture)  # a scale that cannot be held is the configuration's fault
    _each(members, "plan", lambda member: prepare(member.config, architecture), shown)
    for batch in batches([member for member in members if not member.failure]):
        _train_shown(batch, shown)
        raise_interruption(batch.members)
    _each(members, "result", _judged, shown)
    return members


def _each(members: Sequence[Member], name: str, task: Callable[[Member], Any], shown: bool) -> None:
    """Set one attribute of every member to what `task` makes of it; a failure is the member's own."""
    for member in tqdm(members, disable=not shown, desc=f"members: {name}", file=sys.stderr, leave=False):
        if member.failure:
            continue
        made = attempt(partial(task, member))
        setattr(member, name, made.outcome)
        member.failure = made.reason
        member.seconds += made.seconds


def _judged(member: Member) -> Any:
    if member.plan is None or member.training is None:
        return None
    return judge(member.plan, member.training)


def _train_shown(batch: Batch, shown: bool) -> dict[str, Any]:
    with tqdm(total=len(batch.members), disable=not shown, desc="training members", file=sys.stderr,
              leave=False) as bar:
        def show(ended: int) -> None:
            bar.update(ended - bar.n)

        return train_members(batch, show if shown else None)
