"""One row a run: `runs.csv`, from what each job of a sweep has left in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from agfrun.files.folders import CONFIG_FILE, DONE_FILE, FAILED_FILE, SAME_FILE
from agfrun.files.inside import is_there
from agfrun.files.json_files import read_object
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.sweep_jobs import Job, values
from agfrun.study.errors import OutputError

MISSING, UNFINISHED, FAILED = "missing", "unfinished", "failed"
LEADING = ("run", "status", "reason")
# Of done.json: told of every run, after the numbers of its study.
COMMON = ("claims_hold", "claims", "claims_undecided", "wall_seconds", "study", "config_hash")


@dataclass(frozen=True)
class State:
    """What a job has left.

    Attributes:
        job: the job.
        folder: where its files lie; another job's, if that has the same configuration.
        status: `missing` (not begun), `unfinished` (begun: under way, or killed), `failed`, or that of the run.
        reason: why it ended so.
        numbers: what its `done.json` says.
    """

    job: Job
    folder: Path
    status: str
    reason: str
    numbers: Mapping[str, Any]

    @property
    def is_done(self) -> bool:
        """Whether it left a result, be it one that diverged."""
        return bool(self.numbers)


def states(sweep: SweepFolder, jobs: Sequence[Job]) -> list[State]:
    """What each job has left so far.

    Raises:
        OutputError: the folder of a job is a link.
    """
    return [_state(sweep, job) for job in jobs]


def _state(sweep: SweepFolder, job: Job) -> State:
    folder = sweep.inside(job.folder)
    try:
        if is_there(folder / SAME_FILE) and not is_there(folder / DONE_FILE):
            folder = sweep.inside(str(read_object(folder / SAME_FILE).get("folder")))
        if is_there(folder / FAILED_FILE):
            return State(job, folder, FAILED, str(read_object(folder / FAILED_FILE).get("reason", "")), {})
        if is_there(folder / DONE_FILE):
            done = read_object(folder / DONE_FILE)
            return State(job, folder, str(done.get("status", "finished")), str(done.get("reason", "")), done)
    except (OutputError, KeyError) as error:
        return State(job, folder, FAILED, str(error), {})
    return State(job, folder, UNFINISHED if is_there(folder / CONFIG_FILE) else MISSING, "", {})


def runs_table(found: Sequence[State], keys: Sequence[str]) -> pd.DataFrame:
    """The table `runs.csv`: folder, every override, status, reason, the numbers of the studies."""
    known = dict.fromkeys(key for state in found for key in state.numbers if key not in LEADING)
    names = [*(key for key in known if key not in COMMON), *(key for key in COMMON if key in known)]
    columns = {key: column_of(key) for key in keys}
    rows = []
    for state in found:
        given = values(state.job)
        rows.append({"run": state.job.folder, "status": state.status, "reason": state.reason}
                    | {columns[key]: plain_value(given.get(key)) for key in keys}
                    | {name: _cell(state.numbers.get(name)) for name in names})
    table = pd.DataFrame(rows, columns=["run", *columns.values(), "status", "reason", *names])
    for name in names:  # counts stay whole, and flags flags, where some runs have none
        present = [row[name] for row in rows if row[name] is not None]
        if present and all(isinstance(value, bool) for value in present):
            table[name] = table[name].astype("boolean")
        elif present and all(isinstance(value, int) and not isinstance(value, bool) for value in present):
            table[name] = table[name].astype("Int64")
    return table


def _cell(value: Any) -> Any:
    """A number or word as it is, anything else as JSON."""
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)


def column_of(key: str) -> str:
    """The column of an override; one that another column is called by too is told from that."""
    return f"override.{key}" if key in (*LEADING, *COMMON) else key


def plain_value(text: str | None) -> str | None:
    """The value of an override for a table: numbers as they are, words without their quotes."""
    return None if text is None else text.strip("'\"")
