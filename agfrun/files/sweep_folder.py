"""The folder of a sweep: its plan, batches and logs in `.sweep`, and what each job has left in its own folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agfrun.files.folders import CONFIG_FILE, DONE_FILE, FAILED_FILE, FORMAT, SWEEP_HIDDEN, checked_format
from agfrun.files.inside import is_there, made, made_inside, refuse_link
from agfrun.files.json_files import read_object, write_object
from agfrun.files.locking import FolderLock
from agfrun.files.marks import refuse_foreign
from agfrun.files.reading import MOST_OF_SWEEP, beginning
from agfrun.files.saved_run import read_config
from agfrun.files.sweep_jobs import Batch, Job
from agfrun.files.writing import remove_file
from agfrun.study.conversion import from_mapping
from agfrun.study.errors import AgfrunError, OutputError
from agfrun.study.settings import config_hash
from agfrun.version import __version__

PLAN_FILE = "plan.json"
FINISHED_FILE = "finished.json"
LOCK_FILE = "lock"
INTERRUPTED = "interrupted"


class SweepFolder:
    """The folder of a sweep.

    Attributes:
        path: where it lies.
        hidden: its folder for the sweep's own files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hidden = path / SWEEP_HIDDEN

    @property
    def is_sweep(self) -> bool:
        """Whether a sweep was planned here."""
        return is_there(self.hidden / PLAN_FILE)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder, so that no second sweep writes into it at the same time.

        Raises:
            OutputError: another process holds it, or it cannot be written.
        """
        made(self.path)
        made_inside(self.path, SWEEP_HIDDEN)
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
            raise OutputError(f"{self.path} is not the folder of a sweep: it has no {SWEEP_HIDDEN}/{PLAN_FILE}")
        plan = self._read(self.hidden / PLAN_FILE)
        try:
            jobs = [Job(tuple(map(str, job["overrides"])), str(job["folder"])) for job in plan["jobs"]]
        except (KeyError, TypeError) as error:
            raise OutputError(f"cannot read {self.hidden / PLAN_FILE}: it holds no jobs") from error
        for job in jobs:
            self.inside(job.folder)
        return jobs

    def refuse_links(self) -> None:
        """Refuse a sweep whose own files are elsewhere, in whole or in part.

        Raises:
            OutputError: `.sweep` or something in it is a link.
        """
        refuse_link(self.hidden)
        for path in self.hidden.iterdir() if self.hidden.is_dir() else ():
            refuse_link(path)

    def own(self, *names: str) -> Path:
        """A folder among the sweep's own files, made where it is not there.

        Raises:
            OutputError: it is a link, or cannot be made.
        """
        return made_inside(self.path, SWEEP_HIDDEN, *names)

    def _read(self, path: Path) -> dict[str, Any]:
        """What names every run of the sweep."""
        return read_object(path, MOST_OF_SWEEP)

    def inside(self, name: str) -> Path:
        """The folder of a job by its name.

        Raises:
            OutputError: the name leads elsewhere, or the folder is a link.
        """
        if name in ("", ".", "..") or Path(name).name != name:
            raise OutputError(f"{self.path} is damaged: {name!r} is no folder of a job in it")
        refuse_link(self.path / name)
        return self.path / name

    def refuse_foreign(self, jobs: Sequence[Job], names: Sequence[str]) -> None:
        """Refuse to run jobs where the folder of one is a link, or holds files that are not this program's.

        Args:
            jobs: to be run.
            names: of the files that a job may write.

        Raises:
            OutputError: the message names the folder.
        """
        for job in jobs:
            folder = self.inside(job.folder)
            if folder.exists():
                refuse_foreign(folder, (*names, FAILED_FILE), "hydra.sweep.dir")

    def read_format(self) -> int:
        """The format of run folders when the sweep was begun; plans of the first two did not say it.

        Raises:
            OutputError: the plan is damaged.
        """
        return checked_format(self._read(self.hidden / PLAN_FILE).get("format", 2), f"the plan of {self.path} has")

    def write_plan(self, jobs: Sequence[Job], number: int = FORMAT) -> None:
        """Write the plan, all jobs of it, and the format of run folders when the sweep was begun."""
        planned = [dataclasses.asdict(job) for job in jobs]
        write_object(self.hidden / PLAN_FILE, {"agfrun": __version__, "format": number, "jobs": planned})

    def write_batches(self, batches: Sequence[Batch]) -> list[int]:
        """Write batches under new numbers, which are returned."""
        folder = self.own("batches")
        first = 1 + max((int(path.stem) for path in folder.glob("[0-9]*[0-9].json")), default=-1)
        for number, batch in enumerate(batches, start=first):
            for said in (self.own("logs") / self.log_file(number).name, self.own("ended") / f"{number:06d}"):
                remove_file(said)  # by nobody: the batch is new
            write_object(folder / f"{number:06d}.json", dataclasses.asdict(batch))
        return list(range(first, first + len(batches)))

    def read_batch(self, number: int) -> Batch:
        """One batch."""
        batch = self._read(self.hidden / "batches" / f"{number:06d}.json")
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
            if not path.parent.is_symlink() and (found := finished_hash(path.parent)) is not None:
                finished[found] = path.parent.name
        write_object(self.hidden / FINISHED_FILE, finished)
        return finished

    def read_finished(self) -> dict[str, str]:
        """What `write_finished` noted, empty if nothing."""
        path = self.hidden / FINISHED_FILE
        return {str(key): str(value) for key, value in self._read(path).items()} if is_there(path) else {}


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
    said = beginning(folder / CONFIG_FILE, 100)
    return not said or said.splitlines()[0].rstrip() == f"format: {FORMAT}"  # else nothing to take it from again


def _hash_of_earlier_format(folder: Path, noted: str) -> str:
    """As this version takes it: what folders of earlier formats note is the hash of other keys."""
    try:
        return config_hash(from_mapping(read_config(folder)))
    except AgfrunError:
        return noted


def record_failure(folder: Path, overrides: Sequence[str], reason: str, **more: Any) -> None:
    """Leave in a job's folder that it failed, and why.

    Raises:
        OutputError: the folder is a link, or cannot be written.
    """
    made_inside(folder.parent, folder.name)
    write_object(folder / FAILED_FILE,
                 {"status": "failed", "reason": " ".join(reason.split()), "overrides": list(overrides), **more})
