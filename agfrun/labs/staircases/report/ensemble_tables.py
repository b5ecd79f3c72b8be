"""The tables of an ensemble: those of a run with leading columns that say whose row it is, and one of members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from agfrun.files.tables import Column, Schema, empty_table

LEADING = (
    Column("member", "integer", "number of the member, from 0"),
    Column("seed", "integer", "its seed"),
    Column("init_scale", "number", "its initialization scale; 0 below the smallest float"),
)

MEMBERS = Schema("members.csv", (
    *LEADING,
    Column("log10_init_scale", "number", "decimal logarithm of the initialization scale"),
    Column("status", "text", "converged, horizon, diverged, stalled, interrupted or failed"),
    Column("reason", "text", "why it ended"),
    Column("order_agrees", "flag", "whether all acquisitions come in the predicted order"),
    Column("predicted_acquisitions", "integer", "acquisitions that AGF predicts"),
    Column("measured_acquisitions", "integer", "those of them that training shows"),
    Column("in_predicted_order", "integer", "acquisitions up to the first out of order"),
    Column("worst_time_error", "number", "largest relative error of a predicted time"),
    Column("worst_level_error", "number", "largest relative error of a predicted level"),
    Column("claims_hold", "integer", "claims that hold"),
    Column("claims", "integer", "claims that were checked"),
    Column("horizon", "number", "gradient-flow time at which training was to stop"),
    Column("end_time", "number", "gradient-flow time at which it ended"),
    Column("final_loss", "number", "loss there"),
    Column("steps", "integer", "accepted integration steps, or optimizer steps"),
    Column("rejected_steps", "integer", "rejected integration steps"),
    Column("drop_time_error", "number", "estimated relative error of the times of its drops by integration"),
    Column("wall_seconds", "number", "its own, and its share by steps of what was computed together"),
))


@dataclass(frozen=True)
class Labelled:
    """A table of one member and what its leading columns say."""

    leading: Mapping[str, Any]
    table: pd.DataFrame


def with_members(schema: Schema) -> Schema:
    """The schema of a run's table in an ensemble."""
    return Schema(schema.file, (*LEADING, *schema.columns))


def stacked_table(schema: Schema, parts: Iterable[Labelled]) -> pd.DataFrame:
    """The members' tables of one schema below one another."""
    frames = []
    for part in parts:
        if len(part.table):
            frame = part.table.copy(deep=False)
            for place, column in enumerate(LEADING):
                value = part.leading[column.name]
                kind = "Int64" if column.kind == "integer" else "float64"
                frame.insert(place, column.name, pd.Series([value] * len(frame), index=frame.index, dtype=kind))
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else empty_table(with_members(schema))
