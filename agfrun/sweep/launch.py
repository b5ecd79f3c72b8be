"""From a list of jobs to their results: plan, share out, run in rounds, gather."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from agfrun.configuration.overrides import quoted
from agfrun.files.folders import DONE_FILE, FAILED_FILE, FORMAT, PLOTS_FOLDER, REPORT_FILE, SAME_FILE
from agfrun.files.inside import is_there, refuse_link
from agfrun.files.json_files import read_json
from agfrun.files.marks import MULTIRUN_FILE, foreign, no_place
from agfrun.files.run_files import OF_ANY_RUN
from agfrun.files.sweep_folder import SweepFolder, record_failure
from agfrun.files.sweep_jobs import Batch, Job, batches_of, job_of, jobs_of
from agfrun.report.saved_sweep import RUNS_FILE
from agfrun.study.claim import CLAIMS
from agfrun.study.errors import AgfrunError, OutputError
from agfrun.study.settings import SweepConfig
from agfrun.sweep.continuing import continued
from agfrun.sweep.engines.engine import Engine
from agfrun.sweep.log import FAILED, Progress, read_log

LOOK_EVERY = 0.5
# What any sweep may write, beside the tables that it gathers and the folders of its jobs.
OF_ANY_SWEEP = (MULTIRUN_FILE, RUNS_FILE, CLAIMS.file, REPORT_FILE, PLOTS_FOLDER)
EARLY_END = "its process ended before it"


@dataclass(frozen=True)
class Origin:
    """Where the jobs' configurations come from.

    Attributes:
        imports: modules named with `--import`.
        config_dirs: folders named with `--config-dir`.
        together: keys of the study that only change numbers; jobs that differ in these alone are done together.
    """

    imports: tuple[str, ...] = ()
    config_dirs: tuple[str, ...] = ()
    together: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of the jobs of a sweep, in order.

    Attributes:
        folder: of the sweep.
        jobs: what was asked for.
        reasons: why each failed; empty where it did not.
        exit_status: of the program: 0, 1 some run failed, 2 for the configuration alone.
    """

    folder: Path
    jobs: list[Job]
    reasons: list[str]
    exit_status: int

    def summary(self) -> str:
        """A line for the terminal."""
        failed = sum(map(bool, self.reasons))
        return (f"{len(self.jobs)} runs: {len(self.jobs) - failed} finished"
                f"{f', {failed} failed' if failed else ', none failed'}")


def check_folder(folder: Path, overrides: Sequence[Sequence[str]], settings: SweepConfig, overwrite: bool,
                 tables: Sequence[str] = ()) -> None:
    """Refuse a folder that is not fit for what is asked.

    Args:
        folder: of the sweep.
        overrides: of each job.
        settings: the keys `sweep.*`.
        overwrite: whether the folder may hold a sweep.
        tables: names of the tables that are gathered.

    Raises:
        OutputError: `sweep.resume` is not the folder of a sweep, or another folder is one; or it holds files that would
            be written over and are not this program's, or a link in place of what is written through.
        ConfigError: a job of the plan that is continued asks for what only a command line may.
    """
    sweep = SweepFolder(folder)
    is_sweep = sweep.is_sweep
    sweep.refuse_links()
    for name in (MULTIRUN_FILE, PLOTS_FOLDER):
        refuse_link(folder / name)
    if not is_sweep and (found := foreign(folder, (*OF_ANY_SWEEP, *tables))):
        raise no_place(folder, "sweep", found, "hydra.sweep.dir")
    if settings.resume is not None and not is_sweep:
        raise OutputError(f"sweep.resume={settings.resume} is not the folder of a sweep")
    if settings.resume is None and is_sweep and not overwrite:
        raise OutputError(f"{folder} already holds a sweep; continue it with sweep.resume={quoted(str(folder))}, "
                          "choose another folder with hydra.sweep.dir=DIR, or pass overwrite=true")
    _asked(sweep, jobs_of(overrides), settings)


def launch(overrides: Sequence[Sequence[str]], folder: Path, settings: SweepConfig, engine: Engine, origin: Origin,
           progress: bool | None = None) -> Outcome:
    """Run jobs until each has left `done.json` or `failed.json` in its folder.

    Args:
        overrides: of each job.
        folder: of the sweep.
        settings: how jobs are shared out.
        engine: what runs the batches.
        origin: where configurations come from.
        progress: show a bar; None decides by whether standard error is a terminal.

    Raises:
        OutputError: the folder cannot be written, or another sweep is writing into it.
        KeyboardInterrupt: interrupted; what is finished is written, and can be continued.
    """
    sweep = SweepFolder(folder)
    jobs = _asked(sweep, jobs_of(overrides), settings)
    with sweep.claimed():
        jobs = _planned(sweep, jobs, settings)
        sweep.write_finished()
        together = origin.together if settings.together else ()
        batches = batches_of(jobs, settings.batch_size, engine.workers, together, imports=origin.imports,
                             config_dirs=origin.config_dirs, format=sweep.read_format())
        _announce(sweep, jobs, batches, engine)
        with _Watch(sweep, len(jobs), progress) as watch, _safe_path():
            while batches:
                batches = _round(sweep, batches, engine, watch)
        return _outcome(sweep, jobs)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Python processes that are started meanwhile, here or on other machines, import nothing from the current folder.

    A stranger's `random.py` there would run in place of Python's own, and one's own `signal.py` would break the sweep.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _asked(sweep: SweepFolder, jobs: list[Job], settings: SweepConfig) -> list[Job]:
    """The jobs to run, once it is known that their folders may be written into."""
    if settings.resume is not None and _only_continues(jobs):
        jobs = continued(sweep.read_plan(), jobs[0].overrides, sweep.path)
    sweep.refuse_foreign(jobs, OF_ANY_RUN)
    return jobs


def _planned(sweep: SweepFolder, jobs: list[Job], settings: SweepConfig) -> list[Job]:
    """The jobs to run; with those that were planned before they make the new plan."""
    before = sweep.read_plan() if sweep.is_sweep else []
    known = {job.folder for job in jobs}
    begun = sweep.read_format() if settings.resume is not None else FORMAT
    sweep.write_plan([*(job for job in before if job.folder not in known), *jobs], begun)
    return jobs


def _only_continues(jobs: Sequence[Job]) -> bool:
    """Whether nothing is asked for but to continue, be it recorded elsewhere."""
    return [job.folder for job in jobs] == [job_of([]).folder]


def _announce(sweep: SweepFolder, jobs: Sequence[Job], batches: Sequence[Batch], engine: Engine) -> None:
    there = sum(is_there(sweep.path / job.folder / DONE_FILE) for job in jobs)
    at_once = f", {min(engine.workers, len(batches))} at once" if engine.workers else ""
    counts = f"{len(jobs)} run{'s' * (len(jobs) != 1)} in {len(batches)} batch{'es' * (len(batches) != 1)}"
    print(f"sweep: {counts}{at_once}"
          f"{f'; {there} have been run before' if there else ''}", file=sys.stderr, flush=True)


def _round(sweep: SweepFolder, batches: Sequence[Batch], engine: Engine, watch: _Watch) -> list[Batch]:
    """Run batches; return what is left of those whose process died."""
    numbers = sweep.write_batches(batches)
    by_number = dict(zip(numbers, batches, strict=True))
    left: list[Batch] = []

    def ended(number: int, reason: str) -> None:
        watch.look(number)
        left.extend(_remains(sweep, number, by_number[number], reason, watch.warn))

    watch.follow(numbers)
    engine.run(sweep.path, numbers, ended)
    watch.follow([])
    return left


def _remains(sweep: SweepFolder, number: int, batch: Batch, reason: str, warn: Callable[[str], None]) -> list[Batch]:
    """After the end of a batch's process: what it left undone, of which what was under way alone has failed.

    Jobs that were under way together are tried again, each by itself, so that the failure stays with whom it
    belongs to. A process that died before it began anything takes all its jobs with it: it would again.
    """
    progress = read_log(sweep.log_file(number))
    left = [place for place in range(len(batch.jobs)) if place not in progress.ended]
    under_way = progress.under_way
    if not left:
        return []
    lost = left if not progress.begun and not progress.ended else under_way if len(under_way) == 1 else []
    for place in lost:
        job = batch.jobs[place]
        record_failure(sweep.inside(job.folder), job.overrides, reason or EARLY_END)
        warn(_failure_line(job, reason or EARLY_END))
    alone = [place for place in under_way if place not in lost]
    rest = [place for place in left if place not in lost and place not in alone]
    if alone:
        warn(f"agfrun: warning: {len(alone)} runs that were trained together are tried again one by one: "
             f"{reason or EARLY_END}")
    batches = [_part(batch, [place], together=()) for place in alone]
    return batches + ([_part(batch, rest, batch.together)] if rest else [])


def _part(batch: Batch, places: Sequence[int], together: tuple[str, ...]) -> Batch:
    return dataclasses.replace(batch, jobs=tuple(batch.jobs[place] for place in places), together=together)


def _outcome(sweep: SweepFolder, jobs: list[Job]) -> Outcome:
    reasons, statuses = [], set()
    for job in jobs:
        folder = sweep.inside(job.folder)
        failure = read_json(folder / FAILED_FILE)
        if not failure and not any(is_there(folder / name) for name in (DONE_FILE, SAME_FILE)):
            failure = {"reason": "it left no result"}
        reasons.append(str(failure.get("reason", "failed")) if failure else "")
        if failure:
            statuses.add(int(failure.get("exit_status", 1)))
    return Outcome(sweep.path, jobs, reasons, min(statuses, default=0))


def _failure_line(job: Job, reason: str) -> str:
    return f"agfrun: error: [{' '.join(job.overrides)}] {reason}"


@dataclass
class _Followed:
    """A batch whose log is read, and what it said at the last look."""

    number: int
    seen: Progress = field(default_factory=Progress)


class _Watch:
    """Reads the logs of the batches under way, shows a bar over all jobs and says which failed."""

    def __init__(self, sweep: SweepFolder, jobs: int, progress: bool | None) -> None:
        self._sweep = sweep
        hidden = not (sys.stderr.isatty() if progress is None else progress)
        self._bar = tqdm(total=jobs, disable=hidden, desc="runs", file=sys.stderr, leave=False)
        self._followed: dict[int, _Followed] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._told = False
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._bar.close()

    def follow(self, numbers: Sequence[int]) -> None:
        """Read the logs of these batches from now on."""
        with self._lock:
            self._followed = {number: _Followed(number) for number in numbers}

    def look(self, number: int) -> None:
        """Read a batch's log to its end."""
        with self._lock:
            self._read(self._followed[number])
            del self._followed[number]

    def warn(self, line: str) -> None:
        """Say something beside the bar."""
        tqdm.write(" ".join(line.split()), file=sys.stderr)

    def _look_on(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            with self._lock:
                for batch in self._followed.values():
                    self._read(batch)

    def _read(self, followed: _Followed) -> None:
        now = read_log(self._sweep.log_file(followed.number))
        new = [place for place in now.ended if place not in followed.seen.ended]
        if now.together and not self._told:
            self._told = True
            self.warn("sweep: runs that differ in what they start from alone are done together "
                      f"({now.together[0]} of them first); sweep.together=false does each by itself")
        if any(now.ended[place][0] == FAILED for place in new):
            jobs = self._sweep.read_batch(followed.number).jobs
            for place in new:
                if now.ended[place][0] == FAILED:
                    self.warn(_failure_line(jobs[place], now.ended[place][1]))
        self._bar.update(len(new))
        followed.seen = now


@contextmanager
def gathering(folder: Path, formats: Sequence[str], report: bool, parquet: bool | None) -> Iterator[None]:
    """Gather the tables of a sweep at the end of the block, however that ends, if its folder can be used at all."""
    refused = False
    try:
        yield
    except OutputError:
        refused = True
        raise
    finally:
        if not refused:
            from agfrun.sweep.gather import gather  # pandas

            try:
                gather(folder, formats, report, parquet)
            except (AgfrunError, OSError) as error:
                print(f"agfrun: warning: the tables of {folder} could not be gathered: {error}", file=sys.stderr)
