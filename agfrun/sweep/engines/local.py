"""Processes on this machine, a fresh one for each batch.

They are forked from a server that has imported everything once, so that a process costs some milliseconds, and
they share nothing with one another: no pool, no queue, no lock. One that is killed takes its own batch with it
and nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from agfrun.study.checks import require

# Before the first NumPy or torch in the server: one thread pool for each of these libraries.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PATIENCE = 20.0


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class LocalEngine:
    """At most `workers` processes at once; all cores unless told.

    Raises:
        ConfigError: `workers` is not allowed.
    """

    workers: int | None = None
    preload: tuple[str, ...] = field(default=(), init=False)
    _running: dict[int, tuple[ForkServerProcess, int]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        require("hydra.launcher.workers", self.workers,
                self.workers is None or (isinstance(self.workers, int) and self.workers >= 1),
                "an integer of at least 1, or null for all cores")
        self.workers = self.workers or available_cores()

    def run(self, folder: Path, batches: Sequence[int], ended: Callable[[int, str], None]) -> None:
        """See `Engine`."""
        threads = max(1, available_cores() // (self.workers or 1))
        for name in THREADS:
            os.environ.setdefault(name, str(threads))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["agfrun.sweep.engines.preload", *self.preload])
        waiting = deque(batches)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < (self.workers or 1):
                    batch = waiting.popleft()
                    process = context.Process(target=_work, args=(str(folder), batch, threads))
                    process.start()
                    self._running[process.sentinel] = process, batch
                over = set(wait(list(self._running)))
                for sentinel in [sentinel for sentinel in self._running if sentinel in over]:
                    process, batch = self._running.pop(sentinel)
                    process.join()
                    ended(batch, death(process.exitcode or 0))
        except BaseException:
            self._end_all()
            raise

    def _end_all(self) -> None:
        """Interrupt what runs, so that it writes what is finished; end what does not heed that."""
        for process, _ in self._running.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGINT)
        for process, _ in self._running.values():
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
        self._running.clear()


def death(exit_code: int) -> str:
    """Why a process with this exit code died, in one line; empty if it ended by itself."""
    if exit_code >= 0:
        return f"its process ended with status {exit_code}" if exit_code else ""
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = "unknown"
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"its process was killed by signal {-exit_code} ({name}{hint})"


def _work(folder: str, batch: int, threads: int) -> None:
    """In the child, which the server has taught to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    from agfrun.sweep.worker import main  # in the server already

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    sys.exit(main([folder, str(batch)]))


def _die_with_parent() -> None:
    """End at once when the sweep's process is gone: all files are written atomically, so that nothing is torn."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
