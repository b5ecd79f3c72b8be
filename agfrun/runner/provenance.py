"""Provenance of a run: what ran, where, with which versions, and what it cost."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.run.problem import Problem
from agfrun.study.schema import RunConfig, config_hash, saved_values
from agfrun.version import __version__

PACKAGES = ("torch", "numpy", "scipy", "pandas", "matplotlib", "hydra-core", "omegaconf", "safetensors")


def manifest(config: RunConfig, problem: Problem, prediction: Prediction, training: TrainingResult,
             horizon: float, wall_seconds: dict[str, float], command: Sequence[str] | None) -> dict[str, Any]:
    """Everything that is needed to judge and repeat a run, ready for JSON."""
    coordinates = problem.architecture.flow_coordinates(problem.initial, None, problem.log_scale)
    return {
        **provenance(config, command),
        "device": str(problem.architecture.device),
        "dtype": str(problem.architecture.dtype).removeprefix("torch."),
        "clock": {
            "unit": "gradient-flow time of L = E 1/2 ||y - f||^2",
            "horizon": horizon,
            **training.clock,
        },
        "coordinates": type(coordinates).__name__,
        "neurons_held_as": "direction and log norm" if problem.log_scale else "parameters",
        "wall_seconds": wall_seconds,
        "training": {"status": training.status, "reason": training.reason,
                     **dataclasses.asdict(training.statistics)},
        "agf": {
            "method": prediction.method, "cost_phase": prediction.cost_phase, "reason": prediction.reason,
            "rounds": [dataclasses.asdict(stage) for stage in prediction.rounds],
            **dataclasses.asdict(prediction.statistics),
        },
    }


def provenance(config: RunConfig, command: Sequence[str] | None) -> dict[str, Any]:
    """What ran, where and with which versions."""
    return {
        "agfrun": __version__,
        "git_revision": git_revision(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "platform": platform.platform(),
        "command": list(command if command is not None else sys.argv),
        "config_hash": config_hash(config),
        "seed": config.seed,
        "config": saved_values(config),
    }


def git_revision() -> str | None:
    """Revision of the checkout that this package runs from, with `+changes` if modified; None outside one."""
    here = Path(__file__).resolve().parent.parent
    if not (here.parent / ".git").exists():
        return None
    try:
        revision = _git(here, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=5)
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
