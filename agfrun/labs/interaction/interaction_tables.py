"""The tables of `study=interaction`, made from what was measured of each method and seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student

from agfrun.files.tables import rows_table
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

_METHOD = Column("method", "text", "interaction, one of its ablations (no_...: without that loss; swapped: classes "
                 "exchanged) or a baseline")
_SEED = Column("seed", "integer", "of initialization, training and held-out states")
MEASURED = (
    Column("isometry_error", "number", "mean of |(s_int - s_ext) - (z_int - z_ext)|^2, in parts of the squared field"),
    Column("agent_r2", "number", "share of the variance of the agent's place that is explained after a translation"),
    Column("object_r2", "number", "the same of the object's place"),
    Column("offset_gap", "number", "distance between the best translations of agent and object"),
    Column("contact_accuracy", "number", "share of held-out transitions whose contact is told rightly; empty: the "
           "method says nothing of contacts"),
    Column("direction_error", "number", "mean angle between the object's direction and what the method says of it, in "
           "degrees: 45 at random; empty: there is none, or it says none"),
    Column("action_error", "number", "root of the mean of |z_int' - z_int - a|^2 on held-out transitions"),
)
ERRORS = Schema("errors.csv", (
    _METHOD, _SEED, Column("step", "integer", "steps of training taken"), *MEASURED,
    Column("constant_error", "number", "isometry error of the best constant on the same states"),
), "errors on held-out states, on the way of each training")
SUMMARY = Schema("summary.csv", (
    _METHOD, Column("seeds", "integer", "seeds of which means are taken"), *MEASURED,
    Column("isometry_error_low", "number", "lower end of the 95% interval of the isometry error over seeds; empty: one "
           "seed"),
    Column("isometry_error_high", "number", "upper end"),
    Column("constant_error", "number", "isometry error of the best constant on the same states"),
    Column("seconds", "number", "wall seconds of training, mean over seeds"),
), "one row for each method, at the end of its training: means over seeds")
_TRUE = tuple(Column(f"{name}_{axis}", "number", f"{axis} of the {name} in parts of the field; empty: not known")
              for name in ("agent", "object") for axis in ("row", "column"))
_SAID = tuple(Column(f"{name}_code_{axis}", "number", f"{axis} that the method says of the {name}")
              for name in ("agent", "object") for axis in ("row", "column"))
PLACES = Schema("places.csv", (
    _METHOD, *_TRUE, *_SAID, Column("angle", "number", "direction of the object that it says, in radians; empty: none"),
), "held-out states and what each method says of them, at the first seed", in_sweeps="none")
GRID = Schema("grid.csv", (
    _METHOD, Column("moves", "text", "agent or object; the other is at rest"),
    *(Column(axis, "number", f"its {axis} in parts of the field") for axis in ("row", "column")),
    *(Column(f"code_{axis}", "number", f"{axis} that the method says") for axis in ("row", "column")),
), "places on a grid and what each method says of them, at the first seed", in_sweeps="none")
DISTANCES = Schema("distances.csv", (
    _METHOD, Column("distance", "number", "squared distance of the codes of a held-out transition"),
    Column("contact", "flag", "whether there was a contact; empty: not known"),
    Column("called_contact", "flag", "whether the method takes it for one"),
), "distances of codes and the split, at the first seed", in_sweeps="none")
TABLES = (ERRORS, SUMMARY, PLACES, GRID, DISTANCES)
COLUMNS = tuple(column.name for column in MEASURED)


@dataclass(frozen=True)
class RowFound:
    """What `agfrun.labs.interaction.row.measure` found of a method at a seed.

    Attributes:
        method, seed: which.
        values: plain values.
    """

    method: str
    seed: int
    values: dict[str, Any]


def tables_of(found: Sequence[RowFound]) -> dict[str, pd.DataFrame]:
    """All tables of every method and seed so far."""
    first = [one for one in found if one.seed == found[0].seed]
    return {schema.name: rows_table(schema, list(rows)) for schema, rows in (
        (ERRORS, ({"method": one.method, "seed": one.seed, **{name: row.get(name) for name in ERRORS.names[2:]}}
                  for one in found for row in one.values["history"])),
        (SUMMARY, _summary(found)),
        (PLACES, (dict(zip(PLACES.names, (one.method, *row), strict=True)) for one in first
                  for row in one.values["places"])),
        (GRID, (dict(zip(GRID.names, (one.method, ("agent", "object")[int(row[0])], *row[1:]), strict=True))
                for one in first for row in one.values["grid"])),
        (DISTANCES, (dict(zip(DISTANCES.names, (one.method, *row), strict=True)) for one in first
                     for row in one.values["distances"])))}


def _summary(found: Sequence[RowFound]) -> Iterator[dict[str, Any]]:
    for method in dict.fromkeys(one.method for one in found):
        ends = [one.values["history"][-1] for one in found if one.method == method]
        low, high = _interval([end["isometry_error"] for end in ends])
        yield {"method": method, "seeds": len(ends), **{name: _mean([end.get(name) for end in ends]) for name in (
            *COLUMNS, "constant_error")}, "isometry_error_low": low, "isometry_error_high": high,
            "seconds": _mean([one.values["seconds"] for one in found if one.method == method])}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _interval(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Student's 95% interval of a mean."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None, None
    reach = float(student.ppf(0.975, len(known) - 1)) * float(np.std(known, ddof=1)) / math.sqrt(len(known))
    return float(np.mean(known)) - reach, float(np.mean(known)) + reach
