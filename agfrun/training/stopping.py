"""When a training has come far enough."""

from __future__ import annotations

import math
from collections.abc import Mapping

from agfrun.files.training_state import TrainingState
from agfrun.study.checks import one_of
from agfrun.training.settings import LoopSettings


class EarlyStop:
    """Watches one number of the rows: its target, and how long it has not improved.

    Args:
        settings: `watch`, `larger_is_better`, `patience`, `improvement` and `target`.
    """

    def __init__(self, settings: LoopSettings) -> None:
        self.settings = settings
        self.sign = -1.0 if settings.larger_is_better else 1.0
        self.best = math.inf  # of sign times the number
        self.waited = 0

    @property
    def needed(self) -> bool:
        """Whether there is anything to watch for."""
        return self.settings.patience is not None or self.settings.target is not None

    def watched(self, row: Mapping[str, float | int | None]) -> float:
        """The watched number of a row.

        Raises:
            ConfigError: the row has no such number.
        """
        one_of("train.watch", self.settings.watch, [name for name in row if name not in ("step", "epoch", "seconds")])
        value = row[self.settings.watch]
        return math.nan if value is None else float(value)

    def look(self, value: float, step: int) -> str | None:
        """Take note of the watched number at a step; why training is to end, if it is."""
        settings, value = self.settings, self.sign * value
        if settings.target is not None and value <= self.sign * settings.target:
            return f"{settings.watch} {self.sign * value:.6g} has reached the target {settings.target:g} at step {step}"
        if value < self.best - settings.improvement:
            self.best, self.waited = value, 0
        else:  # a number that is not finite is no improvement either
            self.waited += 1
        if settings.patience is not None and self.waited >= settings.patience:
            return f"{settings.watch} has not improved in {self.waited} rows, up to step {step}"
        return None

    def state(self) -> TrainingState:
        """What it remembers."""
        return TrainingState({"best": self.best, "waited": self.waited})

    def restore(self, state: TrainingState) -> None:
        """Take up a state."""
        self.best, self.waited = float(state.numbers["best"]), int(state.numbers["waited"])
