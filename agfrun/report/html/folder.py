"""Small files of a folder that a page is made of: manifest, picture, tables to link to."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agfrun.files.folders import CONFIG_FILE, DONE_FILE, MANIFEST_FILE, PARAMETERS_FILE
from agfrun.files.inside import is_there
from agfrun.files.pictures import read_png
from agfrun.report.html.chart import Cell, Column, PageTable
from agfrun.report.html.numbers import seconds, text
from agfrun.study.claim import CLAIMS
from agfrun.study.errors import OutputError
from agfrun.study.table import Schema


@dataclass(frozen=True)
class Link:
    """A file to link to: its address, its name and what it holds."""

    address: str
    name: str
    meaning: str


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    name: str
    address: str
    description: str


def picture(path: Path, description: str) -> Picture | None:
    """A PNG as a picture inside the page; None if it is not there, or (a warning says so) is a link or no PNG."""
    if not is_there(path):
        return None
    try:
        content = base64.b64encode(read_png(path)).decode("ascii")
    except OutputError as error:
        print(f"agfrun: warning: the page is made without a picture: {error}", file=sys.stderr)
        return None
    return Picture(path.stem, f"data:image/png;base64,{content}", description)


def is_current(path: Path, source: Path) -> bool:
    """Whether a file is there and no older than what it was made from."""
    return is_there(path) and is_there(source) and path.lstat().st_mtime >= source.lstat().st_mtime


def links(folder: Path, schemas: Sequence[Schema]) -> list[Link]:
    """The folder's own files, tables first; `schemas` say what these hold."""
    meanings = {schema.file: schema.meaning for schema in (*schemas, CLAIMS)}
    named = [*sorted(folder.glob("*.csv")), *(folder / name for name in
             (PARAMETERS_FILE, CONFIG_FILE, MANIFEST_FILE, DONE_FILE))]
    plots = [*sorted(folder.glob("plots/*.png")), *sorted(folder.glob("plots/*.pdf"))]
    # done.json is written after the page.
    there = [path for path in named if is_there(path) or path.name == DONE_FILE]
    return [Link(quote(str(path.relative_to(folder))), str(path.relative_to(folder)), meanings.get(path.name, ""))
            for path in [*there, *plots] if not path.is_symlink()]


def configuration_table(config: Mapping[str, Any]) -> PageTable:
    """All keys of a configuration with their values."""
    rows = [[Cell(key), Cell(text(value))] for key, value in flattened(config)]
    return PageTable("Resolved configuration", [Column("key"), Column("value")], rows)


def provenance_table(manifest: Mapping[str, Any]) -> PageTable:
    """What ran, with which versions, on which clock, and what it cost."""
    rows = []
    for key, value in flattened({key: value for key, value in manifest.items() if key not in ("summary", "files")}):
        if key == "command" and isinstance(value, list):
            value = " ".join(map(str, value))
        if not key.startswith("agf.rounds"):
            rows.append([Cell(key), Cell(seconds(value) if key.startswith("wall_seconds") else text(value))])
    return PageTable("Versions, clock, cost and accuracy", [Column("what"), Column("value")], rows)


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
