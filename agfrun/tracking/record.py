"""What a run's folder says of it, under the names that its files use."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from agfrun.study.schema import NOT_IN_HASH, RunConfig, config_hash

COMPARED = ("time_agf", "time_training", "time_ratio", "level_agf", "level_training", "level_error")


@dataclass(frozen=True)
class Point:
    """One number of a series: `step` is a row of the loss, or the number of an event."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Record:
    """One run for a tracker.

    Attributes:
        name: the last two parts of its folder, which tell it from all others of one project.
        status: that of `done.json`; `failed`, or `unfinished` where the folder does not say how it ended.
        parameters: the configuration by dotted key.
        tags: status, reason, configuration hash, git revision, overrides, folder.
        metrics: the numbers of `done.json`.
        series: loss and time by row, events and their comparison by number, claims (1 holds, 0 fails).
    """

    name: str
    status: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    series: Sequence[Point]


def read_record(folder: Path, config: RunConfig, overrides: Sequence[str]) -> Record:
    """Read a run's folder; files that are not there are left out.

    Raises:
        ValueError: a file is no JSON or no table.
    """
    done, failed, manifest = (_object(folder / name) for name in ("done.json", "failed.json", "manifest.json"))
    ended = failed or done
    status = str(ended.get("status", "unfinished"))
    told = {"status": status, "reason": ended.get("reason"), "config_hash": config_hash(config),
            "git_revision": manifest.get("git_revision"), "agfrun": manifest.get("agfrun"),
            "overrides": " ".join(overrides), "folder": str(folder)}
    place = folder.absolute()
    return Record(f"{place.parent.name}/{place.name}", status, parameters_of(config),
                  {name: str(value) for name, value in told.items() if value},
                  {} if failed else {name: float(value) for name, value in done.items() if _is_number(value)},
                  list(_series(folder)))


def parameters_of(config: RunConfig) -> dict[str, str]:
    """The keys that decide a run's numbers, dotted, with their values as one writes them on the command line."""
    values = {key: value for key, value in dataclasses.asdict(config).items() if key not in NOT_IN_HASH}
    return dict(_flattened(values, ""))


def _flattened(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _object(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no object")
    return content


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _series(folder: Path) -> Iterator[Point]:
    yield from _losses(_table(folder / "loss.csv", ("source", "time", "loss")))
    for row in _rows(folder / "comparison.csv", ("event", *COMPARED)):
        yield from _points("", int(row["event"]), {name: row[name] for name in COMPARED})
    for row in _rows(folder / "events.csv", ("source", "event", "kind", "time")):
        yield from _points("events/", int(row["event"]), {f"{row['source']}/{row['kind']}": row["time"]})
    for row in _rows(folder / "claims.csv", ("claim", "source", "holds")):
        yield from _points("claims/", 0, {f"{row['source']}/{row['claim']}": int(str(row["holds"]) == "True")})


def _losses(table: pd.DataFrame) -> Iterator[Point]:
    """Training's curve as `loss` and `time`; the others' with their source before it."""
    for source, rows in table.groupby("source", sort=False):
        prefix = "" if source == "training" else f"{source}/"
        for step, (time, loss) in enumerate(zip(rows["time"], rows["loss"], strict=True)):
            yield from _points(prefix, step, {"time": time, "loss": loss})


def _points(prefix: str, step: int, values: Mapping[str, Any]) -> Iterator[Point]:
    for name, value in values.items():
        if math.isfinite(float(value)):
            yield Point(prefix + name, step, float(value))


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _table(path, columns).to_dict("records")
    return rows


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """The table, if it is that of one run; empty where it is missing or of many members."""
    table = pd.read_csv(path) if path.exists() else pd.DataFrame()
    single = set(columns) <= set(table.columns) and not {"member", "seed"} & set(table.columns)
    return table[list(columns)] if single else pd.DataFrame(columns=list(columns))
