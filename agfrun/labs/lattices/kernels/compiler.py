"""Numba for the kernels of this laboratory, see `agfrun.files.machine_code`."""

from __future__ import annotations

import functools
from pathlib import Path

from agfrun.files.machine_code import Function, code_folder, compiled_in


def compiled(function: Function) -> Function:
    """The function as machine code, kept on disk where that can be."""
    return compiled_in(cache_folder(), function)


@functools.cache
def cache_folder() -> Path | None:
    """Where compiled code is kept; None: nowhere."""
    return code_folder(Path(__file__).parent, ("*.py",))
