"""The folder of a sweep: its plan, batches and logs in `.sweep`, and what each job has left in its own folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agfrun.files.folders import CONFIG_FILE, DONE_FILE, FORMAT
from agfrun.files.json_files import read_object, write_object
from agfrun.files.locking import FolderLock
from agfrun.files.saved_run import read_config
from agfrun.files.sweep_jobs import Batch, Job
from agfrun.study.conversion import from_mapping
from agfrun.study.errors import AgfrunError, OutputError
from agfrun.study.settings import config_hash
from agfrun.version import __version__

HIDDEN = ".sweep"
PLAN_FILE = "plan.json"
FINISHED_FILE = "finished.json"
LOCK_FILE = "lock"
FAILED_FILE = "failed.json"
SAME_FILE = "same.json"
INTERRUPTED = "interrupted"


class SweepFolder:
    """The folder of a sweep.

    Attributes:
        path: where it lies.
        hidden: its folder for the sweep's own files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hidden = path / HIDDEN

    @property
    def is_sweep(self) -> bool:
        """Whether a sweep was planned here."""
        return (self.hidden / PLAN_FILE).is_file()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder, so that no second sweep writes into it at the same time.

        Raises:
            OutputError: another process holds it, or it cannot be written.
        """
        try:
            self.hidden.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self.hidden}: {error.strerror or error}") from error
        lock = FolderLock(self.hidden / LOCK_FILE, f"the sweep in {self.path}")
        try:
            yield
        finally:
            lock.release()

    def read_plan(self) -> list[Job]:
        """The jobs that were ever planned here.

        Raises:
            OutputError: this is not the folder of a sweep, or its plan is damaged.
        """
        if not self.is_sweep:
            raise OutputError(f"{self.path} is not the folder of a sweep: it has no {HIDDEN}/{PLAN_FILE}")
        plan = read_object(self.hidden / PLAN_FILE)
        try:
            jobs = [Job(tuple(map(str, job["overrides"])), str(job["folder"])) for job in plan["jobs"]]
        except (KeyError, TypeError) as error:
            raise OutputError(f"cannot read {self.hidden / PLAN_FILE}: it holds no jobs") from error
        for job in jobs:
            self.inside(job.folder)
        return jobs

    def inside(self, name: str) -> Path:
        """The folder of a job by its name.

        Raises:
            OutputError: the name leads elsewhere.
        """
        if name in ("", ".", "..") or Path(name).name != name:
            raise OutputError(f"{self.path} is damaged: {name!r} is no folder of a job in it")
        return self.path / name

    def read_format(self) -> int:
        """The format of run folders when the sweep was begun; plans of the first two did not say it.

        Raises:
            OutputError: the plan is damaged.
        """
        number = read_object(self.hidden / PLAN_FILE).get("format", 2)
        if not isinstance(number, int) or not 1 <= number <= FORMAT:
            raise OutputError(f"{self.path} has a plan of the format {number}; this version of agfrun reads formats up "
                              f"to {FORMAT}, a newer one may read it")
        return number

    def write_plan(self, jobs: Sequence[Job], number: int = FORMAT) -> None:
        """Write the plan, all jobs of it, and the format of run folders when the sweep was begun."""
        planned = [dataclasses.asdict(job) for job in jobs]
        write_object(self.hidden / PLAN_FILE, {"agfrun": __version__, "format": number, "jobs": planned})

    def write_batches(self, batches: Sequence[Batch]) -> list[int]:
        """Write batches under new numbers, which are returned."""
        folder = self.hidden / "batches"
        folder.mkdir(exist_ok=True)
        first = 1 + max((int(path.stem) for path in folder.glob("*.json")), default=-1)
        for number, batch in enumerate(batches, start=first):
            write_object(folder / f"{number:06d}.json", dataclasses.asdict(batch))
        return list(range(first, first + len(batches)))

    def read_batch(self, number: int) -> Batch:
        """One batch."""
        batch = read_object(self.hidden / "batches" / f"{number:06d}.json")
        jobs = tuple(Job(tuple(job["overrides"]), str(job["folder"])) for job in batch["jobs"])
        return Batch(jobs, tuple(map(str, batch["together"])), tuple(batch["imports"]), tuple(batch["config_dirs"]),
                     int(batch["format"]))

    def log_file(self, number: int) -> Path:
        """Where a batch's process says what it begins and ends."""
        return self.hidden / "logs" / f"{number:06d}.jsonl"

    def ended_file(self, number: int) -> Path:
        """What a batch's process writes when it has come to its end."""
        return self.hidden / "ended" / f"{number:06d}"

    def write_finished(self) -> dict[str, str]:
        """Note the folder of every finished configuration by its hash, for the workers; return that."""
        finished = {}
        for path in self.path.glob(f"*/{DONE_FILE}"):
            if (found := finished_hash(path.parent)) is not None:
                finished[found] = path.parent.name
        write_object(self.hidden / FINISHED_FILE, finished)
        return finished

    def read_finished(self) -> dict[str, str]:
        """What `write_finished` noted, empty if nothing."""
        path = self.hidden / FINISHED_FILE
        return {str(key): str(value) for key, value in read_object(path).items()} if path.exists() else {}


def finished_hash(folder: Path) -> str | None:
    """Configuration hash of a run that came to its end; None where there is none, or it was interrupted."""
    try:
        done = read_object(folder / DONE_FILE)
    except OutputError:
        return None
    if done.get("status") == INTERRUPTED:
        return None
    noted = str(done.get("config_hash", ""))
    return noted if _is_of_this_format(folder) else _hash_of_earlier_format(folder, noted)


def _is_of_this_format(folder: Path) -> bool:
    """Told by the first line of its configuration, since reading all of it takes long for thousands of runs."""
    try:
        with (folder / CONFIG_FILE).open(encoding="utf-8") as file:
            return file.readline().rstrip() == f"format: {FORMAT}"
    except (OSError, ValueError):
        return True  # nothing to take it from again


def _hash_of_earlier_format(folder: Path, noted: str) -> str:
    """As this version takes it: what folders of earlier formats note is the hash of other keys."""
    try:
        return config_hash(from_mapping(read_config(folder)))
    except AgfrunError:
        return noted


def record_failure(folder: Path, overrides: Sequence[str], reason: str, **more: Any) -> None:
    """Leave in a job's folder that it failed, and why."""
    folder.mkdir(parents=True, exist_ok=True)
    write_object(folder / FAILED_FILE,
                 {"status": "failed", "reason": " ".join(reason.split()), "overrides": list(overrides), **more})
