"""What an engine is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol


class Engine(Protocol):
    """Runs the batches of a sweep. What came of the jobs is read from their folders, never from the engine."""

    @property
    def workers(self) -> int | None:
        """Batches that run at once; None if there is no telling."""

    preload: tuple[str, ...]
    """Modules that processes may share, if the engine's do."""

    def run(self, folder: Path, batches: Sequence[int], ended: Callable[[int, str], None]) -> None:
        """Run each batch of a sweep in a process of its own, by `agfrun.sweep.worker.run_batch(folder, batch)`.

        Args:
            folder: of the sweep.
            batches: numbers of the batches.
            ended: to be called once for each batch that is over, with its number and why its process died, in one
                line; empty where it came to its end by itself.

        Raises:
            KeyboardInterrupt: interrupted; what was under way is ended.
        """
