"""The tables of a run's page: predicted beside measured events, and claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.labs.staircases.report.terminal import in_ladder_order, turns_elsewhere
from agfrun.labs.staircases.sources import NAMES, TRAINING, stage_of
from agfrun.labs.staircases.wording import Wording
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.numbers import flag, number, percent, seconds, text

_KINDS = ("drop", "acquisition", "activation", "collapse")
_MOST_ROWS = 200
# A predicted time further off than this share is marked.
_CLOSE = 0.1

_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("source", "source", text),
    ("order_matches", "in order", flag),
    ("neuron_predicted", "neuron", number),
    ("time_predicted", "time, predicted", number),
    ("time_error_predicted", "its error, predicted", percent),
    ("time_training", "time, measured", number),
    ("time_ratio", "time ratio", number),
    ("within_predicted_error", "within that error", flag),
    ("time_theory", "time, theory", number),
    ("lower_bound", "not before", number),
    ("level_predicted", "loss after, predicted", number),
    ("level_training", "loss after, measured", number),
    ("level_theory", "loss after, theory", number),
    ("level_error", "level error, of the drop", percent),
)


def comparison_table(comparison: pd.DataFrame, wording: Wording) -> PageTable:
    """Events by source, kind and predicted time, those of the main prediction first.

    Columns without any value are left out, and that of the source where there is one source only.
    """
    sources = list(comparison["source"].dropna().unique())
    order = {name: place for place, name in enumerate([*sources, *_KINDS])}
    ordered = comparison[comparison["kind"].isin(_KINDS)].sort_values("time_predicted", kind="stable")
    for column in ("kind", "source"):
        ordered = ordered.sort_values(column, key=lambda names: names.map(order), kind="stable")
    used = [column for column in _COLUMNS if ordered[column[0]].notna().any()
            and (column[0] != "source" or len(sources) > 1)]
    rows = [[Cell(str(row["kind"])), Cell(_feature(row)),
             *(_cell(row, name, show) for name, _, show in used)]
            for row in ordered.head(_MOST_ROWS).to_dict("records")]
    caption = "Predicted and measured events; times are gradient-flow times, the ratio is predicted over measured"
    if len(ordered) > _MOST_ROWS:
        caption += f". The first {_MOST_ROWS} of {len(ordered)}; all are in comparison.csv"
    columns = [Column("event"), Column(wording.feature), *(Column(label, True) for _, label, _ in used)]
    return PageTable(caption, columns, rows)


def _feature(row: dict[Any, Any]) -> str:
    if turns_elsewhere(row):
        return f"{row['feature']} predicted, {row['feature_training']} measured"
    return "" if is_missing(row["feature"]) else str(row["feature"])


def ladder_table(ladder: pd.DataFrame, seconds_of: Mapping[str, Any], main: str) -> PageTable | None:
    """What each prediction cost and how far it is off; None where there is one only.

    Args:
        ladder: the table `ladder.csv`.
        seconds_of: wall seconds by stage.
        main: source of the main prediction.
    """
    if (ladder["source"] != TRAINING).sum() < 2:
        return None
    rows = []
    for row in in_ladder_order(ladder).to_dict("records"):
        order = "" if is_missing(row["predicted"]) else f"{row['in_order']} of {row['predicted']}"
        errors = ("median_time_error", "worst_time_error", "worst_level_error")
        notes = [str(row[column]) for column in ("void", "warning") if not is_missing(row[column])]
        rows.append([Cell(NAMES[row["source"]]), Cell(seconds(seconds_of.get(stage_of(row["source"], main)))),
                     Cell(number(row["evaluations"])), Cell(order),
                     *(Cell(percent(row[error]), "far" if error == "worst_time_error" and not is_missing(row[error])
                            and row[error] > _CLOSE else "") for error in errors), Cell("; ".join(notes))])
    columns = [Column("prediction"), *(Column(name, True) for name in (
        "time taken", "gradients", "in order", "time error, median", "worst", "level error, worst, of the drop")),
        Column("note")]
    return PageTable("Every prediction of this run against the same training: errors are of acquisitions, or of "
                     "activations where a prediction has no others", columns, rows)


def _cell(row: dict[Any, Any], name: str, show: Callable[[Any], str]) -> Cell:
    value = row[name]
    tone = ""
    if name == "order_matches" and not is_missing(value):
        tone = "good" if value else "bad"
    if name == "time_ratio" and not is_missing(value):
        tone = "" if abs(value - 1) <= _CLOSE else "far"
    return Cell(show(value), tone)
