"""Steps of gradient descent as compiled code: `train.compile=true`."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.unrolled_heavy_ball import Steps
from agfrun.study.errors import first_line

# Where torch keeps what it has compiled. Its own choice is a folder for temporary files under a name that anybody
# can guess, and take first.
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def compiled(steps: Steps) -> Steps:
    """The same steps, compiled when they are first taken; uncompiled, with a warning, where that is not possible."""
    return _CompiledSteps(steps)


class _CompiledSteps:
    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.fast: Steps | None = None

    def __call__(self, y: Tensor, momentum_term: Tensor, rate: Tensor, momentum: Tensor
                 ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.fast is None:
            self.fast = self._tried(y, momentum_term, rate, momentum)
        return self.fast(y, momentum_term, rate, momentum)

    def _tried(self, *arguments: Tensor) -> Steps:
        """Compiled steps if they work, else those that were given."""
        _announce()
        try:
            _use_private_cache()
            fast: Steps = torch.compile(_with_code_of_its_own(self.steps), fullgraph=True, dynamic=False,
                                        options=_options(arguments[0].device))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # advice to whoever develops what is compiled
                fast(*arguments)
        except Exception as error:  # a tool chain has no end of ways to fail, and there are steps without it
            print(f"agfrun: warning: train.compile: the steps are taken uncompiled: {first_line(error)}",
                  file=sys.stderr)
            return self.steps
        return fast


@cache
def _announce() -> None:
    """Say once what takes so long."""
    print("agfrun: compiling the steps of gradient descent (half a minute, less the next time)", file=sys.stderr)


def _with_code_of_its_own(steps: Steps) -> Steps:
    """Torch compiles the same code for eight networks in a process, and no more."""
    if not isinstance(steps, FunctionType):
        return steps
    return FunctionType(steps.__code__.replace(), steps.__globals__, steps.__name__, closure=steps.__closure__)


def _options(device: torch.device) -> dict[str, Any]:
    """On a CPU, one C++ function with all calls in it, made by one process."""
    return {"cpp_wrapper": True, "compile_threads": 1} if device.type == "cpu" else {}


def _use_private_cache() -> None:
    """Have torch keep what it compiles in the folder that the user names, else in one of the user's own."""
    try:
        folder = Path(os.environ.get(CACHE_VARIABLE) or _cache_folder())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # there may be no home
        usable = False
    os.environ[CACHE_VARIABLE] = str(folder) if usable else _temporary_folder().name


def _cache_folder() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else Path.home() / ".cache") / "agfrun" / "compiled_steps"


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """One that goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="agfrun-compiled-")
