"""What a run's folder says of it, under the names that its files use."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agfrun.files.folders import CONFIG_FILE, DONE_FILE, FAILED_FILE, MANIFEST_FILE
from agfrun.files.inside import is_there
from agfrun.files.json_files import read_json
from agfrun.files.saved_run import read_run
from agfrun.files.tables import is_missing
from agfrun.study.claim import CLAIMS
from agfrun.study.settings import NOT_IN_HASH, RunSettings, config_hash


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
        series: what the study says of its curves and events, claims (1 holds, 0 fails).
    """

    name: str
    status: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    series: Sequence[Point]


def read_record(folder: Path, config: RunSettings, overrides: Sequence[str]) -> Record:
    """Read a run's folder; files that are not there are left out.

    Raises:
        OutputError: a file is damaged.
    """
    done, failed, manifest = (read_json(folder / name) for name in (DONE_FILE, FAILED_FILE, MANIFEST_FILE))
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


def parameters_of(config: RunSettings) -> dict[str, str]:
    """The keys that decide a run's numbers, dotted, with their values as one writes them on the command line."""
    values = {key: value for key, value in dataclasses.asdict(config).items() if key not in NOT_IN_HASH}
    return dict(_flattened(values, ""))


def _flattened(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _series(folder: Path) -> Iterator[Point]:
    """What the study says of its curves and events, and the claims; nothing of a folder that holds no run."""
    if not is_there(folder / CONFIG_FILE):
        return
    study, saved = read_run(folder)
    if saved.tables:
        yield from (Point(*point) for point in study.series(saved))
    claims = saved.tables.get(CLAIMS.name)
    for row in claims.to_dict("records") if claims is not None else ():
        if not is_missing(row["holds"]):
            yield Point(f"claims/{row['source']}/{row['claim']}", 0, float(bool(row["holds"])))
