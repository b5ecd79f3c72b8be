"""Sweeps of runs that take a moment, for the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
from hostile_network import environment

SMALL = ["model=diagonal_linear", "init=gaussian", "data=rotated_regression"]


def runs(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "runs.csv")


def command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "agfrun", *arguments]


def start(arguments: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(arguments), cwd=directory, env=environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=600, check=False)
