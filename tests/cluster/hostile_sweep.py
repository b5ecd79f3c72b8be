"""Sweeps over the hostile network, and what is left of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd


def arguments(directory: Path, *more: str) -> list[str]:
    """A command line of a sweep into `directory/sweep`."""
    return [sys.executable, "-m", "agfrun", "--import", str(directory / "hostile.py"), "--config-dir", "mine", "-m",
            "model=hostile", "data=rotated_regression", "init=gaussian", "plots=false", "report=false",
            "hydra.sweep.dir=sweep", "sweep.together=false", *more]


def runs(directory: Path) -> pd.DataFrame:
    """The table of the sweep's runs."""
    return pd.read_csv(directory / "sweep" / "runs.csv")


def begun(directory: Path) -> int:
    """How many runs are or were under way."""
    logs = (directory / "sweep" / ".sweep" / "logs").glob("*.jsonl")
    return sum("begin" in json.loads(line) for log in logs for line in log.read_text().splitlines())


def finished(directory: Path) -> dict[str, int]:
    """When each finished run was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (directory / "sweep").glob("*/done.json")}
