"""A series of runs: each one tried, its failure reported rather than raised, and the tables as they grow."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pandas as pd
from tqdm import tqdm

from agfrun.files.tables import conforming
from agfrun.study.errors import AgfrunError
from agfrun.study.table import Schema

Outcome = TypeVar("Outcome")
Case = TypeVar("Case")

# What a run may die of without the others being wrong too; a mistake in the code is none of these.
FAILURES = (AgfrunError, ArithmeticError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Attempt(Generic[Outcome]):
    """What became of one run.

    Attributes:
        outcome: its result, None where it failed.
        reason: one line on why it failed; empty where it did not.
        seconds: wall time.
    """

    outcome: Outcome | None
    reason: str
    seconds: float


def attempt(task: Callable[[], Outcome]) -> Attempt[Outcome]:
    """Do `task`; a failure that is its own becomes a reason. An interruption is passed on."""
    start = time.perf_counter()
    try:
        outcome = task()
    except FAILURES as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Attempt(None, reason, time.perf_counter() - start)
    return Attempt(outcome, "", time.perf_counter() - start)


def shown(cases: Sequence[Case], progress: bool | None) -> tqdm[Case]:
    """The cases, with a bar over them; None shows it if standard error is a terminal."""
    hidden = not (sys.stderr.isatty() if progress is None else progress)
    return tqdm(cases, disable=hidden, desc="runs", file=sys.stderr, leave=False)


def require_some(reasons: Sequence[str]) -> None:
    """Refuse a series of which nothing came.

    Args:
        reasons: why each run failed, empty for one that did not.

    Raises:
        AgfrunError: no run finished; the message is the first run's.
    """
    if all(reasons):
        raise AgfrunError(f"none of the {len(reasons)} runs finished; the first ended with {reasons[0]}")


class Tables:
    """Tables that grow by rows, one list of rows for each schema."""

    def __init__(self, schemas: Sequence[Schema]) -> None:
        self._schemas = schemas
        self._rows: dict[str, list[dict[str, Any]]] = {schema.name: [] for schema in schemas}

    def add(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows to one table; every row has the table's columns, or fewer."""
        self._rows[name] += rows

    def frames(self) -> dict[str, pd.DataFrame]:
        """All tables as they are now, columns in order and of their kinds, also where there are no rows."""
        return {schema.name: conforming(pd.DataFrame(self._rows[schema.name]), schema) for schema in self._schemas}
