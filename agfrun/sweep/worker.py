"""What the process of a batch does: run its jobs, each into its own folder, whatever becomes of the others.

`python -m agfrun.sweep.worker FOLDER BATCH` runs one.
"""

from __future__ import annotations

import dataclasses
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from agfrun.configuration.composition import compose_varied
from agfrun.files.folders import DONE_FILE
from agfrun.files.saved_run import CONFIG_FILE
from agfrun.files.sweep_folder import (
    FAILED_FILE,
    SAME_FILE,
    SweepFolder,
    finished_hash,
    record_failure,
    write_object,
)
from agfrun.files.sweep_jobs import Batch, is_vectorized, key_of, without_vectorized
from agfrun.study.errors import AgfrunError
from agfrun.study.registry import import_module
from agfrun.study.schema import DEFAULT_STUDY, RunConfig, config_hash
from agfrun.sweep.log import FAILED, FINISHED, BatchLog
from agfrun.tracking import track


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
    ended = sweep.ended_file(number)
    ended.parent.mkdir(exist_ok=True)
    ended.touch()


class Worker:
    """Runs one batch."""

    def __init__(self, sweep: SweepFolder, batch: Batch, log: BatchLog) -> None:
        self.sweep, self.batch, self.log = sweep, batch, log
        self.finished = sweep.read_finished()

    def run(self) -> None:
        """Run all jobs, those with common settings after one another."""
        for source in self.batch.imports:
            import_module(source)
        groups: dict[tuple[str, ...], list[int]] = {}
        for number, job in enumerate(self.batch.jobs):
            groups.setdefault(without_vectorized(job), []).append(number)
        for common, numbers in groups.items():
            self._run_group(common, numbers)

    def _run_group(self, common: Sequence[str], numbers: Sequence[int]) -> None:
        varied = [[text for text in self.batch.jobs[number].overrides if is_vectorized(text)] for number in numbers]
        composed = compose_varied(common, varied, self.batch.config_dirs)
        waiting: dict[int, RunConfig] = {}
        for number, config in zip(numbers, composed, strict=True):
            if isinstance(config, AgfrunError):
                self._fail(number, config)
            elif not self._is_finished(number, config):
                waiting[number] = self._prepared(number, config)
        if self.batch.together and len(waiting) > 1 and all(map(_is_single_run, waiting.values())):
            waiting = self._run_together(waiting)
        for number, config in waiting.items():
            self.log.begin([number])
            self._run_alone(number, config)

    def _prepared(self, number: int, config: RunConfig) -> RunConfig:
        """The configuration to run. Figures and pages of single runs are made where they are asked for by name."""
        asked = set(map(key_of, self.batch.jobs[number].overrides))
        # What is left of a run that failed or was killed makes no run of the folder.
        (self._folder(number) / CONFIG_FILE).unlink(missing_ok=True)
        return dataclasses.replace(config, plots=config.plots and "plots" in asked,
                                   report=config.report and "report" in asked)

    def _is_finished(self, number: int, config: RunConfig) -> bool:
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
            folder.mkdir(exist_ok=True)
            write_object(folder / SAME_FILE, {"folder": self.finished[wanted], "config_hash": wanted})
            self.log.end(number, FINISHED)
            return True
        return False

    def _run_alone(self, number: int, config: RunConfig) -> None:
        folder, started = self._folder(number), time.perf_counter()
        (folder / FAILED_FILE).unlink(missing_ok=True)
        try:
            config.study.execute(config, output_dir=folder, progress=False, command=self._command(number))
        except Exception as error:
            if not (folder / DONE_FILE).exists():  # one that diverged has left a result
                self._fail(number, error, config_hash=config_hash(config), seconds=time.perf_counter() - started)
                track(folder, config, self.batch.jobs[number].overrides)
                return
        self._end(number, config)

    def _run_together(self, waiting: dict[int, RunConfig]) -> dict[int, RunConfig]:
        """Train jobs together; return those that are to be tried alone, because all of them failed."""
        from agfrun.labs.staircases.ensemble.together import Part, run_together

        numbers = list(waiting)
        for number in numbers:
            (self._folder(number) / FAILED_FILE).unlink(missing_ok=True)
        self.log.begin(numbers)
        self.log.say_together(len(numbers))
        parts = [Part(config, self._folder(number), self._command(number)) for number, config in waiting.items()]

        def ended(place: int, failure: str) -> None:
            if failure:
                self._fail(numbers[place], failure)
                track(parts[place].folder, parts[place].config, self.batch.jobs[numbers[place]].overrides)
            else:
                self._end(numbers[place], parts[place].config)

        try:
            run_together(parts, ended)
        except Exception:
            return {number: config for number, config in waiting.items()
                    if finished_hash(self._folder(number)) != config_hash(config)
                    and not (self._folder(number) / FAILED_FILE).exists()}
        return {}

    def _end(self, number: int, config: RunConfig) -> None:
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
        return self.sweep.path / self.batch.jobs[number].folder

    def _command(self, number: int) -> list[str]:
        return ["agfrun", *(f"--import={source}" for source in self.batch.imports),
                *self.batch.jobs[number].overrides]


def _is_single_run(config: RunConfig) -> bool:
    return config.study.name == DEFAULT_STUDY and not config.ensemble.is_asked_for


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
