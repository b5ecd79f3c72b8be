"""Batches one after another in this process: for debuggers, and where no second process is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SerialEngine:
    """Everything in this process; a job that kills it ends the sweep."""

    workers: int = 1
    preload: tuple[str, ...] = field(default=(), init=False)

    def run(self, folder: Path, batches: Sequence[int], ended: Callable[[int, str], None]) -> None:
        """See `Engine`."""
        from agfrun.sweep.worker import run_batch  # pandas

        for batch in batches:
            run_batch(str(folder), batch)
            ended(batch, "")
