"""What a task of a job array does on its node. Importing this imports next to nothing: submitit's side does so too."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from subprocess import CalledProcessError
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


@dataclass(frozen=True)
class BatchTask:
    """One batch of a sweep, as submitit takes it: a callable that can be started anew."""

    folder: str
    batch: int

    def __call__(self) -> None:
        """Run the batch's jobs that are not finished."""
        _work_on_to_the_limit()
        from agfrun.sweep.worker import run_batch  # pandas

        run_batch(self.folder, self.batch)

    def checkpoint(self) -> DelayedSubmission:
        """What to do when started anew: the same, since finished jobs are in their folders."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _work_on_to_the_limit() -> None:
    """Some time before the limit Slurm sends a signal, upon which submitit starts the batch anew.

    Where that is not wanted (any more) submitit raises an error in the midst of whatever runs. The job at hand would
    take it for a failure of its own; rather let it use the time that it has, and let Slurm say why it died.
    """
    from submitit.core.job_environment import JobEnvironment
    from submitit.core.utils import UncompletedJobError

    number = JobEnvironment._usr_sig()
    start_anew = signal.getsignal(number)
    if not callable(start_anew):
        return

    def heed(received: int, frame: FrameType | None) -> None:
        try:
            start_anew(received, frame)
        except (UncompletedJobError, CalledProcessError, OSError) as error:
            print(f"agfrun: {error}", flush=True)

    signal.signal(number, heed)
