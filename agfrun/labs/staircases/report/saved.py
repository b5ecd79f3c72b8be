"""What figures and pages need of a run that was read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from agfrun.files.saved_run import config_value
from agfrun.files.tables import empty_table
from agfrun.labs.staircases.run import tables
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
        loss, features, observables, neurons, events, endings, comparison: its tables, see `staircases.run.tables`.
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
    loss: pd.DataFrame
    features: pd.DataFrame
    observables: pd.DataFrame
    neurons: pd.DataFrame
    events: pd.DataFrame
    endings: pd.DataFrame
    comparison: pd.DataFrame
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
    return SavedRun(
        folder=saved.folder, config=saved.config, manifest=saved.manifest, wording=wording,
        homogeneity_degree=homogeneity_degree,
        threshold=float(config_value(saved.config, "agf", "threshold", default=1.0)), arrays=saved.arrays,
        done=saved.done, is_compared=tables.COMPARISON.name in saved.tables, **read)


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
