"""One page of several folders: which keys differ, how each run ended, its numbers, and charts of them all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agfrun.files.folders import REPORT_FILE
from agfrun.files.saved_run import read_run
from agfrun.files.tables import is_missing
from agfrun.report.html.chart import Cell, Chart, Column, PageTable
from agfrun.report.html.folder import flattened
from agfrun.report.html.numbers import MISSING, flag, number, percent, seconds, text
from agfrun.report.html.page import render_page
from agfrun.report.html.verdict import several_verdict, verdict_on
from agfrun.study.settings import NOT_IN_HASH
from agfrun.study.study import Saved, Study
from agfrun.study.table import Number

_MOST_KEYS = 6
_MOST_NUMBERS = 6


@dataclass(frozen=True)
class Entry:
    """A row of the page.

    Attributes:
        name: of its folder.
        folder: where it lies.
        study, saved: what was read of it; None where nothing could be.
        failure: why there is nothing to read.
    """

    name: str
    folder: Path
    study: Study | None = None
    saved: Saved | None = None
    failure: str = ""

    @property
    def config(self) -> Mapping[str, Any]:
        """Its configuration, empty if there is none."""
        return self.saved.config if self.saved is not None else {}

    @property
    def status(self) -> str:
        """How it ended; `unfinished` where it has not."""
        if self.failure or self.saved is None:
            return f"failed: {self.failure}"
        if self.saved.done:
            return str(self.saved.done.get("status", "finished"))
        # A page of its own that is being written now comes after the manifest and before the done-marker.
        return str(self.saved.manifest.get("status", "finished")) if self.saved.manifest else "unfinished"

    @property
    def is_good(self) -> bool:
        """Whether it has come to a good end."""
        return self.study is not None and self.status in (*self.study.ended, "finished")


def read_entry(folder: Path, name: str) -> Entry:
    """What a folder has saved.

    Raises:
        OutputError: the folder is no run, or one of its files is damaged.
    """
    study, saved = read_run(folder)
    return Entry(name, folder, study, saved)


def several_page(entries: Sequence[Entry], heading: str, start: Path) -> str:
    """The page; links are relative to the folder `start`."""
    ended = [verdict_on(entry.study, entry.saved) for entry in entries
             if entry.is_good and entry.study is not None and entry.saved is not None]
    verdict = several_verdict(ended, len(entries) - len(ended))
    return render_page("several.html", charts_of(entries), title=f"{heading}: {verdict.sentence}", kicker=heading,
                       verdict=verdict, notes=[], runs=runs_table(entries, start))


def charts_of(entries: Sequence[Entry]) -> list[Chart]:
    """The charts of each study over its runs."""
    by_study: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.study is not None:
            by_study.setdefault(entry.study.name, []).append(entry)
    return [chart for group in by_study.values() if (study := group[0].study) is not None
            for chart in study.charts([(entry.name, entry.saved) for entry in group if entry.saved is not None])]


def runs_table(entries: Sequence[Entry], start: Path) -> PageTable:
    """A row for each run: the keys that differ, how it ended, its numbers, and its own page."""
    keys = differing_keys([entry.config for entry in entries if entry.config])
    shown = keys[:_MOST_KEYS]
    caption = f"{len(entries)} runs; the columns after the name are the keys in which they differ"
    if len(keys) > len(shown):
        caption += f" ({len(keys) - len(shown)} more are left out)"
    numbers = shown_numbers([entry.study for entry in entries if entry.study is not None])
    columns = [Column("run"), *(Column(key) for key in shown), Column("status"), *number_columns(numbers)]
    rows = []
    for entry in entries:
        values = dict(flattened(entry.config))
        done = entry.saved.done if entry.saved is not None else {}
        rows.append([Cell(entry.name, link=_address(entry.folder, start)),
                     *(Cell(text(values.get(key))) for key in shown),
                     Cell(entry.status, "" if entry.is_good else "bad"), *number_cells(numbers, done)])
    return PageTable(caption, columns, rows)


def shown_numbers(studies: Sequence[Study]) -> list[Number]:
    """The numbers that pages have columns for, of all studies, each once."""
    found = {number.name: number for study in studies for number in study.numbers if number.in_pages}
    return list(found.values())[:_MOST_NUMBERS]


def number_columns(numbers: Sequence[Number]) -> list[Column]:
    """Headings of numbers, claims and seconds."""
    return [*(Column(number.meaning, True) for number in numbers), Column("claims that hold", True),
            Column("seconds", True)]


def number_cells(numbers: Sequence[Number], done: Mapping[str, Any]) -> list[Cell]:
    """Cells of numbers, claims and seconds from what done.json, or a row of runs.csv, says."""
    return [*(Cell(_shown(entry, done)) for entry in numbers),
            Cell(_claims(done)),
            Cell(seconds(done.get("wall_seconds")))]


def _shown(entry: Number, done: Mapping[str, Any]) -> str:
    value = done.get(entry.name)
    if entry.of:
        return _part(done, entry.name, entry.of)
    return flag(value) if entry.kind == "flag" else percent(value) if entry.is_share else number(value)


def _claims(done: Mapping[str, Any]) -> str:
    """How many claims hold, of how many, and how many are undecided."""
    if not done.get("claims") or is_missing(done["claims"]):
        return MISSING
    undecided = done.get("claims_undecided")
    open_ones = "" if not undecided or is_missing(undecided) else f", {number(undecided)} undecided"
    return f"{_part(done, 'claims_hold', 'claims')}{open_ones}"


def _part(done: Mapping[str, Any], part: str, whole: str) -> str:
    if is_missing(done.get(part)) or is_missing(done.get(whole)):
        return MISSING
    return f"{number(done[part])} of {number(done[whole])}"


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Dotted keys whose values are not the same in all configurations, in the order of the first."""
    flat = [dict(flattened(config)) for config in configs]
    keys = list(dict.fromkeys(key for values in flat for key in values if key.partition(".")[0] not in NOT_IN_HASH))
    return [key for key in keys if any(values.get(key, ...) != flat[0].get(key, ...) for values in flat)]


def _address(folder: Path, start: Path) -> str:
    """Relative address of the run's own page, or of its folder where it has none."""
    page = folder / REPORT_FILE
    target = os.path.relpath(page if page.exists() else folder, start)
    return quote(target.replace(os.sep, "/"))
