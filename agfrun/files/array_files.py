"""Arrays in NumPy's files, which say how large they are before anything is read: none is larger than its file."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from agfrun.files.reading import open_named, read_named_text

LARGEST_BYTES = 2**30
"""Of one array: 134 million numbers of double precision."""
MOST_CONTENTS = 2**20
# Of a ZIP archive: its last record, which may have a comment of 64 KiB.
END_OF_ARCHIVE = 22 + 2**16


def read_array(file: IO[bytes], size: int) -> np.ndarray[Any, Any]:
    """The array of an open `.npy` file or member of an archive; no pickled objects.

    Args:
        file: at its start.
        size: bytes that it holds, of which a memory of that size is made only if the header tells the truth.

    Raises:
        ValueError: it is none, is shorter than it says, or larger than `LARGEST_BYTES`.
    """
    shape, kind = _read_header(file)
    needed = math.prod(shape) * kind.itemsize
    if needed > LARGEST_BYTES:
        raise ValueError(f"it claims {needed / 2**30:.3g} GiB of numbers; {LARGEST_BYTES / 2**30:g} GiB are the most")
    if kind.hasobject:
        raise ValueError("it holds pickled objects, not numbers")
    if any(length < 0 for length in shape) or needed > size - file.tell():
        raise ValueError(f"it claims {needed} bytes of numbers and holds {max(size - file.tell(), 0)}")
    file.seek(0)
    array: np.ndarray[Any, Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read_header = (np.lib.format.read_array_header_1_0 if version == (1, 0)
                   else np.lib.format.read_array_header_2_0)
    try:
        shape, _, kind = read_header(file)
    except ValueError:
        raise
    except Exception as error:  # a damaged header gets as far as Python's own tokenizer
        raise ValueError(f"its header is damaged: {error}") from error
    return shape, kind


def read_csv(path: Path) -> np.ndarray[Any, Any]:
    """The matrix of a `.csv` file of numbers without a line of names; of an empty one no rows.

    Raises:
        OSError: see `open_named`.
        ValueError: a cell is no number, rows differ in length, or it is no text.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an empty file, whose shape says it
        matrix: np.ndarray[Any, Any] = np.loadtxt(read_named_text(path), delimiter=",", ndmin=2)
    return matrix


def read_npy(path: Path, most: int | None = None) -> np.ndarray[Any, Any]:
    """The array of a `.npy` file of at most so many bytes; None: `LARGEST_BYTES` of numbers is all that bounds it.

    Raises:
        OSError: there is no such file, it is a pipe or a device, or too large.
        ValueError: see `read_array`.
    """
    with open_named(path, most) as file:
        return read_array(file, os.fstat(file.fileno()).st_size)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A `.npz` archive, open.

    Raises:
        OSError: see `read_npy`.
        zipfile.BadZipFile: it is none.
        ValueError: its table of contents is larger than that of a few arrays.
    """
    with open_named(path) as file:
        file.seek(-min(END_OF_ARCHIVE, os.fstat(file.fileno()).st_size), os.SEEK_END)
        end = file.read()
        place = end.rfind(b"PK\x05\x06")
        if place >= 0 and int.from_bytes(end[place + 12:place + 16], "little") > MOST_CONTENTS:
            raise ValueError(f"its table of contents has more than {MOST_CONTENTS} bytes")
        with zipfile.ZipFile(file) as archive:
            yield archive


def read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
    """An array of a `.npz` archive by its name.

    Raises:
        ValueError: see `read_array`.
    """
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as file:
        return read_array(file, member.file_size)
