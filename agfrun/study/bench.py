"""What a study works at: where it saves, what it goes on from, and how long its stages take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from agfrun.study.stage_clock import StageClock

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Value = TypeVar("Value")


class Store(Protocol):
    """Where a bench keeps things: the folder of a run."""

    folder: Path

    def save(self, tables: Mapping[str, pd.DataFrame], words: Mapping[str, Any]) -> None:
        """Write tables and words as they are now."""

    def checkpoints(self, name: str) -> Any:
        """The `agfrun.files.checkpoints.CheckpointFolder` of one of the run's trainings."""

    def steps(self) -> Steps:
        """What was remembered of the run's steps."""


class Steps(Protocol):
    """Results of steps by name."""

    def get(self, key: str) -> tuple[bool, Any]:
        """Whether the step was done, and what came of it."""

    def add(self, key: str, value: Any) -> None:
        """Remember what came of a step."""


class Bench:
    """What a study works at.

    Attributes:
        progress: whether to show a bar; None decides by whether standard error is a terminal.
        resume: whether the run goes on from what an earlier process left.
        clock: wall seconds by stage; a study may add stages of its own.
        folder: of the run, None where nothing is written.

    Args:
        store: the run's folder; None: nothing is written.
    """

    def __init__(self, store: Store | None = None, *, progress: bool | None = None, resume: bool = False) -> None:
        self.progress, self.resume = progress, resume
        self.clock = StageClock(self.shows)
        self._store = store
        self.folder = store.folder if store is not None else None

    @property
    def shows(self) -> bool:
        """Whether bars are shown."""
        return sys.stderr.isatty() if self.progress is None else self.progress

    def save(self, tables: Mapping[str, pd.DataFrame], words: Mapping[str, Any] | None = None) -> None:
        """Write tables, and words for labels.json, as far as they are known.

        To be called whenever something is finished, so that nothing is lost to a later failure.

        Raises:
            OutputError: they cannot be written.
        """
        if self._store is not None:
            self._store.save(tables, words or {})

    def checkpoints(self, name: str = "") -> Any:
        """Where states of a training under way are kept (`CheckpointFolder`); None where nothing is written.

        What `agfrun.training.train` and the trainers of the laboratories take; the runner removes it at the end.

        Args:
            name: tells a training from all others of the run; one word, where there are several.
        """
        return self._store.checkpoints(name) if self._store is not None else None

    def last_state(self, name: str = "") -> Any:
        """The state that a training goes on from (`TrainingState`); None where it begins anew.

        Args:
            name: that of its checkpoints.
        """
        checkpoints = self.checkpoints(name) if self.resume else None
        return checkpoints.latest() if checkpoints is not None else None

    def remember(self, key: str, task: Callable[[], Value]) -> Value:
        """Do a step once: what `task` returns, or what it returned before the run was interrupted.

        Args:
            key: tells the step from all others of the run.
            task: returns plain values (numbers, texts, None, lists and mappings of them); numbers come back bit for
                bit. What it raises is not remembered.
        """
        if self._store is None:
            return task()
        steps = self._store.steps()
        done, value = steps.get(key)
        if not done:
            steps.add(key, task())
            _, value = steps.get(key)
        return value  # type: ignore[no-any-return]
