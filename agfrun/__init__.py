"""agfrun: a laboratory for how two-layer networks learn features.

>>> from agfrun import RunConfig, run
>>> result = run(RunConfig())  # doctest: +SKIP
>>> print(result.summary())  # doctest: +SKIP

Names are imported on first use, so that the command line can answer without importing torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agfrun.version import __version__

if TYPE_CHECKING:
    from agfrun.configuration.composition import load_config
    from agfrun.labs.staircases.agf.alternation import AlternationOptions
    from agfrun.labs.staircases.agf.predict import predict
    from agfrun.labs.staircases.config import RunConfig
    from agfrun.labs.staircases.dynamics.gradient_descent import train_by_gradient_descent
    from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
    from agfrun.labs.staircases.run.pipeline import run
    from agfrun.labs.staircases.run.problem import build_problem
    from agfrun.labs.staircases.run.result import Result

_HOME = {
    "AlternationOptions": "agfrun.labs.staircases.agf.alternation",
    "Result": "agfrun.labs.staircases.run.result",
    "RunConfig": "agfrun.study.schema",
    "build_problem": "agfrun.labs.staircases.run.problem",
    "load_config": "agfrun.configuration.composition",
    "predict": "agfrun.labs.staircases.agf.predict",
    "run": "agfrun.labs.staircases.run.pipeline",
    "train_by_gradient_descent": "agfrun.labs.staircases.dynamics.gradient_descent",
    "train_by_gradient_flow": "agfrun.labs.staircases.dynamics.gradient_flow",
}

__all__ = ["AlternationOptions", "Result", "RunConfig", "__version__", "build_problem",
           "load_config", "predict", "run", "train_by_gradient_descent", "train_by_gradient_flow"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'agfrun' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
