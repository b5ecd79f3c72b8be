"""Many runs in one process, and many sweeps at once."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hostile_network import environment
from tiny_runs import modadd_config

from agfrun import AgfConfig, GradientFlowConfig, run

MEGABYTE = 2**20


def resident_memory() -> int:
    """Bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_two_hundred_runs_in_one_process_leave_nothing_behind(tmp_path: Path) -> None:
    brief = {"agf": AgfConfig(max_events=1), "train": GradientFlowConfig(horizon=20.0, tolerance=1e-4)}

    def many(first: int, count: int) -> None:
        for seed in range(first, first + count):
            run(modadd_config(seed=seed, **brief), output_dir=tmp_path / str(seed))
        gc.collect()

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    many(0, 60)
    memory, files = resident_memory(), open_files()
    many(60, 140)
    assert open_files() <= files
    assert resident_memory() < memory + 12 * MEGABYTE
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert len(list(tmp_path.glob("*/done.json"))) == 200


@pytest.mark.slow
def test_a_dozen_sweeps_at_once_all_finish(tmp_path: Path) -> None:
    sweeps = [
        subprocess.Popen(
            [sys.executable, "-m", "agfrun", "-m", "seed=0,1", "init.scale=1e-2,1e-3", "model=diagonal_linear",
             "plots=false", "report=false", f"hydra.sweep.dir={tmp_path}/{number}"],
            cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(12)
    ]
    for number, sweep in enumerate(sweeps):
        _, errors = sweep.communicate(timeout=900)
        assert sweep.returncode == 0, errors
        runs = pd.read_csv(tmp_path / str(number) / "runs.csv")
        assert runs["status"].isin(["converged", "horizon"]).tolist() == [True] * 4
