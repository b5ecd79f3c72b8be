"""Steps of gradient descent as compiled code: `train.compile=true`."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agfrun.dynamics.unrolled_heavy_ball import Steps

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
        print("agfrun: compiling the steps of gradient descent (half a minute, less the next time)", file=sys.stderr)
        os.environ.setdefault(CACHE_VARIABLE, str(_cache_folder()))
        fast: Steps = torch.compile(self.steps, fullgraph=True, dynamic=False, options=_options(arguments[0].device))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # advice to whoever develops what is compiled
                fast(*arguments)
        except Exception as error:  # a tool chain has no end of ways to fail, and there are steps without it
            line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            print(f"agfrun: warning: train.compile: the steps are taken uncompiled: {line}", file=sys.stderr)
            return self.steps
        return fast


def _options(device: torch.device) -> dict[str, Any]:
    """On a CPU, one C++ function with all calls in it, made by one process."""
    return {"cpp_wrapper": True, "compile_threads": 1} if device.type == "cpu" else {}


def _cache_folder() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "agfrun" / "compiled_steps"
