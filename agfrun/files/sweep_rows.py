"""One row a run: `runs.csv`, from what each job of a sweep has left in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from agfrun.files.folders import DONE_FILE
from agfrun.files.saved_run import CONFIG_FILE
from agfrun.files.sweep_folder import FAILED_FILE, SAME_FILE, SweepFolder, read_object
from agfrun.files.sweep_jobs import Job, values
from agfrun.study.errors import OutputError

MISSING, UNFINISHED, FAILED = "missing", "unfinished", "failed"
ENDED = ("converged", "horizon", "finished")
LEADING = ("run", "status", "reason")
VERDICT = ("order_agrees", "predicted_acquisitions", "measured_acquisitions", "in_predicted_order",
           "worst_time_error", "worst_level_error", "claims_hold", "claims", "wall_seconds", "config_hash")


@dataclass(frozen=True)
class State:
    """What a job has left.

    Attributes:
        job: the job.
        folder: where its files lie; another job's, if that has the same configuration.
        status: `missing` (not begun), `unfinished` (begun: under way, or killed), `failed`, or that of the run.
        reason: why it ended so.
        numbers: the verdict in its `done.json`.
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
    """What each job has left so far."""
    return [_state(sweep, job) for job in jobs]


def _state(sweep: SweepFolder, job: Job) -> State:
    folder = sweep.path / job.folder
    try:
        if (folder / SAME_FILE).exists() and not (folder / DONE_FILE).exists():
            folder = sweep.inside(str(read_object(folder / SAME_FILE).get("folder")))
        if (folder / FAILED_FILE).exists():
            return State(job, folder, FAILED, str(read_object(folder / FAILED_FILE).get("reason", "")), {})
        if (folder / DONE_FILE).exists():
            done = read_object(folder / DONE_FILE)
            return State(job, folder, str(done.get("status", "finished")), str(done.get("reason", "")), done)
    except (OutputError, KeyError) as error:
        return State(job, folder, FAILED, str(error), {})
    return State(job, folder, UNFINISHED if (folder / CONFIG_FILE).exists() else MISSING, "", {})


def runs_table(found: Sequence[State], keys: Sequence[str]) -> pd.DataFrame:
    """The table `runs.csv`: folder, status, reason, every override, the numbers of the verdict."""
    further = dict.fromkeys(key for state in found for key in state.numbers)
    names = [*VERDICT, *(key for key in further if key not in (*VERDICT, *LEADING))]
    rows = []
    for state in found:
        given = values(state.job)
        rows.append({"run": state.job.folder, "status": state.status, "reason": state.reason}
                    | {column_of(key): plain_value(given.get(key)) for key in keys}
                    | {"order_agrees": order_agrees(state.numbers)} | dict(state.numbers)
                    | {"status": state.status, "reason": state.reason})
    columns = ["run", *(column_of(key) for key in keys), "status", "reason", *names]
    table = pd.DataFrame(rows, columns=columns)
    for name in names:  # counts stay whole where some runs have none
        if all(isinstance(row.get(name), int) for row in rows if row.get(name) is not None):
            table[name] = table[name].astype("boolean" if name == "order_agrees" else "Int64")
    return table


def column_of(key: str) -> str:
    """The column of an override; one that the verdict has a column for too is told from that."""
    return f"override.{key}" if key in (*LEADING, *VERDICT) else key


def plain_value(text: str | None) -> str | None:
    """The value of an override for a table: numbers as they are, words without their quotes."""
    return None if text is None else text.strip("'\"")


def order_agrees(numbers: Mapping[str, Any]) -> bool | None:
    """Whether a single run learned everything in the predicted order; None for anything but a single run."""
    predicted, in_order = numbers.get("predicted_acquisitions"), numbers.get("in_predicted_order")
    if not predicted or in_order is None:
        return None
    return bool(in_order == predicted)
