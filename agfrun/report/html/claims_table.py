"""The table of claims of a page."""

from __future__ import annotations

import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.numbers import number
from agfrun.study.claim import verdict_of

_FURTHER = ("stated", "standing", "why", "sharper")


def claims_table(claims: pd.DataFrame) -> PageTable:
    """Claims, failing ones first, then undecided ones; columns that no claim fills are left out.

    Beside a claim that fails stands the sharper one, if it has one: its statement, or its name where that was not
    checked.
    """
    ordered = claims.iloc[claims["holds"].map(_rank).argsort(kind="stable")]
    failing = ordered["holds"].map(_rank) == 0
    statements = dict(zip(claims["claim"], claims["statement"], strict=True))
    sharper = ordered["sharper"].where(failing).astype(object)
    ordered = ordered.assign(sharper=sharper.map(lambda name: statements.get(name, name), na_action="ignore"))
    further = [name for name in _FURTHER if not all(is_missing(cell) for cell in ordered[name])]
    rows = [[_verdict(row["holds"]), Cell(number(row["statement"])), Cell(number(row["source"])),
             Cell(number(row["expected"])), Cell(number(row["measured"])), Cell(number(row["tolerance"])),
             *(Cell(number(row[name])) for name in further)]
            for row in ordered.to_dict("records")]
    columns = [Column("verdict"), Column("claim", wide=True), Column("of"), Column("expected", True),
               Column("measured", True), Column("tolerance", True),
               *(Column(name, wide=name in ("why", "sharper")) for name in further)]
    return PageTable("Claims, failing ones first", columns, rows)


def _rank(holds: object) -> int:
    return 1 if is_missing(holds) else 2 if holds else 0


def _verdict(holds: object) -> Cell:
    word = verdict_of(None if is_missing(holds) else bool(holds))
    return Cell(word, {"holds": "good", "fails": "bad"}.get(word, ""))
