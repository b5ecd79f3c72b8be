"""The eight tables of a run: their columns, how they are built and how they are read back.

All are tidy CSV, one observation a row. A missing value is an empty cell; numbers are written in
full, so that a table read back equals the table written, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from agfrun.study.errors import OutputError

if TYPE_CHECKING:
    from agfrun.labs.staircases.dynamics.trajectory import Trajectory
    from agfrun.labs.staircases.events.event import Event

# From pandas 3.1 on every last digit is right without being asked for, and asking is deprecated.
EXACTLY: dict[str, Any] = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {
    "float_precision": "round_trip"}

ColumnKind = Literal["number", "integer", "flag", "text", "number or text"]

_DTYPES: dict[ColumnKind, str] = {
    "number": "float64",
    "integer": "Int64",
    "flag": "boolean",
    "text": "string",
    "number or text": "object",
}


@dataclass(frozen=True)
class Column:
    """One column: its name, what its cells hold and what they mean."""

    name: str
    kind: ColumnKind
    meaning: str


@dataclass(frozen=True)
class Schema:
    """One table: the file's name in the run folder and its columns in order."""

    file: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [column.name for column in self.columns]


_SOURCE = Column("source", "text", "who says so: training, agf or theory")
_TIME = Column("time", "number", "gradient-flow time, for the loss L = E 1/2 ||y - f||^2")
_FEATURE = Column("feature", "text", "label of the feature, for instance the frequency")

LOSS = Schema("loss.csv", (
    _SOURCE,
    _TIME,
    Column("step", "integer", "optimizer step; empty for a flow"),
    Column("loss", "number", "loss in the paper's normalization"),
))

FEATURES = Schema("features.csv", (
    _SOURCE,
    _TIME,
    _FEATURE,
    Column("value", "number", "size of the feature in the network's output"),
))

NEURONS = Schema("neurons.csv", (
    _SOURCE,
    _TIME,
    Column("neuron", "integer", "index of the neuron, from 0"),
    Column("norm", "number", "Euclidean norm of the neuron's parameters; 0 below the smallest float"),
    Column("log10_norm", "number", "decimal logarithm of the norm, at any scale"),
    Column("accumulated_utility", "number", "integral of kappa times the normalized utility"),
    Column("direction_feature", "text", "label of the feature the neuron points at"),
    Column("active", "flag", "whether the neuron's norm has crossed the threshold"),
))

OBSERVABLES = Schema("observables.csv", (
    _SOURCE,
    _TIME,
    Column("quantity", "text", "name of the quantity, for instance singular value"),
    Column("index", "integer", "its number, from 1"),
    Column("value", "number", "its value for the whole network"),
))

EVENTS = Schema("events.csv", (
    _SOURCE,
    Column("event", "integer", "number of the event within its source, from 1"),
    Column("kind", "text", "activation, acquisition or collapse"),
    _TIME,
    _FEATURE,
    Column("neuron", "integer", "index of the neuron; empty where the event is not one neuron's"),
    Column("loss_before", "number", "level of the plateau that the event ends"),
    Column("loss_after", "number", "level of the plateau that follows"),
    Column("plateau_start", "number", "when the plateau that follows begins"),
    Column("plateau_end", "number", "when the plateau that follows ends; empty if it lasts"),
))

COMPARISON = Schema("comparison.csv", (
    Column("event", "integer", "number of the compared event"),
    Column("kind", "text", "activation, acquisition or collapse"),
    _FEATURE,
    Column("neuron_agf", "integer", "neuron of the predicted event"),
    Column("neuron_training", "integer", "neuron of the measured event"),
    Column("time_agf", "number", "predicted time"),
    Column("time_training", "number", "measured time"),
    Column("time_ratio", "number", "predicted over measured time"),
    Column("level_agf", "number", "predicted loss after the event"),
    Column("level_training", "number", "measured loss after the event"),
    Column("level_error", "number", "relative error of the predicted level"),
    Column("order_matches", "flag", "whether both sources have this feature at this place"),
    Column("lower_bound", "number", "time before which theory rules the event out"),
    Column("lower_bound_holds", "flag", "whether the measured time is not below the bound"),
    Column("time_theory", "number", "closed-form time"),
    Column("level_theory", "number", "closed-form loss after the event"),
))

CLAIMS = Schema("claims.csv", (
    Column("claim", "text", "short name of the claim"),
    _SOURCE,
    Column("statement", "text", "the claim in words"),
    Column("expected", "number or text", "what the claim says"),
    Column("measured", "number or text", "what this run shows"),
    Column("tolerance", "number", "largest difference at which the claim holds"),
    Column("holds", "flag", "whether it holds"),
))

ENDINGS = Schema("endings.csv", (
    Column("source", "text", "whose: training or agf"),
    Column("status", "text", "of training: converged, horizon, diverged, stalled or interrupted; of AGF: complete or "
           "incomplete"),
    Column("reason", "text", "why it ended, and what to try if that is no good end"),
    Column("time", "number", "of the last recorded moment"),
    Column("loss", "number", "at that moment"),
))

SCHEMAS: tuple[Schema, ...] = (LOSS, FEATURES, OBSERVABLES, NEURONS, EVENTS, ENDINGS, COMPARISON, CLAIMS)


def loss_table(trajectories: Iterable[Trajectory]) -> pd.DataFrame:
    """Table `loss.csv`: one row for each recorded moment of each source."""
    return _concatenate(LOSS, (
        {"source": t.source, "time": t.times, "step": t.steps, "loss": t.loss} for t in trajectories
    ))


def features_table(trajectories: Iterable[Trajectory]) -> pd.DataFrame:
    """Table `features.csv`: one row for each moment and feature, moment by moment."""
    return _concatenate(FEATURES, (
        {
            "source": t.source,
            "time": np.repeat(t.times, len(t.feature_names)),
            "feature": np.tile(np.array(t.feature_names, dtype=object), len(t.times)),
            "value": t.features.ravel(),
        }
        for t in trajectories
    ))


def observables_table(trajectories: Iterable[Trajectory]) -> pd.DataFrame:
    """Table `observables.csv`: one row for each moment, quantity and index."""
    return _concatenate(OBSERVABLES, (
        {
            "source": t.source,
            "time": np.repeat(t.times, values.shape[1]),
            "quantity": name,
            "index": np.tile(np.arange(1, values.shape[1] + 1), len(t.times)),
            "value": values.ravel(),
        }
        for t in trajectories for name, values in t.observables.items()
    ))


def neurons_table(trajectories: Sequence[Trajectory], max_rows: int = 200_000) -> pd.DataFrame:
    """Table `neurons.csv`: one row for each moment and neuron, moment by moment.

    Above `max_rows` rows in all, moments are left out evenly in record index; each source keeps
    its first and last moment (so that 2 x H rows a source are the least).
    """
    total = sum(t.log_norms.size for t in trajectories)
    share = min(1.0, max_rows / total) if total else 1.0
    return _concatenate(NEURONS, (_neuron_columns(t, share) for t in trajectories))


def events_table(events: Mapping[str, Sequence[Event]]) -> pd.DataFrame:
    """Table `events.csv` from the events of each source, in the order given."""
    return rows_table(EVENTS, [
        {"source": source, "event": number} | {name: getattr(event, name) for name in EVENTS.names[2:]}
        for source, of_source in events.items()
        for number, event in enumerate(of_source, start=1)
    ])


def rows_table(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of any schema from rows given as mappings; an absent key is a missing value.

    Raises:
        ValueError: a row has a key that the schema does not know.
    """
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise ValueError(f"{schema.file} has no column {', '.join(sorted(unknown))}")
    columns = {name: [row.get(name) for row in rows] for name in schema.names}
    return _frame(schema, columns)


def empty_table(schema: Schema) -> pd.DataFrame:
    """The table without rows."""
    return rows_table(schema, [])


def read_table(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a table back, bit for bit, with the schema's columns in order (others are left out).

    Raises:
        OutputError: the file is absent or unreadable, a column is missing or a cell is no value
            of its column's kind.
    """
    try:
        cells = pd.read_csv(path, dtype=str, keep_default_na=False)
        missing = [name for name in schema.names if name not in cells.columns]
        if missing:
            raise OutputError(f"{path} has no column {', '.join(missing)}: expected {','.join(schema.names)}")
        columns = {column.name: _parse(cells[column.name].tolist(), column.kind) for column in schema.columns}
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    return _frame(schema, columns)


def read_any_table(path: Path) -> pd.DataFrame:
    """A table that has no schema, such as a study's, its numbers bit for bit.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        table = pd.read_csv(path, **EXACTLY)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not table.index.equals(pd.RangeIndex(len(table))):  # pandas took the first cells for names of rows
        raise OutputError(f"cannot read {path}: it has rows with more cells than columns")
    return table


def _neuron_columns(trajectory: Trajectory, share: float) -> dict[str, Any]:
    moments, width = trajectory.log_norms.shape
    kept = even_indices(moments, int(moments * share)) if width else np.arange(0)
    labels = np.array([*trajectory.feature_names, None], dtype=object)
    # An index outside the features (a neuron at the origin points nowhere) is a missing label.
    directions = trajectory.direction_feature[kept]
    known = (directions >= 0) & (directions < len(trajectory.feature_names))
    return {
        "source": trajectory.source,
        "time": np.repeat(trajectory.times[kept], width),
        "neuron": np.tile(np.arange(width), len(kept)),
        "norm": trajectory.neuron_norms[kept].ravel(),
        "log10_norm": (trajectory.log_norms[kept] / np.log(10)).ravel(),
        "accumulated_utility": trajectory.accumulated_utility[kept].ravel(),
        "direction_feature": labels[np.where(known, directions, -1)].ravel(),
        "active": trajectory.active[kept].ravel(),
    }


def even_indices(count: int, most: int) -> npt.NDArray[np.int64]:
    """Indices 0 ... count - 1, thinned evenly to at most `most` of them (but at least 2), ends included."""
    kept = min(count, max(2, most))
    return np.unique(np.linspace(0, count - 1, kept).round().astype(np.int64))


def _concatenate(schema: Schema, parts: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    frames = [_frame(schema, part) for part in parts]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(schema)


def _frame(schema: Schema, columns: Mapping[str, Any]) -> pd.DataFrame:
    length = max((len(v) for v in columns.values() if not isinstance(v, str) and v is not None), default=0)
    return pd.DataFrame({
        column.name: _series(columns[column.name], length, column.kind) for column in schema.columns
    })


def _series(values: Any, length: int, kind: ColumnKind) -> pd.Series:
    if values is None or isinstance(values, str):
        values = [values] * length
    if kind == "number or text":
        values = [None if is_missing(value) else value for value in values]
    return pd.Series(values, dtype=_DTYPES[kind])


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing: None, NaN or pandas' own missing value."""
    return value is None or value is pd.NA or value != value


def _parse(cells: Iterable[str], kind: ColumnKind) -> list[Any]:
    """Cells of a column as values. Python's own `float` reads every decimal to the nearest number."""
    read = _READERS[kind]
    return [read(cell) if cell else None for cell in cells]


def _read_flag(cell: str) -> bool:
    if cell not in ("True", "False"):
        raise ValueError(f"{cell!r} is neither True nor False")
    return cell == "True"


def _number_if_possible(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


_READERS: dict[ColumnKind, Callable[[str], Any]] = {
    "number": float,
    "integer": int,
    "flag": _read_flag,
    "text": str,
    "number or text": _number_if_possible,
}
