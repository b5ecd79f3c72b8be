"""Numba, keeping what it has compiled in a folder of the user's own.

A function is compiled where it is first called, which takes seconds, and read from that folder from then on. The folder
is named after the source of everything that is compiled: Numba itself only looks whether the file of the outermost
function has changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# No operation is reordered or fused: code that has just been compiled and code read from the cache, whose parts the
# compiler puts together otherwise, give the same bits.
OPTIONS: Any = {"error_model": "numpy", "nogil": True}


def compiled_in(folder: Path | None, function: Function) -> Function:
    """The function as machine code, kept in a folder; None: kept nowhere."""
    settings: Any = numba.config
    before = settings.CACHE_DIR
    # Where code is kept is decided when the function is wrapped, by a setting of the whole process.
    settings.CACHE_DIR = "" if folder is None else str(folder)
    try:
        made: Function = numba.njit(cache=folder is not None, **OPTIONS)(function)
        return made
    finally:
        settings.CACHE_DIR = before


def code_folder(sources: Path, patterns: Iterable[str]) -> Path | None:
    """Where compiled code is kept: a folder that only the user can write; None if there is no such place.

    Args:
        sources: folder of the sources.
        patterns: of the files in it whose functions are compiled.
    """
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(home).expanduser() / "agfrun" / "compiled" / _source_hash(sources, patterns)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = folder.stat()
    except OSError:
        return None
    is_own = not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o022)
    return folder if is_own and folder.is_absolute() and os.access(folder, os.W_OK) else None


def _source_hash(sources: Path, patterns: Iterable[str]) -> str:
    code = hashlib.sha256(numba.__version__.encode())
    for path in sorted(path for pattern in patterns for path in sources.glob(pattern)):
        code.update(path.read_bytes())
    return code.hexdigest()[:16]
