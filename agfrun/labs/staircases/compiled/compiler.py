"""Numba for the step loops of this laboratory, see `agfrun.files.machine_code`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba.extending

from agfrun.files.machine_code import OPTIONS, Function, code_folder, compiled_in

# Code that only compiled code calls.
_INNER: Any = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_SOURCES = ("compiled/*.py", "networks/*/kernel.py")


def compiled(function: Function) -> Function:
    """The function as machine code, kept on disk where that can be."""
    return compiled_in(cache_folder(), function)


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
    return code_folder(Path(__file__).parents[1], _SOURCES)
