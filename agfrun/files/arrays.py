"""Arrays of safetensors files, with the words that stand beside them; nothing in such a file is ever executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from agfrun.files.parsing import parse_json
from agfrun.files.reading import MOST_ARRAYS, open_inside
from agfrun.study.errors import OutputError

LONGEST_HEADER = 2**24
_LENGTH = 8

Arrays = dict[str, npt.NDArray[Any]]


def read_arrays(path: Path) -> tuple[Arrays, dict[str, str]]:
    """The arrays of a file in a run's folder, and its metadata.

    Raises:
        OutputError: there is none, it is a link or too large, or it is damaged.
    """
    with open_inside(path, MOST_ARRAYS) as file:
        try:
            metadata = read_header(file).get("__metadata__", {})
            arrays = read_open_arrays(file)
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    return arrays, metadata if isinstance(metadata, dict) else {}


def read_header(file: BinaryIO) -> dict[str, Any]:
    """What an open safetensors file says that it holds, by name, before any of it is read; the file is then after it.

    Raises:
        ValueError: it is none.
    """
    length = int.from_bytes(file.read(_LENGTH), "little")
    if not 0 < length <= LONGEST_HEADER:
        raise ValueError("it is no safetensors file")
    header = parse_json(file.read(length).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("it is no safetensors file")
    return header


def shape_of(header: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """The shape that a header gives to an array.

    Raises:
        ValueError: it gives none.
    """
    entry = header.get(name)
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or not all(isinstance(length, int) for length in shape):
        raise ValueError("its header is damaged")
    return tuple(shape)


def read_open_arrays(file: BinaryIO) -> Arrays:
    """All arrays of an open safetensors file.

    Raises:
        ValueError: it is damaged, or holds numbers that NumPy does not know.
    """
    file.seek(0)
    try:
        found: Mapping[str, np.ndarray[Any, Any]] = safetensors.numpy.load(file.read())
    except (safetensors.SafetensorError, TypeError, KeyError) as error:
        raise ValueError(str(error)) from None
    return dict(found)
