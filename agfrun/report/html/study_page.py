"""The page of a study: its text, its claims, its figures as pictures, its tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agfrun.files import tables
from agfrun.files.run_files import MANIFEST_FILE
from agfrun.files.saved_run import config_value, read_config
from agfrun.files.tables import empty_table, read_any_table, read_table
from agfrun.labs.staircases.report.html.run_tables import claims_table
from agfrun.labs.staircases.report.html.verdict import claims_verdict
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.folder import (
    Picture,
    configuration_table,
    is_current,
    links,
    picture,
    provenance_table,
    read_json,
)
from agfrun.report.html.numbers import number
from agfrun.report.html.page import render_page

_MOST_ROWS = 60
# Pictures together stay below this, so that the page opens at once on a phone.
_MOST_PICTURE_BYTES = 2_500_000


def study_page(run_dir: Path) -> str:
    """The page of a study.

    Raises:
        OutputError: the folder is no study, or one of its files is damaged.
    """
    config, manifest = read_config(run_dir), read_json(run_dir / MANIFEST_FILE)
    path = run_dir / tables.CLAIMS.file
    claims = read_table(path, tables.CLAIMS) if path.exists() else empty_table(tables.CLAIMS)
    verdict = claims_verdict(claims, bool(manifest))
    study, model = (str(config_value(config, group, "name", "")) for group in ("study", "model"))
    return render_page(
        "study.html", [], title=f"{study}: {verdict.sentence}", kicker=f"{study} · {model} · {run_dir.resolve().name}",
        verdict=verdict, notes=[], summary=str(manifest.get("summary") or ""), pictures=study_pictures(run_dir),
        claims=claims_table(claims), tables=study_tables(run_dir), configuration=configuration_table(config),
        provenance=provenance_table(manifest), links=links(run_dir))


def study_pictures(run_dir: Path) -> list[Picture]:
    """The figures that were drawn from the folder's tables, as far as there is room for them."""
    newest = max(run_dir.glob("*.csv"), key=lambda path: path.stat().st_mtime, default=None)
    shown, room = [], _MOST_PICTURE_BYTES
    for path in sorted(run_dir.glob("plots/*.png")):
        room -= path.stat().st_size
        # Claims are written before the figures, tables before the claims.
        if room > 0 and newest is not None and is_current(path, newest):
            found = picture(path, f"Figure {path.stem.replace('_', ' ')}, drawn from the tables of this study")
            shown += [found] if found else []
    return shown


def study_tables(run_dir: Path) -> list[PageTable]:
    """The study's own tables, the first rows of each."""
    return [_table(path) for path in sorted(run_dir.glob("*.csv")) if path.name != tables.CLAIMS.file]


def _table(path: Path) -> PageTable:
    if path.stat().st_size <= 1:  # a table without columns
        return PageTable(f"{path.name}: no rows", [], [])
    table = read_any_table(path)
    shown = table.head(_MOST_ROWS)
    caption = f"{path.name}: {len(table)} rows" + (f", the first {_MOST_ROWS}" if len(table) > len(shown) else "")
    header = [Column(str(name), bool(pd.api.types.is_numeric_dtype(table[name]))) for name in table.columns]
    return PageTable(caption, header, [[Cell(number(value)) for value in row]
                                       for row in shown.astype(object).itertuples(index=False, name=None)])
