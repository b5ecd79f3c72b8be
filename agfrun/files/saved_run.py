"""A run's folder read back: its configuration, tables and arrays, for figures and whoever else looks at it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd
import safetensors
import safetensors.numpy
import yaml

from agfrun.files import tables
from agfrun.files.tables import Schema, empty_table, read_table
from agfrun.labs.staircases.wording import Wording
from agfrun.study.errors import OutputError

CONFIG_FILE = "config.yaml"
LABELS_FILE = "labels.json"
PARAMETERS_FILE = "parameters.safetensors"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class SavedRun:
    """What a run of the study `compare` has left; tables and arrays that are not there are empty.

    Attributes:
        folder: where it lies.
        wording: how features are called.
        homogeneity_degree: of a neuron in its parameters, None if unknown.
        threshold: norm at which a neuron became active.
        loss, features, observables, neurons, events, endings, comparison: its tables, see `agfrun.files.tables`.
        arrays: neurons and data arrays by name.
    """

    folder: Path
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
    arrays: Arrays


def read_run(run_dir: Path) -> SavedRun:
    """Read a run's folder.

    Raises:
        OutputError: the folder is no run, or one of its files is damaged.
    """
    config = read_config(run_dir)
    if not (run_dir / tables.LOSS.file).is_file():
        raise OutputError(f"{run_dir} is not the folder of a run: it has no {tables.LOSS.file}")
    wording, homogeneity_degree = read_labels(run_dir / LABELS_FILE)
    return SavedRun(
        folder=run_dir,
        wording=wording,
        homogeneity_degree=homogeneity_degree,
        threshold=float(config_value(config, "agf", "threshold", default=1.0)),
        loss=read_table(run_dir / tables.LOSS.file, tables.LOSS),
        features=_read_if_there(run_dir, tables.FEATURES),
        observables=_read_if_there(run_dir, tables.OBSERVABLES),
        neurons=_read_if_there(run_dir, tables.NEURONS),
        events=_read_if_there(run_dir, tables.EVENTS),
        endings=_read_if_there(run_dir, tables.ENDINGS),
        comparison=_read_if_there(run_dir, tables.COMPARISON),
        arrays=_read_arrays(run_dir / PARAMETERS_FILE),
    )


def read_config(run_dir: Path) -> dict[str, Any]:
    """The configuration of a run of any study, as plain values.

    Raises:
        OutputError: the folder is no run, or its configuration cannot be read.
    """
    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise OutputError(f"{run_dir} is not the folder of a run: it has no {path.name}")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise OutputError(f"cannot read {path}: it holds no configuration")
    return config


def config_value(config: dict[str, Any], group: str, key: str, default: object) -> Any:
    """One value of a configuration that was read back, or a default."""
    values = config.get(group)
    return values.get(key, default) if isinstance(values, dict) else default


def read_labels(path: Path) -> tuple[Wording, int | None]:
    """How features are called, and the homogeneity degree; defaults where an older run does not say."""
    if not path.exists():
        return Wording(), None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        degree = values.pop("homogeneity_degree")
        return Wording(**values), degree
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error


def _read_if_there(run_dir: Path, schema: Schema) -> pd.DataFrame:
    path = run_dir / schema.file
    return read_table(path, schema) if path.exists() else empty_table(schema)


def _read_arrays(path: Path) -> Arrays:
    if not path.exists():
        return {}
    try:
        return safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
