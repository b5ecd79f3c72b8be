"""The page of a sweep: how its runs agree with their predictions, figures over the swept keys, every run."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from agfrun.files.run_files import REPORT_FILE
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.sweep_jobs import swept_keys
from agfrun.files.sweep_rows import ENDED, column_of
from agfrun.files.tables import is_missing, read_any_table
from agfrun.files.writing import write_text
from agfrun.labs.staircases.report.html.run_page import ReportedRun
from agfrun.labs.staircases.report.html.several_charts import several_charts
from agfrun.labs.staircases.report.html.verdict import Verdict
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.folder import Link, links
from agfrun.report.html.numbers import MISSING, number, percent, seconds, text
from agfrun.report.html.page import render_page
from agfrun.report.html.several import read_entry
from agfrun.report.html.study_page import study_pictures
from agfrun.report.saved_sweep import flags
from agfrun.study.errors import OutputError

# What the page shows; runs.csv has all.
_MOST_RUNS = 500
_MOST_STAIRCASES = 24
_MOST_KEYS = 6
_FAILING = ("failed", "diverged", "stalled", "interrupted", "unfinished")


def write_sweep_page(folder: Path) -> Path:
    """Write `report.html` of a sweep from its gathered tables.

    Raises:
        OutputError: a table is missing or damaged, or the page cannot be written.
    """
    path = folder / REPORT_FILE
    write_text(path, sweep_page(folder))
    return path


def sweep_page(folder: Path) -> str:
    """The page, from `runs.csv`, the figures and the tables of some runs."""
    runs = read_any_table(folder / "runs.csv")
    keys = [column_of(key) for key in swept_keys(SweepFolder(folder).read_plan())]
    verdict = sweep_verdict(runs)
    kicker = f"sweep over {', '.join(keys) or 'nothing'} · {folder.resolve().name}"
    shown = _shown_runs(folder, runs, keys)
    return render_page("sweep.html", several_charts(shown), title=f"sweep: {verdict.sentence}", kicker=kicker,
                       verdict=verdict, notes=_notes(runs, len(shown)), pictures=study_pictures(folder),
                       runs=_runs_table(folder, runs, keys), links=_links(folder))


def sweep_verdict(runs: pd.DataFrame) -> Verdict:
    """Verdict on a sweep from its table `runs.csv`."""
    ended = runs[runs["status"].isin(ENDED)]
    lost = len(runs) - len(ended)
    tail = f"; {lost} of {len(runs)} runs failed or have not come to their end" if lost else ""
    order = flags(ended["order_agrees"])
    known = order[np.isfinite(order)]
    if not len(known):
        return Verdict(f"{len(ended)} of {len(runs)} runs have come to their end{tail and f'; {lost} have not'}.",
                       "bad" if lost else "open")
    errors = pd.to_numeric(ended["worst_time_error"]).dropna()
    middle = f"; median worst error of a time {percent(float(errors.median()))}" if len(errors) else ""
    return Verdict(f"{int(known.sum())} of {len(known)} runs learn all features in predicted order{middle}{tail}.",
                   "good" if known.all() and not lost else "bad")


def _notes(runs: pd.DataFrame, shown: int) -> list[str]:
    ended = int(runs["status"].isin(ENDED).sum())
    return [f"The staircases are those of {shown} of {ended} runs, evenly chosen."] if shown < ended else []


def _shown_runs(folder: Path, runs: pd.DataFrame, keys: list[str]) -> list[tuple[str, ReportedRun]]:
    """Runs of which the staircases are shown, called by their swept values."""
    ended = runs[runs["status"].isin(ENDED)]
    places = sorted({round(place) for place in np.linspace(0, len(ended) - 1, min(_MOST_STAIRCASES, len(ended)))})
    shown = []
    for place in places:
        row = ended.iloc[place]
        with suppress(OutputError):
            entry = read_entry(folder / str(row["run"]))
            name = ", ".join(f"{key}={text(row[key])}" for key in keys if not is_missing(row[key]))
            if entry.run is not None:
                shown.append((name or entry.name, entry.run))
    return shown


def _runs_table(folder: Path, runs: pd.DataFrame, keys: list[str]) -> PageTable:
    failing = runs["status"].isin(_FAILING)
    # Those that failed first, so that none of them is among those left out.
    ordered = pd.concat([runs[failing], runs[~failing]]).head(_MOST_RUNS)
    caption = f"{len(runs)} runs" + (f", the first {_MOST_RUNS}; runs.csv has all" if len(runs) > _MOST_RUNS else "")
    columns = [*(Column(key) for key in keys[:_MOST_KEYS]), Column("status"), Column("drops in order", True),
               Column("worst time error", True), Column("worst level error", True), Column("claims that hold", True),
               Column("seconds", True)]
    return PageTable(caption, columns if keys else [Column("run"), *columns],
                     [_row(folder, row, keys[:_MOST_KEYS]) for _, row in ordered.iterrows()])


def _row(folder: Path, row: pd.Series, keys: list[str]) -> list[Cell]:
    address = _address(folder, str(row["run"]))
    names = [text(row[key]) for key in keys] if keys else [str(row["run"])]
    named = [Cell(name, link=address if place == 0 else "") for place, name in enumerate(names)]
    bad = row["status"] in _FAILING
    status = f"{row['status']}: {row['reason']}" if bad and not is_missing(row["reason"]) else str(row["status"])
    return [*named, Cell(status, "bad" if bad else ""), Cell(_of(row, "in_predicted_order", "predicted_acquisitions")),
            Cell(percent(row["worst_time_error"])), Cell(percent(row["worst_level_error"])),
            Cell(_of(row, "claims_hold", "claims")), Cell(seconds(row["wall_seconds"]))]


def _of(row: pd.Series, part: str, whole: str) -> str:
    if is_missing(row[part]) or is_missing(row[whole]):
        return MISSING
    return f"{number(row[part])} of {number(row[whole])}"


def _address(folder: Path, run: str) -> str:
    there = folder / run
    page = there / REPORT_FILE
    target = page if page.exists() else there
    return quote(os.path.relpath(target, folder).replace(os.sep, "/")) if target.exists() else ""


def _links(folder: Path) -> list[Link]:
    return [link for link in links(folder) if link.name != "done.json"]
