"""The tables of all runs of a sweep below one another, with the overrides in leading columns.

Done on the text of the files, line by line: nothing is parsed, so that ten thousand runs take seconds. What was
stacked before is copied, and only what is new is read.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from agfrun.files.inside import is_there
from agfrun.files.reading import MOST_TABLE, open_inside, read_bytes
from agfrun.files.tables import LONGEST_HEADER, even_indices
from agfrun.files.writing import replacing
from agfrun.study.errors import OutputError

# The gathered table is copied, not held.
MOST_STACKED = 2**40


@dataclass(frozen=True)
class Source:
    """A run whose tables are stacked.

    Attributes:
        run: its name.
        folder: where its files lie.
        leading: values of the leading columns, `run` first.
        mark: changes when the run is done anew.
    """

    run: str
    folder: Path
    leading: tuple[str, ...]
    mark: str


@dataclass
class Stacked:
    """What a stacked table holds.

    Attributes:
        leading: names of the leading columns.
        columns: those of the runs' tables.
        size: bytes of the file; another one was not written here.
        marks: by run.
    """

    leading: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    size: int = -1
    marks: dict[str, str] = field(default_factory=dict)


def stack(path: Path, name: str, leading: Sequence[str], sources: Sequence[Source], before: Stacked,
          most_rows: int | None = None) -> Stacked:
    """Write one table of all runs to `path`.

    Args:
        path: the file to write.
        name: of the runs' files.
        leading: names of the leading columns.
        sources: runs that are finished.
        before: what the file holds already; runs in it that are as they were are copied.
        most_rows: of one run; more are thinned evenly, for each word in the first column by itself.

    Returns:
        What the file holds now.

    Raises:
        OutputError: the file cannot be written, or the table of a run is a link or no table.
    """
    marks = {source.run: source.mark for source in sources}
    there = is_there(path) and path.lstat().st_size == before.size and list(leading) == before.leading
    kept = there and all(marks.get(run) == mark for run, mark in before.marks.items())
    new = [source for source in sources if not (kept and source.run in before.marks)]
    if kept and not new:
        return before
    columns = _columns(name, new, before.columns if kept else [])
    if kept and columns != before.columns:
        return stack(path, name, leading, sources, Stacked(), most_rows)
    if not columns:
        return Stacked(list(leading), [], -1, {})
    with replacing(path) as file:
        if kept:
            with open_inside(path, MOST_STACKED) as old:
                shutil.copyfileobj(old, file, 2**22)
        else:
            file.write(_line([*leading, *columns]))
        for source in new:
            _append(file, source, name, columns, most_rows)
        size = file.tell()
    return Stacked(list(leading), columns, size, marks)


def from_json(values: Mapping[str, Any]) -> Stacked:
    """What was noted as plain values; nothing where it is damaged."""
    try:
        return Stacked(**values)
    except TypeError:
        return Stacked()


def _columns(name: str, sources: Sequence[Source], known: Sequence[str]) -> list[str]:
    """Columns of all tables, in the order in which they come."""
    columns = dict.fromkeys(known)
    for header, path in {_header(source.folder / name): source.folder / name for source in sources}.items():
        with _naming(path):
            columns.update(dict.fromkeys(next(csv.reader([header.decode("utf-8")]), [])))
    return list(columns)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which table cannot be stacked."""
    try:
        yield
    except (ValueError, csv.Error) as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error


def _header(path: Path) -> bytes:
    if not is_there(path):
        return b""
    with open_inside(path, MOST_TABLE) as file:
        return file.readline(LONGEST_HEADER).rstrip(b"\r\n")


def _append(file: BinaryIO, source: Source, name: str, columns: Sequence[str], most_rows: int | None) -> None:
    path = source.folder / name
    if not is_there(path):
        return  # this run has no such table
    content = read_bytes(path, MOST_TABLE)
    header, _, body = content.partition(b"\n")
    if not body:
        return
    prefix = _line(source.leading).rstrip(b"\n") + b","
    if header != _line(columns).rstrip(b"\n") or _has_broken_lines(body):
        with _naming(path):
            file.writelines(prefix + line for line in _reordered(content, columns))
        return
    lines = body.splitlines(keepends=True)
    if most_rows is not None and len(lines) > most_rows:
        lines = list(_thinned(lines, most_rows))
    file.writelines(prefix + line for line in lines)


def _has_broken_lines(body: bytes) -> bool:
    """Whether a quoted cell goes on in the next line."""
    return b'"' in body and any(line.count(b'"') % 2 for line in body.splitlines())


def _reordered(content: bytes, columns: Sequence[str]) -> Iterator[bytes]:
    """The rows with all columns, those that the table has not empty."""
    for row in csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")):
        yield _line([row.get(column) or "" for column in columns])


def _thinned(lines: Sequence[bytes], most: int) -> Iterator[bytes]:
    """Lines of each source in proportion, the first and the last of each among them."""
    share = most / len(lines)
    for _, group in groupby(lines, key=lambda line: line.partition(b",")[0]):
        of_source = list(group)
        yield from (of_source[place] for place in even_indices(len(of_source), int(len(of_source) * share)))


def _line(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")
