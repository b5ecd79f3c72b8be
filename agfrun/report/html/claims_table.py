"""The table of claims of a page."""

from __future__ import annotations

import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.numbers import number
from agfrun.study.claim import verdict_of


def claims_table(claims: pd.DataFrame) -> PageTable:
    """Claims, failing ones first, then undecided ones; columns that no claim fills are left out."""
    ordered = claims.iloc[claims["holds"].map(_rank).argsort(kind="stable")]
    named = [("stated", "stated"), ("standing", "standing"), ("why", "why")]
    further = [(name, label) for name, label in named if not all(is_missing(cell) for cell in ordered[name])]
    rows = [[_verdict(row["holds"]), Cell(number(row["statement"])), Cell(number(row["source"])),
             Cell(number(row["expected"])), Cell(number(row["measured"])), Cell(number(row["tolerance"])),
             *(Cell(number(row[name])) for name, _ in further)]
            for row in ordered.to_dict("records")]
    columns = [Column("verdict"), Column("claim", wide=True), Column("of"), Column("expected", True),
               Column("measured", True), Column("tolerance", True),
               *(Column(label, wide=name == "why") for name, label in further)]
    return PageTable("Claims, failing ones first", columns, rows)


def _rank(holds: object) -> int:
    return 1 if is_missing(holds) else 2 if holds else 0


def _verdict(holds: object) -> Cell:
    word = verdict_of(None if is_missing(holds) else bool(holds))
    return Cell(word, {"holds": "good", "fails": "bad"}.get(word, ""))
