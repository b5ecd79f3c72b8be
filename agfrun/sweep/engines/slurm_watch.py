"""Which batches in Slurm's hands are over, and why those died that did not come to their end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from agfrun.files.reading import MOST_LINES, read_bytes
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.writing import remove_file
from agfrun.study.errors import OutputError
from agfrun.sweep.engines import slurm_queue
from agfrun.sweep.engines.local import death
from agfrun.sweep.engines.slurm_queue import JobState

FIRST_POLL = 2.0
GROWTH = 1.3
# Causes for which a job waits until somebody does something about it.
STUCK = ("JobHeld", "held", "BadConstraints", "PartitionNodeLimit", "PartitionTimeLimit", "PartitionDown",
         "PartitionInactive", "NeverSatisfied", "InvalidAccount", "InvalidQOS", "ReqNodeNotAvail")
NO_WORD = "it is gone from Slurm's queue and left no word"


class Watch:
    """Follows batches that were submitted.

    Attributes:
        batches: the batch of each of Slurm's jobs that is not over yet.
    """

    def __init__(self, folder: Path, logs: Path, poll_s: float, patience_s: float, timeout_min: int) -> None:
        self.batches: dict[str, int] = {}
        self._sweep, self._logs, self._timeout_min = SweepFolder(folder), logs, timeout_min
        self._poll, self._longest_poll, self._patience = FIRST_POLL, poll_s, patience_s
        self._next = 0.0
        self._silent_since: dict[str, float] = {}
        self._told: set[str] = set()

    @property
    def arrays(self) -> list[str]:
        """Numbers of the arrays that are not over."""
        return sorted({job_id.partition("_")[0] for job_id in self.batches})

    def over(self) -> Iterator[tuple[int, str]]:
        """Batches that were not over at the last look, and why each died; empty where it came to its end."""
        yield from self._come_to_their_end()
        if not self.batches or time.monotonic() < self._next:
            return
        self._poll = min(self._longest_poll, GROWTH * self._poll)
        self._next = time.monotonic() + self._poll
        dead = self._dead()
        yield from self._come_to_their_end()  # some may have done so since the look above
        for job_id, reason in dead.items():
            if job_id in self.batches:
                yield self._forget(job_id), f"{reason} (Slurm job {job_id})"

    def _come_to_their_end(self) -> Iterator[tuple[int, str]]:
        for job_id in [job_id for job_id, batch in self.batches.items() if self._sweep.ended_file(batch).exists()]:
            yield self._forget(job_id), ""

    def _forget(self, job_id: str) -> int:
        """Also submitit's own files of the job, but for its log."""
        for path in self._logs.glob(f"{job_id}_*.pkl"):
            remove_file(path)
        self._silent_since.pop(job_id, None)
        return self.batches.pop(job_id)

    def _dead(self) -> dict[str, str]:
        """Why jobs are over that have not come to their end."""
        answer = slurm_queue.ask_squeue(self.arrays)
        if answer is None:
            self._tell("squeue", "Slurm does not answer; the sweep goes on waiting")
            return {}
        known = {state.job_id: state for state in answer}
        gone = sorted({job_id.partition("_")[0] for job_id in self.batches if job_id not in known})
        if gone:
            known.update({state.job_id: state for state in slurm_queue.ask_accounting(gone)
                          if state.job_id not in known})
        return {job_id: reason for job_id in self.batches
                if (reason := self._reason(job_id, known.get(job_id))) is not None}

    def _reason(self, job_id: str, state: JobState | None) -> str | None:
        """None where it is not over, as far as one can tell."""
        if state is None:
            return self._after_patience(job_id, NO_WORD)
        if not state.is_final:
            self._silent_since.pop(job_id, None)
            self._tell_if_stuck(state)
            return None
        if state.state == "COMPLETED":
            return self._after_patience(job_id, "its process ended early, with status 0")
        if state.state == "FAILED":
            return self._failure(job_id, state)
        sentences = {
            "TIMEOUT": f"it ran into its time limit of {self._timeout_min} minutes (hydra.launcher.timeout_min)",
            "NODE_FAIL": f"its node {state.nodes} was lost".replace("  ", " "),
            "OUT_OF_MEMORY": "it used more memory than it had asked Slurm for (hydra.launcher.mem_gb)",
            "CANCELLED": "it was cancelled in Slurm",
            "PREEMPTED": "it had to make place for another job (hydra.launcher.requeue=true starts it anew)",
        }
        return sentences.get(state.state, f"Slurm says {state.state}{f': {state.cause}' if state.cause else ''}")

    def _failure(self, job_id: str, state: JobState) -> str:
        code = state.exit_code or slurm_queue.ask_exit_codes(job_id).get(job_id, "")
        status, _, signal = code.partition(":")
        if signal.isdigit() and int(signal):
            return death(-int(signal))
        if status.isdigit() and int(status) > 128:  # a shell's way to say it
            return death(128 - int(status))
        said = self._last_line(job_id)
        return f"its process ended with status {status or 'unknown'}{f': {said}' if said else ''}"

    def _last_line(self, job_id: str) -> str:
        """The last that the process said that is not submitit's or Slurm's own."""
        try:
            content = read_bytes(self._logs / f"{job_id}_0_log.out", MOST_LINES)
        except OutputError:
            return ""
        lines = content.decode("utf-8", "replace").splitlines()
        said = [line for line in lines if line.strip() and not line.startswith(("submitit ", "srun:", "slurmstepd:"))]
        return " ".join(said[-1].split())[:300] if said else ""

    def _after_patience(self, job_id: str, reason: str) -> str | None:
        """Files of other machines may take a while to show up here."""
        since = self._silent_since.setdefault(job_id, time.monotonic())
        return reason if time.monotonic() - since >= self._patience else None

    def _tell_if_stuck(self, state: JobState) -> None:
        if state.state == "PENDING" and any(cause in state.cause for cause in STUCK):
            self._tell(f"{state.array} {state.cause}",
                       f"Slurm job {state.array} waits for somebody to act: {state.cause}")

    def _tell(self, subject: str, line: str) -> None:
        if subject not in self._told:
            self._told.add(subject)
            slurm_queue.warn(line)
