"""Writing: the one place where files of a run's or a sweep's folder are written, added to and removed.

A file is either the old one or the whole new one, never a part: each writer fills a temporary file in the target's
folder, flushes it to the disk and renames it over the target, which is atomic on one file system. A link is replaced,
and what it leads to is left alone; folders on the way are made by `agfrun.files.inside.made_inside`.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors.numpy

from agfrun.files.inside import NO_FILE, opened_inside, refuse_links_of_sweep
from agfrun.study.errors import OutputError

_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp", re.DOTALL)


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
        if _TEMPORARY.fullmatch(path.name):
            remove_file(path)


def remove_file(path: Path) -> None:
    """Remove a file if it is there; of a link the link.

    Raises:
        OutputError: it cannot be removed, or a folder of a sweep on the way to it is a link.
    """
    refuse_links_of_sweep(path)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove {path}: {error.strerror or error}") from error


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as that is possible; a link, or through one, nothing."""
    with suppress(OSError):
        if not folder.is_symlink() and not folder.parent.is_symlink():
            shutil.rmtree(folder)


def append_text(path: Path, text: str, keep: bool = False) -> None:
    """Add text to the end of a file, which is made if there is none.

    Args:
        path: of the file.
        text: to add.
        keep: whether to wait until the disk has it.

    Raises:
        OSError: it cannot be written, is a link or no regular file, or goes by another name as well.
        OutputError: a folder of a sweep on the way to it is a link.
    """
    with os.fdopen(opened_inside(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
        if os.fstat(file.fileno()).st_nlink > 1:
            raise OSError("it is another file as well (a hard link)")
        file.write(text.encode("utf-8", "replace"))
        if keep:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` at the end of the block, and is gone if that raises.

    Raises:
        OutputError: the file cannot be written; an older file at `path` is then left as it was.
    """
    refuse_links_of_sweep(path)
    temporary = _temporary(path)
    try:
        _refuse_device(path)
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


def _refuse_device(path: Path) -> None:
    """What is neither a file nor a link is nothing that this program has made."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise OSError(NO_FILE)


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
