"""Numba, keeping what it has compiled in a folder of the user's own.

A function is compiled where it is first called, which takes seconds, and read from that folder from then on. The folder
is named after the source of everything that is compiled: Numba itself only looks whether the file of the outermost
function has changed.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numba.extending

Function = TypeVar("Function", bound=Callable[..., Any])

# No operation is reordered or fused: code that has just been compiled and code read from the cache, whose parts the
# compiler puts together otherwise, give the same bits.
OPTIONS: Any = {"error_model": "numpy", "nogil": True}
# Code that only compiled code calls.
_INNER: Any = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_SOURCES = ("compiled/*.py", "networks/*/kernel.py")


def compiled(function: Function) -> Function:
    """The function as machine code, kept on disk where that can be."""
    settings: Any = numba.config
    before, folder = settings.CACHE_DIR, cache_folder()
    # Where code is kept is decided when the function is wrapped, by a setting of the whole process.
    settings.CACHE_DIR = "" if folder is None else str(folder)
    try:
        made: Function = numba.njit(cache=folder is not None, **OPTIONS)(function)
        return made
    finally:
        settings.CACHE_DIR = before


def implements(function: Callable[..., Any], kernel: type) -> Callable[[Function], Function]:
    """Decorator: what `function` does for kernels of this type, in code that calls it."""

    def register(implementation: Function) -> Function:
        def choose(first: Any, *rest: Any) -> Any:
            return implementation if getattr(first, "instance_class", None) is kernel else None

        numba.extending.overload(function, jit_options=_INNER, strict=False)(choose)
        return implementation

    return register


@functools.cache
def cache_folder() -> Path | None:
    """Where compiled code is kept: a folder that only the user can write; None if there is no such place."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(home).expanduser() / "agfrun" / "compiled" / _source_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = folder.stat()
    except OSError:
        return None
    is_own = not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o022)
    return folder if is_own and folder.is_absolute() and os.access(folder, os.W_OK) else None


def _source_hash() -> str:
    laboratory = Path(__file__).parents[1]
    code = hashlib.sha256(numba.__version__.encode())
    for path in sorted(path for pattern in _SOURCES for path in laboratory.glob(pattern)):
        code.update(path.read_bytes())
    return code.hexdigest()[:16]
