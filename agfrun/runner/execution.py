"""The one sequence of every run: open the folder, do the study, write, draw, report, mark as done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from agfrun.files.folders import CHECKPOINTS_FOLDER, CONFIG_FILE
from agfrun.files.inside import is_there
from agfrun.files.run_files import RunFiles, beside, opened
from agfrun.runner.provenance import provenance
from agfrun.study import registry
from agfrun.study.bench import Bench
from agfrun.study.claim import CLAIMS, claim_counts
from agfrun.study.errors import ConfigError, OutputError, first_line
from agfrun.study.interruption import interruption_of
from agfrun.study.registry import command_of
from agfrun.study.settings import config_hash, validate
from agfrun.study.study import StudyResult

INTERRUPTED = "interrupted"


def execute(config: Any, *, output_dir: Path | str | None = None, progress: bool | None = None,
            command: Sequence[str] | None = None, resume: bool = False,
            tell: Callable[[str], None] | None = None) -> StudyResult:
    """Do what a configuration says, and write everything to `output_dir` (None: nowhere).

    Args:
        config: settings of the study in it; validated here, so that every later stage may rely on it.
        progress: show a bar; None decides by whether standard error is a terminal.
        command: command line for the manifest.
        resume: go on with the run in `output_dir`, from what it has left there.
        tell: called with the findings once the tables are written, before anything is drawn.

    Raises:
        ConfigError: a value is not allowed, or files are asked for of a study that is not registered.
        OutputError: `output_dir` cannot be written, another process is writing into it, or it holds a run and
            neither `overwrite` nor `resume` is on.
        AgfrunError: what the study ended with; what there is is written.
        KeyboardInterrupt: interrupted; what is finished is written.
    """
    validate(config)
    with opened_run(config, output_dir, progress, command, resume) as run:
        try:
            with _saying_how_to_go_on(run.bench.folder), _own_threads():
                # By its class: a study may have a key of that name.
                result: StudyResult = type(config.study).run(config.study, config, run.bench)
        except KeyboardInterrupt:
            run.begin()
            raise
        run.finish(result, tell)
    failure = result.failure or (interruption_of(result.reason) if result.status == INTERRUPTED else None)
    if failure is not None:
        raise failure
    return result


@contextmanager
def opened_run(config: Any, output_dir: Path | str | None = None, progress: bool | None = None,
               command: Sequence[str] | None = None, resume: bool = False) -> Iterator[OpenRun]:
    """A run whose folder is held within this context; see `execute` for the arguments.

    Raises:
        ConfigError, OutputError: see `execute`.
    """
    name = config.study.name
    if output_dir is not None and registry.study_type(name) is None:  # nobody could read its folder back
        raise ConfigError("study", name, 'no study of that name is registered; write @agfrun.register("study") above '
                          "its class")
    with opened(config, output_dir, resume) as files:
        yield OpenRun(config, files, progress, command, resume)


class OpenRun:
    """A run under way.

    Attributes:
        config: its configuration.
        bench: what its study works at.
    """

    def __init__(self, config: Any, files: RunFiles | None, progress: bool | None, command: Sequence[str] | None,
                 resume: bool) -> None:
        self.config, self._files, self._command = config, files, command
        self.bench = Bench(files, progress=progress, resume=resume)

    def begin(self) -> None:
        """Write the configuration where nothing is written yet, so that the run can be gone on with."""
        files = self._files
        if files is not None and not files.begun and not is_there(files.folder / CONFIG_FILE):
            files.begin()

    def finish(self, result: StudyResult, tell: Callable[[str], None] | None = None) -> None:
        """Write what came of the run, `done.json` last; nothing where it has no folder. `tell`: see `execute`.

        Raises:
            OutputError: something cannot be written; the message says how to go on, where that is possible.
        """
        clock, files = self.bench.clock, self._files
        if files is not None:
            if files.begun and not files.is_there():
                print(f"agfrun: warning: {files.folder} has vanished; it is made anew", file=sys.stderr)
                files.begin()
            with _saying_how_to_go_on(files.folder):
                result.folder = self._written(files, result, tell)
            if result.status != INTERRUPTED:
                files.clear_checkpoints()
        result.wall_seconds = clock.seconds

    def _written(self, files: RunFiles, result: StudyResult, tell: Callable[[str], None] | None) -> Path:
        """Write what came of the run; where its folder is removed meanwhile, all of it into a new one beside it."""
        listeners = [] if tell is None else [tell]  # once, whatever has to be written twice
        try:
            self._write(files, result, listeners)
            return files.folder
        except OutputError:
            if files.is_there():
                raise
        with beside(files) as others:
            self._write(others, result, listeners)
            print(f"agfrun: warning: {files.folder} was removed while the results were written; they are in "
                  f"{others.folder}", file=sys.stderr)
            return others.folder

    def _write(self, files: RunFiles, result: StudyResult, listeners: list[Callable[[str], None]]) -> None:
        config, clock = self.config, self.bench.clock
        with clock.stage("write"):
            files.save(result.tables, result.words)
            files.write_claims(result.claims)
            files.write_arrays(result.arrays)
        if listeners and result.failure is None and result.status != INTERRUPTED:
            listeners.pop()(result.findings())
        figures: list[Path] = []
        if config.plots:
            with clock.stage("plot"):
                figures = _drawn(files.folder, config.plot_formats)
        files.write_manifest({
            **provenance(config, self._command), **result.provenance, "summary": result.text,
            "wall_seconds": clock.seconds,
            "files": [*(f"{name}.csv" for name in result.tables), CLAIMS.file,
                      *(path.relative_to(files.folder).as_posix() for path in figures)]})
        if config.report:
            with clock.stage("report"):
                _report(files.folder)
        files.finish({
            "status": result.status, **({"reason": result.reason} if result.reason else {}),
            "study": config.study.name, "config_hash": config_hash(config), **result.numbers,
            **claim_counts(result.claims), "wall_seconds": sum(clock.seconds.values())})


def _drawn(folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw the figures from the files written so far. One that cannot be drawn is not worth a run."""
    try:
        from agfrun.report.redraw import redraw  # Matplotlib, which a run without figures need not load

        return redraw(folder, formats)
    except OutputError:
        raise
    except Exception as error:
        print(f"agfrun: warning: the figures of {folder} could not be drawn: {first_line(error)}; "
              f"{command_of('plot', folder)} draws them", file=sys.stderr)
        return []


def _report(folder: Path) -> None:
    """Write report.html from the files written so far. A page that cannot be made is not worth a run."""
    try:
        from agfrun.report.html.report import write_report  # templates and charts, as in `_drawn`

        write_report(folder)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        print(f"agfrun: warning: no report was written for {folder}: {reason}", file=sys.stderr)


@contextmanager
def _own_threads() -> Iterator[None]:
    """How many threads a study computes on is no matter of whoever called it: afterwards it is as before."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    with threadpool_limits():  # of BLAS and OpenMP, as they are
        yield
    if torch is not None:
        torch.set_num_threads(before)


@contextmanager
def _saying_how_to_go_on(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        if folder is None or not (folder / CHECKPOINTS_FOLDER).is_dir():
            raise
        raise OutputError(f"{error}; once that is mended, {command_of('resume', folder)} goes on from where it was"
                          ) from error
