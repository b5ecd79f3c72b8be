"""What figures and pages need of a run that was read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from agfrun.files.saved_run import config_value
from agfrun.files.tables import empty_table
from agfrun.labs.staircases.run import tables
from agfrun.labs.staircases.run.comparison import level_error
from agfrun.labs.staircases.sources import AGF, OF_COST_PHASE, TRAINING
from agfrun.labs.staircases.wording import Wording
from agfrun.study.claim import CLAIMS
from agfrun.study.errors import OutputError
from agfrun.study.study import Saved

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class SavedRun:
    """What a run of the study `compare` has left; tables and arrays that are not there are empty.

    Attributes:
        folder: where it lies.
        config, manifest: its configuration and provenance, as plain values.
        wording: how features are called.
        homogeneity_degree: of a neuron in its parameters, None if unknown.
        threshold: norm at which a neuron became active.
        main: which source the main prediction is.
        loss, features, observables, neurons, events, endings, comparison, ladder: its tables, see
            `staircases.run.tables`.
        claims: the table of claims.
        arrays: neurons and data arrays by name.
        done: what done.json says; empty while the run has not come to its end.
        is_compared: whether there is a comparison.
    """

    folder: Path
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    wording: Wording
    homogeneity_degree: int | None
    threshold: float
    main: str
    loss: pd.DataFrame
    features: pd.DataFrame
    observables: pd.DataFrame
    neurons: pd.DataFrame
    events: pd.DataFrame
    endings: pd.DataFrame
    comparison: pd.DataFrame
    ladder: pd.DataFrame
    claims: pd.DataFrame
    arrays: Arrays
    done: Mapping[str, Any]
    is_compared: bool


def saved_run(saved: Saved) -> SavedRun:
    """A run of the study `compare` from its folder.

    Raises:
        OutputError: it has no loss yet, or its words are damaged.
    """
    if tables.LOSS.name not in saved.tables:
        raise OutputError(f"{saved.folder} is not the folder of a run: it has no {tables.LOSS.file}")
    wording, homogeneity_degree = wording_of(saved)
    read = {schema.name: saved.tables[schema.name] if schema.name in saved.tables else empty_table(schema)
            for schema in (*tables.TABLES, CLAIMS)}
    main = OF_COST_PHASE.get(str(config_value(saved.config, "agf", "cost_phase", "instantaneous")), AGF)
    read = _with_sources_of_now(read, main)
    return SavedRun(
        folder=saved.folder, config=saved.config, manifest=saved.manifest, wording=wording,
        homogeneity_degree=homogeneity_degree,
        threshold=float(config_value(saved.config, "agf", "threshold", default=1.0)), main=main,
        arrays=saved.arrays, done=saved.done, is_compared=tables.COMPARISON.name in saved.tables, **read)


def _with_sources_of_now(read: dict[str, pd.DataFrame], main: str) -> dict[str, pd.DataFrame]:
    """The tables with each source called as it is now.

    Before there was a ladder every prediction was `agf`, the comparison did not say whose it is, and the error of a
    level was relative to the level: it is made anew from the events.
    """
    if (read[tables.EVENTS.name]["source"] == main).any() or (read[tables.LOSS.name]["source"] == main).any():
        renamed = read
    else:
        renamed = {name: table.assign(source=table["source"].replace(AGF, main)) if "source" in table else table
                   for name, table in read.items()}
    comparison = renamed[tables.COMPARISON.name]
    if not len(comparison) or comparison["source"].notna().any():
        return renamed
    errors = _level_errors(comparison, renamed[tables.EVENTS.name], main)
    return renamed | {tables.COMPARISON.name: comparison.assign(source=main, level_error=errors)}


def _level_errors(comparison: pd.DataFrame, events: pd.DataFrame, main: str) -> list[float]:
    """The level before an event is that of its row in the table of events."""
    keys = zip(events["source"], events["kind"], events["time"], strict=True)
    before = dict(zip(keys, events["loss_before"], strict=True))

    def levels(row: dict[Any, Any], source: str, side: str) -> tuple[float, float]:
        return before.get((source, row["kind"], row[f"time_{side}"]), math.nan), row[f"level_{side}"]

    return [level_error(levels(row, main, "predicted"), levels(row, TRAINING, "training"))
            for row in comparison.to_dict("records")]


def wording_of(saved: Saved) -> tuple[Wording, int | None]:
    """How features are called, and the homogeneity degree; defaults where an older run does not say.

    Raises:
        OutputError: labels.json holds something else.
    """
    if not saved.words:
        return Wording(), None
    names = {field.name for field in fields(Wording)}
    degree = saved.words.get("homogeneity_degree")
    if set(saved.words) != {*names, "homogeneity_degree"} or not isinstance(degree, int | None):
        raise OutputError(f"cannot read {saved.folder / 'labels.json'}: it does not say how features are called")
    return Wording(**{name: saved.words[name] for name in names}), degree
