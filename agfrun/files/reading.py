"""Reading: the one place where a file of a run's or a sweep's folder, or one that the user names, is opened.

Whoever made such a file may be a stranger. It is a regular file, it is no larger than what is ever written of its
kind, and what is in it is no deeper (`agfrun.files.parsing`): otherwise one line says so, before any of it is read.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agfrun.files.inside import opened_inside, opened_named
from agfrun.study.errors import ConfigError, OutputError
from agfrun.study.memory import in_units

MIB = 2**20
# Bytes, by kind; of a plan and what else names every run of a sweep, a million of them.
MOST_JSON, MOST_OF_SWEEP, MOST_LINES = 32 * MIB, 512 * MIB, 256 * MIB
MOST_YAML = MIB // 2
MOST_TABLE, MOST_ARRAYS = 2048 * MIB, 4096 * MIB
MOST_PICTURE = 16 * MIB
MOST_DATA = 512 * MIB


@contextmanager
def open_inside(path: Path, most: int) -> Iterator[io.BufferedReader]:
    """Open a file of a run's or a sweep's folder for reading.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        OutputError: there is none, it is a link or no regular file, is larger, or cannot be read.
    """
    try:
        file = _sized(opened_inside(path, os.O_RDONLY), most)
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error
    with file:
        yield file


def read_bytes(path: Path, most: int) -> bytes:
    """All of a file of a run's or a sweep's folder.

    Raises:
        OutputError: see `open_inside`.
    """
    with open_inside(path, most) as file:
        return _all_of(path, file, most)


def read_text(path: Path, most: int) -> str:
    """All of a UTF-8 file of a run's or a sweep's folder.

    Raises:
        OutputError: see `open_inside`; or it holds something else than UTF-8.
    """
    content = read_bytes(path, most)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OutputError(f"cannot read {path}: {error}") from error


def beginning(path: Path, length: int) -> str:
    """The first bytes of a file of any size as text; empty where it cannot be read."""
    try:
        with os.fdopen(opened_inside(path, os.O_RDONLY), "rb") as file:
            return _decoded(file.read(length))
    except (OSError, OutputError):
        return ""


@contextmanager
def open_named(path: Path, most: int | None = None) -> Iterator[io.BufferedReader]:
    """Open a file that the user has named, such as data, for reading.

    Args:
        path: of the file; a link may lead to it.
        most: bytes that it may have; None: whoever reads it looks at that.

    Raises:
        OSError: there is none, it is no regular file (a pipe, a device), is larger, or cannot be read.
    """
    with _sized(opened_named(path), most) as file:
        yield file


def read_named_text(path: Path, most: int = MOST_DATA) -> io.StringIO:
    """All of a UTF-8 file that the user has named, with or without a byte-order mark; line ends as they are.

    Raises:
        OSError: see `open_named`.
        UnicodeDecodeError: it holds something else.
    """
    with open_named(path, most) as file:
        return io.StringIO(file.read(most).decode("utf-8-sig"), newline="")


@contextmanager
def reading_named(key: str, name: object) -> Iterator[None]:
    """Says of a file that the user has named, and that cannot be read, which key names it.

    Args:
        key: configuration key.
        name: of the file, as it was given.

    Raises:
        ConfigError: what is done within raised an error of reading or of parsing.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(key, name, f"it cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, MemoryError, csv.Error) as error:
        raise ConfigError(key, name, f"it cannot be read: {' '.join(str(error).split())}") from error


def _sized(descriptor: int, most: int | None) -> io.BufferedReader:
    size = os.fstat(descriptor).st_size
    if most is not None and size > most:
        os.close(descriptor)
        raise OSError(f"it has {in_units(size)}, and {in_units(most)} are the most that is read of its kind")
    return os.fdopen(descriptor, "rb")


def _all_of(path: Path, file: io.BufferedReader, most: int) -> bytes:
    try:
        return file.read(most)  # which has not grown since its size was looked at
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "replace")
