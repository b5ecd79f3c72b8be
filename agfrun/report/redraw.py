"""Draw all figures of a run from its saved files alone: no network is built, nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors
import safetensors.numpy
import yaml
from matplotlib.figure import Figure

from agfrun.errors import OutputError
from agfrun.report import tables
from agfrun.report.figures.context import figure_context
from agfrun.report.figures.features import plot_features
from agfrun.report.figures.modular_addition import (
    PlateauState,
    plot_predictions,
    plot_weights,
    select_states,
)
from agfrun.report.figures.neurons import plot_neurons
from agfrun.report.figures.staircase import plot_staircase
from agfrun.report.figures.style import render
from agfrun.report.tables import Schema, empty_table, read_table
from agfrun.report.writing import write_bytes

CONFIG_FILE = "config.yaml"
PARAMETERS_FILE = "parameters.safetensors"
PLOTS_FOLDER = "plots"
MODULAR_ADDITION = "quadratic_modadd"

Arrays = dict[str, npt.NDArray[Any]]


def redraw(run_dir: Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Draw the figures of a finished or interrupted run into `run_dir/plots`.

    A figure whose table an interrupted run has not written is left out. The files hold no dates:
    the same run folder gives the same bytes.

    Args:
        run_dir: folder of the run; `config.yaml` and `loss.csv` must be there.
        formats: any of `png` (200 dpi) and `pdf`.

    Returns:
        The paths written.

    Raises:
        OutputError: the folder is no run, one of its files is damaged, or plots cannot be written.
    """
    run_dir = Path(run_dir)
    # All is read before anything is written, so that a damaged run keeps the plots that it has.
    saved = _read_run(run_dir)
    folder = run_dir / PLOTS_FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    written = []
    for name, figure in _figures(saved):
        for file_format in formats:
            path = folder / f"{name}.{file_format}"
            write_bytes(path, render(figure, file_format))
            written.append(path)
    return written


@dataclass(frozen=True)
class _SavedRun:
    """What the figures need of a run folder; tables that are not there are empty."""

    model: str
    threshold: float
    loss: pd.DataFrame
    features: pd.DataFrame
    neurons: pd.DataFrame
    events: pd.DataFrame
    comparison: pd.DataFrame
    plateaus: _Plateaus | None


@dataclass(frozen=True)
class _Plateaus:
    """Modular addition's states: template of shape (p,), largest initial norm, states to show."""

    template: npt.NDArray[Any]
    initial_norm: float
    states: list[PlateauState]


def _figures(saved: _SavedRun) -> Iterator[tuple[str, Figure]]:
    """Name and figure, one at a time so that only one is held."""
    context = figure_context(saved.model, saved.loss, saved.features, saved.events)
    yield "staircase", plot_staircase(context, saved.loss, saved.events, saved.comparison)
    if len(saved.features):
        yield "features", plot_features(context, saved.features)
    if len(saved.neurons):
        yield "neurons", plot_neurons(context, saved.neurons, saved.threshold)
    plateaus = saved.plateaus
    if plateaus is not None and plateaus.states:
        yield "modular_addition_weights", plot_weights(context, plateaus.states, plateaus.initial_norm)
        yield "modular_addition_predictions", plot_predictions(context, plateaus.states, plateaus.template)


def _read_run(run_dir: Path) -> _SavedRun:
    config = _read_config(run_dir)
    model = str(_value(config, "model", "name", default=""))
    parameters = run_dir / PARAMETERS_FILE
    return _SavedRun(
        model=model,
        threshold=float(_value(config, "agf", "threshold", default=1.0)),
        loss=read_table(run_dir / tables.LOSS.file, tables.LOSS),
        features=_read_if_there(run_dir, tables.FEATURES),
        neurons=_read_if_there(run_dir, tables.NEURONS),
        events=_read_if_there(run_dir, tables.EVENTS),
        comparison=_read_if_there(run_dir, tables.COMPARISON),
        plateaus=_read_plateaus(parameters) if model == MODULAR_ADDITION and parameters.exists() else None,
    )


def _read_plateaus(path: Path) -> _Plateaus:
    arrays = _read_arrays(path)
    for needed in ("template", "neurons/initial"):
        if needed not in arrays:
            raise OutputError(f"{path} has no array {needed}: it is not a run of modular addition")
    template = arrays["template"]
    initial_norm = float(np.linalg.norm(arrays["neurons/initial"], axis=1).max())
    return _Plateaus(template, initial_norm, select_states(_plateau_states(path, arrays, template)))


def _plateau_states(path: Path, arrays: Arrays, template: npt.NDArray[Any]) -> list[PlateauState]:
    """The plateaus in order, then the end of training; states that left the finite numbers do not count."""
    times: list[float | None] = [float(time) for time in arrays.get("plateau_times", np.empty(0))]
    names = [f"neurons/plateau_{index}" for index in range(len(times))]
    p, states = len(template), []
    for name, time in zip([*names, "neurons/final"], [*times, None], strict=True):
        neurons = arrays.get(name)
        if neurons is None or not np.isfinite(neurons).all():
            continue
        if neurons.ndim != 2 or neurons.shape[1] != 3 * p:
            raise OutputError(f"{path}: {name} has shape {neurons.shape}, not (H, {3 * p})")
        states.append(PlateauState.of(time, neurons.reshape(-1, 3, p), template))
    return states


def _read_config(run_dir: Path) -> dict[str, Any]:
    path = run_dir / CONFIG_FILE
    for needed in (path, run_dir / tables.LOSS.file):
        if not needed.is_file():
            raise OutputError(f"{run_dir} is not the folder of a run: it has no {needed.name}")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise OutputError(f"cannot read {path}: it holds no configuration")
    return config


def _read_if_there(run_dir: Path, schema: Schema) -> pd.DataFrame:
    path = run_dir / schema.file
    return read_table(path, schema) if path.exists() else empty_table(schema)


def _read_arrays(path: Path) -> Arrays:
    try:
        return safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error


def _value(config: dict[str, Any], group: str, key: str, default: object) -> Any:
    values = config.get(group)
    return values.get(key, default) if isinstance(values, dict) else default
