"""Typed tables: how they are built from rows, written and read back.

All are tidy CSV, one observation a row. A missing value is an empty cell; numbers are written in full, so that a
table read back equals the table written, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from agfrun.files.reading import MIB, MOST_TABLE, open_inside
from agfrun.study.errors import OutputError
from agfrun.study.memory import available_memory, in_units
from agfrun.study.table import Column, ColumnKind, Schema

# From pandas 3.1 on every last digit is right without being asked for, and asking is deprecated.
EXACTLY: dict[str, Any] = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {
    "float_precision": "round_trip"}

# Of a table's first line; a table that is read takes several times its size of memory.
LONGEST_HEADER, MOST_COLUMNS = MIB, 10_000
MEMORY_FOR_A_BYTE, WORTH_A_LOOK = 4, 64 * MIB

_DTYPES: dict[ColumnKind, str] = {
    "number": "float64",
    "integer": "Int64",
    "flag": "boolean",
    "text": "string",
    "number or text": "object",
}


def rows_table(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of any schema from rows given as mappings; an absent key is a missing value.

    Raises:
        ValueError: a row has a key that the schema does not know.
    """
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise ValueError(f"{schema.file} has no column {', '.join(sorted(unknown))}")
    columns = {name: [row.get(name) for row in rows] for name in schema.names}
    return table_from(schema, columns)


def empty_table(schema: Schema) -> pd.DataFrame:
    """The table without rows."""
    return rows_table(schema, [])


def read_table(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a table back, bit for bit, with the schema's columns in order (others are left out).

    Raises:
        OutputError: the file is absent or unreadable, a column is missing or a cell is no value
            of its column's kind.
    """
    try:
        with open_table(path) as file:
            cells = pd.read_csv(file, dtype=str, keep_default_na=False)
        _require_whole_rows(path, cells)
        cells = of_now(cells, schema)
        missing = [name for name in schema.names if name not in cells.columns and name not in schema.optional]
        if missing:
            raise OutputError(f"{path} has no column {', '.join(missing)}: expected {','.join(schema.names)}")
        columns = {name: _parse(cells[name].tolist(), kind) if name in cells.columns else None
                   for name, kind in ((column.name, column.kind) for column in schema.columns)}
        more = [name for name in cells.columns if name not in schema.names] if schema.open else []
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    table = table_from(schema, columns)
    return pd.concat([table, read_any_table(path)[more]], axis=1) if more else table


def of_now(table: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """A table with its columns called as they are now; where both are there, the old fills gaps."""
    for name, old in schema.earlier.items():
        if old in table.columns:
            column = table[name].combine_first(table[old]) if name in table.columns else table[old]
            table = table.assign(**{name: column}).drop(columns=old)
    return table


def conforming(table: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """A table with the columns of its schema in order, each of its kind; an absent column is missing values.

    Raises:
        ValueError: it has a column that the schema does not know, or a cell of another kind.
    """
    unknown = [str(name) for name in table.columns if name not in schema.names]
    if unknown and not schema.open:
        raise ValueError(f"{schema.file} has no column {', '.join(unknown)}")
    try:
        known = {column.name: _of_kind(table, column) for column in schema.columns}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{schema.file}: {error}") from error
    more = {name: table[name].reset_index(drop=True) for name in unknown}
    return pd.DataFrame({**known, **more})


def _of_kind(table: pd.DataFrame, column: Column) -> pd.Series:
    if column.name not in table.columns:
        return _series(None, len(table), column.kind)
    given = table[column.name]
    if str(given.dtype) == _DTYPES[column.kind] and column.kind != "number or text":
        return given.reset_index(drop=True)
    return _series([None if is_missing(cell) else cell for cell in given], len(table), column.kind)


def read_any_table(path: Path) -> pd.DataFrame:
    """A table that has no schema, such as a study's, its numbers bit for bit.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        with open_table(path) as file:
            table = pd.read_csv(file, **EXACTLY)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    _require_whole_rows(path, table)
    return table


@contextmanager
def open_table(path: Path) -> Iterator[BinaryIO]:
    """Open a table for reading that can be one: text, of no more columns and bytes than can be held.

    Raises:
        OutputError: it is something else, or is not there.
    """
    with open_inside(path, MOST_TABLE) as file:
        header = file.readline(LONGEST_HEADER)
        size, available = file.seek(0, 2), available_memory()
        if b"\0" in header:
            raise OutputError(f"cannot read {path}: it holds no text")
        if header.count(b",") >= MOST_COLUMNS or (len(header) == LONGEST_HEADER and not header.endswith(b"\n")):
            raise OutputError(f"cannot read {path}: it has more than {MOST_COLUMNS} columns")
        if size > WORTH_A_LOOK and available is not None and MEMORY_FOR_A_BYTE * size > available:
            raise OutputError(f"cannot read {path}: it has {in_units(size)}, and {in_units(available)} of memory are "
                              "available")
        file.seek(0)
        yield file


def _require_whole_rows(path: Path, table: pd.DataFrame) -> None:
    if not table.index.equals(pd.RangeIndex(len(table))):  # pandas took the first cells for names of rows
        raise OutputError(f"cannot read {path}: it has rows with more cells than columns")


def even_indices(count: int, most: int) -> npt.NDArray[np.int64]:
    """Indices 0 ... count - 1, thinned evenly to at most `most` of them (but at least 2), ends included."""
    kept = min(count, max(2, most))
    return np.unique(np.linspace(0, count - 1, kept).round().astype(np.int64))


def table_from(schema: Schema, columns: Mapping[str, Any]) -> pd.DataFrame:
    """A table from columns: sequences of one length, or a text that is every cell's."""
    length = max((len(v) for v in columns.values() if not isinstance(v, str) and v is not None), default=0)
    return pd.DataFrame({
        column.name: _series(columns[column.name], length, column.kind) for column in schema.columns
    })


def _series(values: Any, length: int, kind: ColumnKind) -> pd.Series:
    if values is None or isinstance(values, str):
        values = [values] * length
    if kind == "number or text":
        values = [None if is_missing(value) else value for value in values]
    return pd.Series(values, dtype=_DTYPES[kind])


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing: None, NaN or pandas' own missing value."""
    return value is None or value is pd.NA or value != value


def _parse(cells: Iterable[str], kind: ColumnKind) -> list[Any]:
    """Cells of a column as values. Python's own `float` reads every decimal to the nearest number."""
    read = _READERS[kind]
    return [read(cell) if cell else None for cell in cells]


def _read_flag(cell: str) -> bool:
    if cell not in ("True", "False"):
        raise ValueError(f"{cell!r} is neither True nor False")
    return cell == "True"


def _number_if_possible(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


_READERS: dict[ColumnKind, Callable[[str], Any]] = {
    "number": float,
    "integer": int,
    "flag": _read_flag,
    "text": str,
    "number or text": _number_if_possible,
}
