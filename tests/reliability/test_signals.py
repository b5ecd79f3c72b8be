"""Signals outside the training of a single run (tests/reliability/test_resume.py): sweeps, and closed streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from hostile_network import environment
from processes import Command, assert_sound

from agfrun.study.termination import heed_termination

SMALL = ("model=diagonal_linear", "train.horizon=1", "plots=false", "report=false", "device=cpu")
TRAINED = {
    "flow": ("train.tolerance=1e-10", "train.horizon=4000"),
    "descent": ("train=gradient_descent", "train.learning_rate=0.002", "train.max_steps=200000"),
}
SEEDS = ("data.p=5", "data.frequencies=[1,2]", "data.amplitudes=[4,2]", "model.width=6", "train.convergence=0",
         "ensemble.seeds=3", "hydra/launcher=serial", "agf.max_events=1", "plots=false", "report=false", "device=cpu")


@pytest.mark.parametrize(("kind", "number"), [
    *(("flow", number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT)),
    ("descent", signal.SIGTERM)])
def test_seeds_that_are_trained_together_end_by_a_signal_and_leave_what_is_known(
    number: signal.Signals, kind: str, tmp_path: Path,
) -> None:
    sweep = tmp_path / "sweep"
    command = Command([*TRAINED[kind], *SEEDS, f"hydra.sweep.dir={sweep}"], tmp_path)
    while len(list(sweep.glob("*/labels.json"))) < 3:  # all are predicted
        assert command.process.is_alive()
    time.sleep(2.0)
    command.kill(number)
    ended = command.ended()
    assert ended.status == 128 + number, ended.errors
    assert "Traceback" not in ended.errors
    assert f"interrupted; continue with: agfrun -m sweep.resume={sweep}" in ended.errors
    assert pd.read_csv(sweep / "runs.csv")["status"].tolist() == ["unfinished"] * 3
    for labels in sweep.glob("*/labels.json"):
        assert_sound(labels.parent)
        assert set(pd.read_csv(labels.parent / "loss.csv")["source"]) >= {"agf"}
        assert not (labels.parent / "done.json").exists()
        assert not (labels.parent / ".lock").exists()


def test_what_nohup_ignores_stays_ignored() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        heed_termination()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert callable(signal.getsignal(signal.SIGTERM))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


LOST = """
import signal, sys, time
from agfrun.study.termination import exit_status, heed_termination

heed_termination()

class Finalized:
    def __del__(self):
        signal.raise_signal(NUMBER)
        for _ in range(10**6):  # the handler is run within these
            pass

try:
    Finalized()
    time.sleep(600)
except KeyboardInterrupt as interruption:
    sys.exit(exit_status(interruption))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_that_comes_within_a_finalizer_is_not_lost(number: signal.Signals) -> None:
    done = subprocess.run([sys.executable, "-c", LOST.replace("NUMBER", str(int(number)))], capture_output=True,
                          text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (128 + number, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lose_nothing(closed: str, tmp_path: Path) -> None:
    line = f"exec {sys.executable} -m agfrun {' '.join(SMALL)} hydra.run.dir=run {closed}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True,
                          timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "done.json").exists()
    assert_sound(tmp_path / "run")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_below_the_output_is_a_warning(tmp_path: Path) -> None:
    line = f"exec {sys.executable} -m agfrun {' '.join(SMALL)} hydra.run.dir=run > /dev/full"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True,
                          timeout=600, check=False)
    assert done.returncode == 0
    assert done.stderr == "agfrun: warning: the summary could not be printed: No space left on device\n"
    assert (tmp_path / "run" / "done.json").exists()
