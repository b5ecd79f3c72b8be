"""One page of several folders: which keys differ, how each run ended, their staircases over one another."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agfrun.files.folders import DONE_FILE
from agfrun.files.run_files import MANIFEST_FILE, REPORT_FILE
from agfrun.files.saved_run import config_value, read_config
from agfrun.files.tables import LOSS
from agfrun.labs.staircases.report.html.run_page import ReportedRun, reported_run
from agfrun.labs.staircases.report.html.several_charts import several_charts
from agfrun.labs.staircases.report.html.verdict import Verdict, several_verdict
from agfrun.labs.staircases.report.saved_ensemble import is_ensemble
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.folder import flattened, read_json
from agfrun.report.html.numbers import MISSING, percent, seconds, text
from agfrun.report.html.page import render_page
from agfrun.study.schema import DEFAULT_STUDY

# Keys that say where and how a run is written, not what it is.
_NOT_COMPARED = ("plots", "plot_formats", "overwrite", "report")
_MOST_KEYS = 6


@dataclass(frozen=True)
class Entry:
    """A row of the page.

    Attributes:
        name: of its folder.
        folder: where it lies.
        config: its configuration, empty if there is none.
        run: what a run of the study `compare` has saved; None for anything else.
        failure: why there is nothing to read.
    """

    name: str
    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    run: ReportedRun | None = None
    failure: str = ""


def read_entry(folder: Path) -> Entry:
    """What a folder has saved.

    Raises:
        OutputError: the folder is no run, or one of its files is damaged.
    """
    config = read_config(folder)
    own = str(config_value(config, "study", "name", DEFAULT_STUDY)) == DEFAULT_STUDY and not is_ensemble(config)
    # A run that stopped before its prediction has a configuration only.
    there = (folder / LOSS.file).is_file()
    run = reported_run(folder) if own and there else None
    failure = "" if there or not own else "stopped before its prediction"
    return Entry(folder.resolve().name, folder, config, run, failure)


def several_page(entries: Sequence[Entry], heading: str, start: Path) -> str:
    """The page; links are relative to the folder `start`."""
    runs = [(entry.name, entry.run) for entry in entries if entry.run is not None]
    finished = [run for _, run in runs if run.status in ("converged", "horizon")]
    others = sum(entry.run is None and not entry.failure for entry in entries)
    verdict = several_verdict([run.verdict for run in finished], len(entries) - others - len(finished))
    if others == len(entries):
        verdict = Verdict(f"{others} studies or ensembles, each with a page of its own.", "open")
    charts = several_charts(runs)
    return render_page("several.html", charts, title=f"{heading}: {verdict.sentence}", kicker=heading, verdict=verdict,
                       notes=[], runs=runs_table(entries, start))


def runs_table(entries: Sequence[Entry], start: Path) -> PageTable:
    """A row for each run: the keys that differ, how it ended, how well it was predicted, and its own page."""
    keys = differing_keys([entry.config for entry in entries if entry.config])
    shown = keys[:_MOST_KEYS]
    caption = f"{len(entries)} runs; the columns after the name are the keys in which they differ"
    if len(keys) > len(shown):
        caption += f" ({len(keys) - len(shown)} more are left out)"
    columns = [Column("run"), *(Column(key) for key in shown), Column("status"), Column("drops in order", True),
               Column("worst time error", True), Column("worst level error", True), Column("claims that hold", True),
               Column("seconds", True)]
    rows = []
    for entry in entries:
        values = dict(flattened(entry.config))
        rows.append([Cell(entry.name, link=_address(entry.folder, start)),
                     *(Cell(text(values.get(key))) for key in shown), *_outcome(entry)])
    return PageTable(caption, columns, rows)


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Dotted keys whose values are not the same in all configurations, in the order of the first."""
    flat = [dict(flattened(config)) for config in configs]
    keys = list(dict.fromkeys(key for values in flat for key in values if key not in _NOT_COMPARED))
    return [key for key in keys if any(values.get(key, ...) != flat[0].get(key, ...) for values in flat)]


def _outcome(entry: Entry) -> list[Cell]:
    if entry.run is None:
        status = f"failed: {entry.failure}" if entry.failure else _status(entry)
        return [Cell(status, "bad" if entry.failure else ""), *([Cell(MISSING)] * 5)]
    run, numbers = entry.run, entry.run.numbers
    wall = run.manifest.get("wall_seconds")
    total = sum(value for value in wall.values() if isinstance(value, int | float)) if isinstance(wall, dict) else None
    agree = f"{numbers['in_predicted_order']} of {numbers['predicted_acquisitions']}"
    holding = f"{int(run.claims['holds'].fillna(False).sum())} of {len(run.claims)}" if len(run.claims) else MISSING
    status = run.status or "unfinished"
    return [Cell(status, "" if status in ("converged", "horizon") else "bad"), Cell(agree, run.verdict.tone),
            Cell(percent(numbers["worst_time_error"])), Cell(percent(numbers["worst_level_error"])), Cell(holding),
            Cell(seconds(total))]


def _status(entry: Entry) -> str:
    if not (entry.folder / MANIFEST_FILE).exists():
        return "unfinished"
    # A page of its own that is being written now comes before the done-marker.
    return str(read_json(entry.folder / DONE_FILE).get("status", "finished"))


def _address(folder: Path, start: Path) -> str:
    """Relative address of the run's own page, or of its folder where it has none."""
    page = folder / REPORT_FILE
    target = os.path.relpath(page if page.exists() else folder, start)
    return quote(target.replace(os.sep, "/"))
