"""The page that suits a run of any study: its text, its claims, its figures as pictures, its tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from agfrun.files.folders import PLOTS_FOLDER
from agfrun.files.saved_run import config_value
from agfrun.files.tables import empty_table
from agfrun.report.html.chart import Cell, Chart, Column, PageTable
from agfrun.report.html.claims_table import claims_table
from agfrun.report.html.folder import Picture, configuration_table, is_current, links, picture, provenance_table
from agfrun.report.html.numbers import number
from agfrun.report.html.page import render_page
from agfrun.report.html.verdict import verdict_on
from agfrun.study.claim import CLAIMS
from agfrun.study.study import Saved, Study
from agfrun.study.table import Schema

_MOST_ROWS = 60
# Pictures together stay below this, so that the page opens at once on a phone.
_MOST_PICTURE_BYTES = 2_500_000


def study_page(study: Study, saved: Saved, charts: Sequence[Chart] = ()) -> str:
    """The page of a run; interactive charts of the study's own stand above the pictures."""
    claims = saved.tables[CLAIMS.name] if CLAIMS.name in saved.tables else empty_table(CLAIMS)
    verdict = verdict_on(study, saved)
    reads_a_run = config_value(saved.config, "study", "run", None)  # in place of the model
    model = "" if reads_a_run else str(config_value(saved.config, "model", "name", ""))
    kicker = " · ".join(part for part in (study.name, model, saved.folder.resolve().name) if part)
    return render_page(
        "study.html", charts, title=f"{study.name}: {verdict.sentence}", kicker=kicker, verdict=verdict, notes=[],
        summary=str(saved.manifest.get("summary") or ""), pictures=pictures_of(saved.folder),
        claims=claims_table(claims), tables=_tables(study, saved), configuration=configuration_table(saved.config),
        provenance=provenance_table(saved.manifest), links=links(saved.folder, study.tables))


def pictures_of(folder: Path) -> list[Picture]:
    """The figures that were drawn from the folder's tables, as far as there is room for them."""
    newest = max(folder.glob("*.csv"), key=lambda path: path.lstat().st_mtime, default=None)
    shown, room = [], _MOST_PICTURE_BYTES
    for path in sorted(folder.glob(f"{PLOTS_FOLDER}/*.png")):
        room -= path.lstat().st_size
        # Claims are written before the figures, tables before the claims.
        if room > 0 and newest is not None and is_current(path, newest):
            found = picture(path, f"Figure {path.stem.replace('_', ' ')}, drawn from the tables of this folder")
            shown += [found] if found else []
    return shown


def _tables(study: Study, saved: Saved) -> list[PageTable]:
    """The study's own tables, the first rows of each."""
    return [_table(schema, saved.tables[schema.name]) for schema in study.tables if schema.name in saved.tables]


def _table(schema: Schema, table: pd.DataFrame) -> PageTable:
    shown = table.head(_MOST_ROWS)
    rows = f"{len(table)} row{'' if len(table) == 1 else 's'}"
    caption = f"{schema.file}: {f'{schema.meaning}; ' if schema.meaning else ''}{rows}"
    caption += f", the first {_MOST_ROWS}" if len(table) > len(shown) else ""
    header = [Column(str(name), bool(pd.api.types.is_numeric_dtype(table[name]))) for name in table.columns]
    return PageTable(caption, header, [[Cell(number(value)) for value in row]
                                       for row in shown.astype(object).itertuples(index=False, name=None)])
