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
    from agfrun.agf.alternation import AlternationOptions
    from agfrun.agf.predict import predict
    from agfrun.config import load_config
    from agfrun.dynamics.gradient_descent import train_by_gradient_descent
    from agfrun.dynamics.gradient_flow import train_by_gradient_flow
    from agfrun.ensemble.run import EnsembleResult, run_ensemble
    from agfrun.pipeline import Result, run
    from agfrun.problem import build_problem
    from agfrun.schema import RunConfig

_HOME = {
    "AlternationOptions": "agfrun.agf.alternation",
    "EnsembleResult": "agfrun.ensemble.run",
    "Result": "agfrun.pipeline",
    "RunConfig": "agfrun.schema",
    "build_problem": "agfrun.problem",
    "load_config": "agfrun.config",
    "predict": "agfrun.agf.predict",
    "run": "agfrun.pipeline",
    "run_ensemble": "agfrun.ensemble.run",
    "train_by_gradient_descent": "agfrun.dynamics.gradient_descent",
    "train_by_gradient_flow": "agfrun.dynamics.gradient_flow",
}

__all__ = ["AlternationOptions", "EnsembleResult", "Result", "RunConfig", "__version__", "build_problem",
           "load_config", "predict", "run", "run_ensemble", "train_by_gradient_descent", "train_by_gradient_flow"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'agfrun' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
