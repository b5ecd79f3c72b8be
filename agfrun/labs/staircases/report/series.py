"""What trackers record of a run: its curves, events and their comparison, number by number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.labs.staircases.report.saved import SavedRun

COMPARED = ("time_predicted", "time_training", "time_ratio", "level_predicted", "level_training", "level_error")

Point = tuple[str, int, float]


def series_of(saved: SavedRun) -> Iterator[Point]:
    """Name, step and value; a step is a row of the loss, or the number of an event."""
    yield from _losses(saved.loss)
    for row in saved.comparison.to_dict("records"):
        prefix = "" if row["source"] == saved.main else f"{row['source']}/"
        yield from _points(prefix, int(row["event"]), {name: row[name] for name in COMPARED})
    for row in saved.events.to_dict("records"):
        yield from _points("events/", int(row["event"]), {f"{row['source']}/{row['kind']}": row["time"]})


def _losses(table: pd.DataFrame) -> Iterator[Point]:
    """Training's curve as `loss` and `time`; the others' with their source before it."""
    for source, rows in table.groupby("source", sort=False):
        prefix = "" if source == "training" else f"{source}/"
        for step, (time, loss) in enumerate(zip(rows["time"], rows["loss"], strict=True)):
            yield from _points(prefix, step, {"time": time, "loss": loss})


def _points(prefix: str, step: int, values: Mapping[str, Any]) -> Iterator[Point]:
    for name, value in values.items():
        if not is_missing(value) and math.isfinite(float(value)):
            yield prefix + name, step, float(value)
