"""What the process of a batch does: run its jobs, each into its own folder, whatever becomes of the others.

`python -m agfrun.sweep.worker FOLDER BATCH` runs one.
"""

from __future__ import annotations

import dataclasses
import sys
import time
import traceback
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agfrun.configuration.composition import compose_varied
from agfrun.files.folders import DONE_FILE, FAILED_FILE, SAME_FILE
from agfrun.files.inside import is_there, made_inside
from agfrun.files.json_files import write_object
from agfrun.files.run_files import remove_unfinished
from agfrun.files.sweep_folder import SweepFolder, finished_hash, record_failure
from agfrun.files.sweep_jobs import Batch, in_common, key_of, values
from agfrun.files.writing import remove_file, write_bytes
from agfrun.runner.execution import execute, opened_run
from agfrun.study.errors import AgfrunError, OutputError
from agfrun.study.registry import import_module
from agfrun.study.settings import config_hash
from agfrun.study.study import Study
from agfrun.sweep.log import FAILED, FINISHED, BatchLog
from agfrun.tracking import track

SEED = "seed"


def run_batch(folder: str, number: int) -> None:
    """Run the jobs of a batch that are not finished yet.

    Each job leaves `done.json` or `failed.json` in its folder; nothing is raised for a job that fails.

    Raises:
        OutputError: the batch cannot be read.
        KeyboardInterrupt: interrupted; what is finished is written.
    """
    sweep = SweepFolder(Path(folder))
    batch = sweep.read_batch(number)
    Worker(sweep, batch, BatchLog(sweep.log_file(number))).run()
    write_bytes(sweep.own("ended") / sweep.ended_file(number).name, b"")


class Worker:
    """Runs one batch."""

    def __init__(self, sweep: SweepFolder, batch: Batch, log: BatchLog) -> None:
        self.sweep, self.batch, self.log = sweep, batch, log
        self.finished = sweep.read_finished()
        # Composition of plain values that differ is cheap: a seed is one whatever the study.
        self.keys = batch.together or (SEED,)

    def run(self) -> None:
        """Run all jobs, those with common settings after one another."""
        for source in self.batch.imports:
            import_module(source)
        groups: dict[tuple[str, ...], list[int]] = {}
        for number, job in enumerate(self.batch.jobs):
            groups.setdefault(in_common(job, self.keys), []).append(number)
        for common, numbers in groups.items():
            self._run_group(common, numbers)

    def _run_group(self, common: Sequence[str], numbers: Sequence[int]) -> None:
        varied = [[text for text in self.batch.jobs[number].overrides if text.partition("=")[0] in self.keys]
                  for number in numbers]
        composed = compose_varied(common, varied, self.batch.config_dirs)
        waiting: dict[int, Any] = {}
        for number, config in zip(numbers, composed, strict=True):
            if isinstance(config, AgfrunError):
                self._fail(number, config)
                continue
            self._say_unsaid(number, config)
            try:
                if not self._is_finished(number, config):
                    waiting[number] = self._prepared(number, config)
            except OutputError as error:  # a folder that is not to be written into
                self._fail(number, error)
        if self.batch.together and len(waiting) > 1:
            waiting = self._run_together(waiting)
        for number, config in waiting.items():
            self.log.begin([number])
            self._run_alone(number, config)

    def _say_unsaid(self, number: int, config: Any) -> None:
        """Let what a job of a sweep of an earlier format does not say mean what it meant then."""
        said = values(self.batch.jobs[number])
        for key, value in type(config).unsaid(self.batch.format).items():
            group, _, name = key.partition(".")
            if key not in said:
                setattr(getattr(config, group), name, value)

    def _prepared(self, number: int, config: Any) -> Any:
        """The configuration to run. Figures and pages of single runs are made where they are asked for by name."""
        asked = set(map(key_of, self.batch.jobs[number].overrides))
        # What is left of a run that failed or was killed makes no run of the folder.
        if not config.overwrite:
            remove_unfinished(config, self._folder(number))
        return dataclasses.replace(config, plots=config.plots and "plots" in asked,
                                   report=config.report and "report" in asked)

    def _is_finished(self, number: int, config: Any) -> bool:
        """Whether there is nothing to do: here or elsewhere in the sweep lies a finished run of this configuration."""
        folder, wanted = self._folder(number), config_hash(config)
        if config.overwrite:
            return False
        there = finished_hash(folder)
        if there == wanted:
            self.log.end(number, FINISHED)
            return True
        if there is not None:
            record_failure(folder, self.batch.jobs[number].overrides, "the folder holds a finished run of another "
                           f"configuration (hash {there}, not {wanted}), which is kept; choose another hydra.sweep.dir")
            self.log.end(number, FAILED, "the folder holds a finished run of another configuration")
            return True
        if self.finished.get(wanted, folder.name) != folder.name:
            made_inside(self.sweep.path, folder.name)
            write_object(folder / SAME_FILE, {"folder": self.finished[wanted], "config_hash": wanted})
            self.log.end(number, FINISHED)
            return True
        return False

    def _run_alone(self, number: int, config: Any) -> None:
        folder, started = self._folder(number), time.perf_counter()
        remove_file(folder / FAILED_FILE)
        try:
            execute(config, output_dir=folder, progress=False, command=self._command(number))
        except Exception as error:
            if not is_there(folder / DONE_FILE):  # one that diverged has left a result
                self._fail(number, error, config_hash=config_hash(config), seconds=time.perf_counter() - started)
                track(folder, config, self.batch.jobs[number].overrides)
                return
        self._end(number, config)

    def _run_together(self, waiting: dict[int, Any]) -> dict[int, Any]:
        """Do jobs together, if their study can; return those that are left to be tried one by one."""
        numbers, configs = list(waiting), list(waiting.values())
        study = configs[0].study
        if type(study).run_together is Study.run_together or not self._differ_in(study.together_keys, numbers):
            return waiting
        for number in numbers:
            remove_file(self._folder(number) / FAILED_FILE)
        self.log.begin(numbers)
        told: set[int] = set()

        def ended(place: int, failure: str) -> None:
            number = numbers[place]
            if not told:
                self.log.say_together(len(numbers))
            told.add(number)
            if failure:
                self._fail(number, failure)
                track(self._folder(number), configs[place], self.batch.jobs[number].overrides)
            else:
                self._end(number, configs[place])

        try:
            with ExitStack() as opening:
                parts = [opening.enter_context(opened_run(config, self._folder(number), False, self._command(number)))
                         for number, config in waiting.items()]
                done = study.run_together(parts, ended)
        except Exception:  # whose failure it is shows when they are tried one by one
            done = False
        return {} if done else {number: config for number, config in waiting.items() if number not in told}

    def _differ_in(self, keys: Collection[str], numbers: Sequence[int]) -> bool:
        """Whether jobs differ in nothing but some keys; the batch's are those of the study named for all jobs."""
        given = [values(self.batch.jobs[number]) for number in numbers]
        return all(len({of_job.get(key) for of_job in given}) == 1 for key in self.keys if key not in keys)

    def _end(self, number: int, config: Any) -> None:
        self.log.end(number, FINISHED)
        track(self._folder(number), config, self.batch.jobs[number].overrides)

    def _fail(self, number: int, error: Exception | str, **more: object) -> None:
        expected = isinstance(error, AgfrunError | str)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        if isinstance(error, AgfrunError):
            more["exit_status"] = error.exit_status
        elif isinstance(error, Exception):
            more["traceback"] = "".join(traceback.format_exception(error))
        try:
            record_failure(self._folder(number), self.batch.jobs[number].overrides, reason, **more)
        except (OSError, AgfrunError) as unwritable:
            print(f"agfrun: warning: {unwritable}", file=sys.stderr)
        self.log.end(number, FAILED, " ".join(reason.split()))

    def _folder(self, number: int) -> Path:
        return self.sweep.inside(self.batch.jobs[number].folder)

    def _command(self, number: int) -> list[str]:
        return ["agfrun", *(f"--import={source}" for source in self.batch.imports),
                *self.batch.jobs[number].overrides]


def main(arguments: Sequence[str]) -> int:
    """`python -m agfrun.sweep.worker FOLDER BATCH`."""
    folder, number = arguments
    try:
        run_batch(folder, int(number))
    except AgfrunError as error:
        print(f"agfrun: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
