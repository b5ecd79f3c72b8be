"""The page of a sweep: the verdict of its study, figures over the swept keys, every run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from agfrun.files.folders import DONE_FILE, REPORT_FILE
from agfrun.files.marks import refuse_foreign_page
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.sweep_jobs import swept_keys
from agfrun.files.sweep_rows import column_of
from agfrun.files.tables import is_missing, read_any_table
from agfrun.files.writing import write_text
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.folder import links
from agfrun.report.html.numbers import text
from agfrun.report.html.page import render_page
from agfrun.report.html.several import (
    Entry,
    charts_of,
    number_cells,
    number_columns,
    read_entry,
    shown_numbers,
)
from agfrun.report.html.study_page import pictures_of
from agfrun.report.saved_sweep import RUNS_FILE, SavedSweep, read_sweeps
from agfrun.study.errors import OutputError
from agfrun.study.table import Number
from agfrun.study.verdict import Verdict

# What the page shows; runs.csv has all.
_MOST_RUNS = 500
_MOST_CURVES = 24
_MOST_KEYS = 6


def write_sweep_page(folder: Path) -> Path:
    """Write `report.html` of a sweep from its gathered tables.

    Raises:
        OutputError: a table is missing or damaged, or the page cannot be written.
    """
    path = folder / REPORT_FILE
    refuse_foreign_page(path)
    write_text(path, sweep_page(folder))
    return path


def sweep_page(folder: Path) -> str:
    """The page, from `runs.csv`, the figures and the tables of some runs."""
    runs, sweeps = read_any_table(folder / RUNS_FILE), read_sweeps(folder)
    keys = [column_of(key) for key in swept_keys(SweepFolder(folder).read_plan())]
    verdict = sweep_verdict(runs, sweeps)
    kicker = f"sweep over {', '.join(keys) or 'nothing'} · {folder.resolve().name}"
    entries = _shown_runs(folder, sweeps, keys)
    charts = charts_of(entries)
    ended = sum(len(sweep.runs) for sweep in sweeps)
    notes = [f"The charts are of {len(entries)} of {ended} runs, evenly chosen."] if (
        charts and len(entries) < ended) else []
    numbers = shown_numbers([sweep.study for sweep in sweeps])
    schemas = [schema for sweep in sweeps for schema in sweep.study.tables]
    return render_page("sweep.html", charts, title=f"sweep: {verdict.sentence}", kicker=kicker, verdict=verdict,
                       notes=notes, pictures=pictures_of(folder), runs=_runs_table(folder, runs, sweeps, numbers, keys),
                       links=[link for link in links(folder, schemas) if link.name != DONE_FILE])


def sweep_verdict(runs: pd.DataFrame, sweeps: Sequence[SavedSweep]) -> Verdict:
    """Verdict on a sweep: that of its study on the ended runs, and how many have not ended."""
    ended = sum(len(sweep.runs) for sweep in sweeps)
    lost = len(runs) - ended
    tail = f"; {lost} of {len(runs)} runs failed or have not come to their end" if lost else ""
    own = sweeps[0].study.sweep_verdict(sweeps[0].runs) if len(sweeps) == 1 and ended else None
    if own is not None:
        return Verdict(f"{own.sentence}{tail}.", "bad" if lost else own.tone)
    failing = _failing_claims(sweeps)
    claims = f"; claims fail in {failing} of them" if failing else ""
    return Verdict(f"{ended} of {len(runs)} runs have come to their end{claims}{tail}.",
                   "bad" if lost or failing else "open")


def _failing_claims(sweeps: Sequence[SavedSweep]) -> int:
    """In how many runs a claim fails."""
    found = 0
    for sweep in sweeps:
        if {"claims", "claims_hold"} <= set(sweep.runs.columns):
            counts = sweep.runs[["claims", "claims_hold"]].apply(pd.to_numeric)
            told = sweep.runs.get("claims_undecided", pd.Series(0, index=sweep.runs.index))
            failing = counts["claims"] - counts["claims_hold"] - pd.to_numeric(told).fillna(0)
            found += int((failing > 0).sum())
    return found


def _shown_runs(folder: Path, sweeps: Sequence[SavedSweep], keys: Sequence[str]) -> list[Entry]:
    """Runs of which curves are shown, called by their swept values."""
    shown = []
    for sweep in sweeps:
        count = len(sweep.runs)
        for place in sorted({round(place) for place in np.linspace(0, count - 1, min(_MOST_CURVES, count))}):
            row = sweep.runs.iloc[place]
            name = ", ".join(f"{key}={text(row[key])}" for key in keys if not is_missing(row[key]))
            with suppress(OutputError):
                shown.append(read_entry(SweepFolder(folder).inside(str(row["run"])), name or str(row["run"])))
    return shown


def _runs_table(folder: Path, runs: pd.DataFrame, sweeps: Sequence[SavedSweep], numbers: Sequence[Number],
                keys: Sequence[str]) -> PageTable:
    ended = {run for sweep in sweeps for run in sweep.runs["run"]}
    failing = ~runs["run"].isin(ended)
    # Those that failed first, so that none of them is among those left out.
    ordered = pd.concat([runs[failing], runs[~failing]]).head(_MOST_RUNS)
    caption = f"{len(runs)} runs" + (f", the first {_MOST_RUNS}; runs.csv has all" if len(runs) > _MOST_RUNS else "")
    shown = list(keys[:_MOST_KEYS]) or ["run"]
    columns = [*(Column(key) for key in shown), Column("status"), *number_columns(numbers)]
    return PageTable(caption, columns, [_row(folder, row, shown, numbers, row["run"] in ended)
                                        for row in ordered.to_dict("records")])


def _row(folder: Path, row: dict[str, object], keys: Sequence[str], numbers: Sequence[Number], good: bool
         ) -> list[Cell]:
    address = _address(folder, str(row["run"]))
    named = [Cell(text(row[key]), link=address if place == 0 else "") for place, key in enumerate(keys)]
    told = not good and not is_missing(row["reason"])
    status = f"{row['status']}: {row['reason']}" if told else str(row["status"])
    return [*named, Cell(status, "" if good else "bad"), *number_cells(numbers, _whole(row))]


def _whole(row: dict[str, object]) -> dict[str, object]:
    """Counts are floats in a table where some runs have none."""
    return {key: int(value) if isinstance(value, float) and value.is_integer() else value
            for key, value in row.items()}


def _address(folder: Path, run: str) -> str:
    there = folder / run
    page = there / REPORT_FILE
    target = page if page.exists() else there
    return quote(os.path.relpath(target, folder).replace(os.sep, "/")) if target.exists() else ""
