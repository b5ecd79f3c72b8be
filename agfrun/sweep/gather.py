"""Gather a sweep: tables of all its runs, figures, page. Can be called at any time, again and again."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from agfrun.files.folders import DONE_FILE
from agfrun.files.inside import is_there
from agfrun.files.json_files import read_object, write_object
from agfrun.files.locking import taking_turns
from agfrun.files.reading import MOST_OF_SWEEP
from agfrun.files.saved_run import FIRST_STUDY
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.sweep_jobs import Job, swept_keys, values
from agfrun.files.sweep_rows import State, column_of, plain_value, runs_table, states
from agfrun.files.writing import write_csv
from agfrun.report.saved_sweep import RUNS_FILE, gathered_file
from agfrun.study import registry
from agfrun.study.claim import CLAIMS
from agfrun.study.errors import OutputError, first_line
from agfrun.study.study import RUN
from agfrun.study.table import Schema
from agfrun.sweep.parquet import write_parquet
from agfrun.sweep.stacking import Source, Stacked, from_json, stack

STATE_FILE = "gathered.json"
LOCK_FILE = "gather.lock"
# Rows of a thinned table of all runs together; each run keeps its full table, and FEWEST_ROWS here at least.
MOST_ROWS = 2_000_000
FEWEST_ROWS = 200


@dataclass(frozen=True)
class Gathered:
    """What was gathered.

    Attributes:
        folder: of the sweep.
        runs: the table `runs.csv`.
        files: what was written.
    """

    folder: Path
    runs: pd.DataFrame
    files: list[Path]

    def summary(self) -> str:
        """Text for the terminal."""
        counts = Counter(self.runs["status"])
        return "\n".join([f"{len(self.runs)} runs: " + ", ".join(f"{n} {status}" for status, n in counts.items()),
                          *map(str, self.files)])


def gather(folder: Path, formats: Sequence[str] = ("png", "pdf"), report: bool = True,
           parquet: bool | None = None) -> Gathered:
    """Write `runs.csv`, the stacked tables, the figures that suit the swept keys, and `report.html`.

    Args:
        folder: of a sweep, finished or not.
        formats: of the figures; none: no figures.
        report: whether to write the page.
        parquet: whether to write the loss as Parquet too; None: where it is large and pyarrow is installed.

    Raises:
        OutputError: the folder is not that of a sweep, or cannot be written.
    """
    sweep = SweepFolder(Path(folder))
    jobs = sweep.read_plan()
    with taking_turns(sweep.own() / LOCK_FILE):
        found = states(sweep, jobs)
        keys = list(dict.fromkeys(key for job in jobs for key in values(job)))
        runs = runs_table(found, keys)
        write_csv(sweep.path / RUNS_FILE, runs)
        files = [sweep.path / RUNS_FILE, *_stack_all(sweep, jobs, found)]
        files += [made for path in files for made in _as_parquet(path, parquet)]
        if formats and any(state.is_done for state in found):
            files += _drawn(sweep.path, formats)
        if report:
            files += _reported(sweep.path)
    return Gathered(sweep.path, runs, files)


def _as_parquet(path: Path, asked: bool | None) -> list[Path]:
    return [] if path.name in (RUNS_FILE, CLAIMS.file) else write_parquet(path, asked)


def _drawn(folder: Path, formats: Sequence[str]) -> list[Path]:
    """The figures; one that cannot be drawn is not worth the tables."""
    from agfrun.report.redraw import redraw  # Matplotlib, which the tables do not need

    try:
        return redraw(folder, formats)
    except OutputError:
        raise
    except Exception as error:
        print(f"agfrun: warning: the figures of {folder} could not be drawn: {first_line(error)}", file=sys.stderr)
        return []


def _reported(folder: Path) -> list[Path]:
    """The page; see `_drawn`."""
    from agfrun.report.html.sweep_page import write_sweep_page  # templates and charts

    try:
        return [write_sweep_page(folder)]
    except OutputError:
        raise
    except Exception as error:
        print(f"agfrun: warning: no page was written for {folder}: {first_line(error)}", file=sys.stderr)
        return []


def _gathered(ended: Sequence[State]) -> dict[str, tuple[Schema, list[State]]]:
    """The tables to gather, by name of the file in the sweep's folder, each with the runs whose studies have it."""
    tables: dict[str, tuple[Schema, list[State]]] = {CLAIMS.file: (CLAIMS, list(ended))}
    for name in dict.fromkeys(map(_study_of, ended)):
        kind, runs = registry.study_type(name), [state for state in ended if _study_of(state) == name]
        for schema in kind.tables if kind is not None else ():  # type: ignore[attr-defined]
            if schema.in_sweeps != "none":
                tables.setdefault(gathered_file(name, schema), (schema, []))[1].extend(runs)
    return tables


def _study_of(state: State) -> str:
    return str(state.numbers.get("study", FIRST_STUDY))


def _stack_all(sweep: SweepFolder, jobs: Sequence[Job], found: Sequence[State]) -> list[Path]:
    keys = swept_keys(jobs)
    state_file = sweep.hidden / STATE_FILE
    before = _noted(state_file)
    most = max(FEWEST_ROWS, MOST_ROWS // max(1, len(jobs)))
    written = []
    for name, (schema, runs) in _gathered([state for state in found if state.is_done]).items():
        path = sweep.path / name
        leading = [RUN, *(f"override.{key}" if key in schema.names else column_of(key) for key in keys)]
        before[name] = stack(path, schema.file, leading, [_source(state, keys) for state in runs],
                             before.get(name, Stacked()), most if schema.in_sweeps == "thinned" else None)
        if before[name].columns:
            written.append(path)
        write_object(state_file, {file: dataclasses.asdict(stacked) for file, stacked in before.items()})
    return written


def _source(state: State, keys: Sequence[str]) -> Source:
    given = values(state.job)
    status = (state.folder / DONE_FILE).lstat()
    return Source(state.job.folder, state.folder,
                  (state.job.folder, *(plain_value(given.get(key)) or "" for key in keys)),
                  f"{status.st_mtime_ns}-{status.st_size}")


def _noted(path: Path) -> dict[str, Stacked]:
    if not is_there(path):
        return {}
    try:
        return {name: from_json(values) for name, values in read_object(path, MOST_OF_SWEEP).items()}
    except (OutputError, TypeError, AttributeError):
        return {}
