"""Batches as tasks of Slurm's job arrays, submitted through submitit.

That a batch has come to its end is read from the sweep's folder. Slurm itself is asked for those that have not:
with accounting and without, since squeue knows a job for some minutes after its death.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agfrun.files.sweep_folder import SweepFolder
from agfrun.study.checks import require
from agfrun.study.errors import OutputError, UsageError
from agfrun.sweep.engines import slurm_queue
from agfrun.sweep.engines.slurm_watch import Watch

if TYPE_CHECKING:
    from submitit import SlurmExecutor

COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol")
SUBMITIT_FOLDER = "submitit"
JOB_NAME = "agfrun"
# What sbatch says where a user may not have more jobs in the queue for now, or the controller has no time.
LATER = ("SubmitJobLimit", "SubmitJobsLimit", "MaxSubmit", "maximum job submission", "job submit limit",
         "job count limit", "Slurm temporarily unable", "Socket timed out", "Unable to contact",
         "Resource temporarily unavailable")
PAUSE, LONGEST_PAUSE = 1.0, 30.0
ATTEMPTS = 5


@dataclass
class SlurmEngine:
    """Job arrays of one task a batch. Names and meanings of the fields are submitit's.

    Attributes:
        partition, account, qos, constraint, nodelist, exclude, gres: as sbatch's options; None leaves them out.
        timeout_min: minutes that a batch may take.
        cpus_per_task: cores of a batch; its libraries use as many threads.
        gpus_per_node: GPUs of a batch.
        mem_gb: memory of a batch in GB; None is the partition's default.
        array_parallelism: batches that run at once at most.
        max_array_size: tasks of one array; None is the cluster's own bound.
        requeue: whether Slurm may start a batch anew that was preempted or lost its node; it goes on with the jobs
            that are not finished.
        max_num_timeout: how often a batch that has run into its time limit is started anew (needs `requeue`).
        signal_delay_s: seconds before the time limit at which that happens.
        setup, teardown: shell commands before and after, on the node.
        python: command that starts Python there, such as one in a container; None is this Python.
        use_srun: start it as a step of the job.
        srun_args: further arguments of srun.
        additional_parameters: further options of sbatch by name, without the dashes.
        poll_s: seconds between two questions to Slurm, at most.
        patience_s: how long to wait for files that a node has written to show up here.

    Raises:
        ConfigError: a field is not allowed.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodelist: str | None = None
    exclude: str | None = None
    gres: str | None = None
    timeout_min: int = 60
    cpus_per_task: int = 1
    gpus_per_node: int | None = None
    mem_gb: float | None = 4.0
    array_parallelism: int = 256
    max_array_size: int | None = None
    requeue: bool = False
    max_num_timeout: int = 0
    signal_delay_s: int = 90
    setup: Sequence[str] = ()
    teardown: Sequence[str] = ()
    python: str | None = None
    use_srun: bool = True
    srun_args: Sequence[str] = ()
    additional_parameters: Mapping[str, Any] = field(default_factory=dict)
    poll_s: float = 15.0
    patience_s: float = 60.0
    _submitted: list[str] = field(default_factory=list, init=False)
    preload: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        for name in ("timeout_min", "cpus_per_task", "array_parallelism"):
            self._require_integer(name, 1)
        for name in ("gpus_per_node", "max_array_size"):
            if getattr(self, name) is not None:
                self._require_integer(name, 1)
        for name in ("max_num_timeout", "signal_delay_s"):
            self._require_integer(name, 0)
        for name in ("mem_gb", "poll_s", "patience_s"):
            value = getattr(self, name)
            self._require(name, (name == "mem_gb" and value is None) or _is_positive(value), "a number above 0")
        for name in ("setup", "teardown", "srun_args"):
            value = getattr(self, name)
            self._require(name, not isinstance(value, str) and all(isinstance(line, str) for line in value),
                          "a list of texts")
        self._require("additional_parameters", isinstance(self.additional_parameters, Mapping),
                      "options of sbatch with their values")
        self._require("max_num_timeout", self.requeue or not self.max_num_timeout,
                      "0 where hydra.launcher.requeue=false")

    @property
    def workers(self) -> int | None:
        """No telling: that depends on who else is in the queue."""
        return None

    def run(self, folder: Path, batches: Sequence[int], ended: Callable[[int, str], None]) -> None:
        """See `Engine`.

        Raises:
            UsageError: Slurm or submitit is not there, or sbatch refuses what it is asked for.
            OutputError: Slurm still works on an earlier launch of this sweep.
        """
        executor = self._executor(folder)
        watch = Watch(folder, Path(executor.folder), self.poll_s, self.patience_s, self.timeout_min)
        size = self.max_array_size or slurm_queue.max_array_size()
        waiting = deque(batches[start:start + size] for start in range(0, len(batches), size))
        submission = _Submission(executor, folder, self._submitted)
        try:
            while waiting or watch.batches:
                if waiting and submission.is_due:
                    watch.batches.update(submission.submit(waiting, bool(watch.batches)))
                for batch, reason in watch.over():
                    ended(batch, reason)
                if waiting or watch.batches:
                    time.sleep(PAUSE)
        except BaseException:
            slurm_queue.cancel(watch.arrays)
            raise

    def _executor(self, folder: Path) -> SlurmExecutor:
        try:
            from submitit import SlurmExecutor
        except ImportError:
            raise UsageError("hydra/launcher=submitit_slurm needs submitit: pip install 'agfrun[slurm]'") from None
        missing = [command for command in COMMANDS if shutil.which(command) is None]
        if missing:
            raise UsageError(f"hydra/launcher=submitit_slurm needs Slurm's commands, but {', '.join(missing)} cannot "
                             "be found here; start the sweep where jobs are submitted from, such as a login node")
        own = SweepFolder(folder).own(SUBMITIT_FOLDER)
        _refuse_beside_earlier(own, self._submitted)
        executor = SlurmExecutor(own, max_num_timeout=self.max_num_timeout, python=self.python)
        try:
            executor.update_parameters(**self._parameters())
        except (TypeError, ValueError) as error:
            raise UsageError(f"hydra.launcher: {' '.join(str(error).split())}") from error
        return executor

    def _parameters(self) -> dict[str, Any]:
        """Of sbatch, as submitit calls them."""
        names = ("partition", "account", "qos", "constraint", "nodelist", "exclude", "gres", "cpus_per_task",
                 "gpus_per_node", "array_parallelism", "signal_delay_s", "use_srun")
        threads = [f"export {name}=${{SLURM_CPUS_PER_TASK:-{self.cpus_per_task}}}"
                   for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")]
        given: dict[str, Any] = {
            **{name: getattr(self, name) for name in names},
            "job_name": JOB_NAME,
            "time": self.timeout_min,
            "mem": None if self.mem_gb is None else f"{math.ceil(self.mem_gb * 1024)}M",
            "setup": [*threads, *self.setup],
            "teardown": list(self.teardown) or None,
            "srun_args": list(self.srun_args) or None,
            "stderr_to_stdout": True,
            "additional_parameters": {"requeue" if self.requeue else "no-requeue": True, **self.additional_parameters},
        }
        return {name: value for name, value in given.items() if value is not None}

    def _require_integer(self, name: str, least: int) -> None:
        value = getattr(self, name)
        self._require(name, isinstance(value, int) and not isinstance(value, bool) and value >= least,
                      f"an integer of at least {least}")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        require(f"hydra.launcher.{name}", getattr(self, name), holds, allowed)


class _Submission:
    """Submits arrays, one after another; waits where the queue takes no more for now."""

    def __init__(self, executor: SlurmExecutor, folder: Path, submitted: list[str]) -> None:
        self._executor, self._folder, self._submitted = executor, folder, submitted
        self._pause, self._next, self._refused = PAUSE, 0.0, 0

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next try."""
        return time.monotonic() >= self._next

    def submit(self, waiting: deque[Sequence[int]], others_run: bool) -> dict[str, int]:
        """Submit the next array.

        Args:
            waiting: batches of each array; the one that was submitted is taken out.
            others_run: whether something is under way, whose end may make place.

        Returns:
            The batch of each of Slurm's jobs.
        """
        from submitit.core.utils import FailedJobError

        from agfrun.sweep.engines.slurm_task import BatchTask  # submitit

        try:
            with slurm_queue.quiet():
                jobs = self._executor.submit_array([BatchTask(str(self._folder), batch) for batch in waiting[0]])
        except FailedJobError as error:
            self._put_off(" ".join(str(error).split()), others_run)
            return {}
        self._pause, self._refused = PAUSE, 0
        self._submitted.append(jobs[0].job_id.partition("_")[0])
        return dict(zip((job.job_id for job in jobs), waiting.popleft(), strict=True))

    def _put_off(self, complaint: str, others_run: bool) -> None:
        self._refused += 1
        passing = any(text.lower() in complaint.lower() for text in LATER)
        if not passing or (not others_run and self._refused >= ATTEMPTS):
            raise UsageError(f"Slurm refused the sweep: {complaint or 'sbatch failed and did not say why'}")
        if self._refused == 1:
            print(f"agfrun: warning: Slurm takes no more jobs for now, trying again: {complaint}", file=sys.stderr)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)
        self._next = time.monotonic() + self._pause


def _refuse_beside_earlier(folder: Path, own: Sequence[str]) -> None:
    """Two launches must not work on the same jobs: the first may have been killed while its arrays went on."""
    earlier = sorted({path.name.partition("_")[0] for path in folder.glob("*_submission.sh")} - set(own))
    if not earlier:
        return
    alive = sorted({state.array for state in slurm_queue.ask_squeue(earlier) or ()
                    if state.script.startswith(str(folder)) and not state.is_final})
    if alive:
        raise OutputError(f"Slurm still works on an earlier launch of this sweep: wait for it, or end it with "
                          f"`scancel {' '.join(alive)}`")


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
