"""Atomic writing: a file of a run is either the old one or the whole new one, never a part.

Each writer fills a temporary file in the target's folder, flushes it to the disk and renames it
over the target, which is atomic on one file system.
"""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors.numpy

from agfrun.study.errors import OutputError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` atomically; the file's mode follows the umask.

    Raises:
        OutputError: the file cannot be written; an older file at `path` is then left as it was.
    """
    with replacing(path) as file:
        file.write(content)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def remove_temporaries(folder: Path) -> None:
    """Remove what processes that were killed while they wrote into a folder have left; nobody else may be writing."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` at the end of the block, and is gone if that raises.

    Raises:
        OutputError: the file cannot be written; an older file at `path` is then left as it was.
    """
    temporary = _temporary(path)
    try:
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; what is no character, such as half a surrogate pair, becomes a question mark."""
    write_bytes(path, text.encode("utf-8", "replace"))


def write_json(path: Path, obj: Any) -> None:
    """Write strict JSON atomically: numpy values become plain ones, non-finite numbers null.

    Raises:
        TypeError: `obj` holds something that JSON has no form for.
    """
    text = json.dumps(_plain(obj), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table atomically: shortest decimals that read back to the same bits, empty if missing."""
    write_text(path, frame.to_csv(index=False, na_rep="", lineterminator="\n"))


def write_safetensors(
    path: Path, arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named arrays atomically in the safetensors format (no pickle)."""
    # safetensors stores the memory as it lies, so a transposed view would be saved scrambled.
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, safetensors.numpy.save(contiguous, metadata=dict(metadata) if metadata else None))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
