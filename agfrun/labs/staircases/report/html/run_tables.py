"""The tables of a run's page: predicted beside measured events, and claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.labs.staircases.wording import Wording
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.numbers import flag, number, percent

_KINDS = ("acquisition", "activation", "collapse")
_MOST_ROWS = 200
# A predicted time further off than this share is marked.
_CLOSE = 0.1

_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("neuron_agf", "neuron", number),
    ("time_agf", "time, predicted", number),
    ("time_training", "time, measured", number),
    ("time_ratio", "time ratio", number),
    ("time_theory", "time, theory", number),
    ("lower_bound", "not before", number),
    ("level_agf", "loss after, predicted", number),
    ("level_training", "loss after, measured", number),
    ("level_theory", "loss after, theory", number),
    ("level_error", "level error", percent),
    ("order_matches", "in order", flag),
)


def comparison_table(comparison: pd.DataFrame, wording: Wording) -> PageTable:
    """Events in the order of their predicted time, acquisitions first; columns without any value are left out."""
    ordered = pd.concat([comparison[comparison["kind"] == kind].sort_values("time_agf", kind="stable")
                         for kind in _KINDS])
    used = [column for column in _COLUMNS if ordered[column[0]].notna().any()]
    rows = [[Cell(str(row["kind"])), Cell("" if is_missing(row["feature"]) else str(row["feature"])),
             *(_cell(row, name, show) for name, _, show in used)]
            for row in ordered.head(_MOST_ROWS).to_dict("records")]
    caption = "Predicted and measured events; times are gradient-flow times, the ratio is predicted over measured"
    if len(ordered) > _MOST_ROWS:
        caption += f". The first {_MOST_ROWS} of {len(ordered)}; all are in comparison.csv"
    columns = [Column("event"), Column(wording.feature), *(Column(label, True) for _, label, _ in used)]
    return PageTable(caption, columns, rows)


def _cell(row: dict[Any, Any], name: str, show: Callable[[Any], str]) -> Cell:
    value = row[name]
    tone = ""
    if name == "order_matches" and not is_missing(value):
        tone = "good" if value else "bad"
    if name == "time_ratio" and not is_missing(value):
        tone = "" if abs(value - 1) <= _CLOSE else "far"
    return Cell(show(value), tone)
