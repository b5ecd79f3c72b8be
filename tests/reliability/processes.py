"""agfrun in processes of its own that start at once, to be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pandas as pd
import safetensors.numpy
import yaml

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["agfrun.cli.main", "agfrun.labs.staircases.run.pipeline",
                                "agfrun.runner.resumption", "agfrun.report.html.report",
                                "agfrun.labs.staircases.studies.compare", "hydra", "processes"])
# A run of a few seconds, most of them training.
DESCENT = ("data.p=5", "data.frequencies=[1,2]", "data.amplitudes=[4,2]", "model.width=3", "train=gradient_descent",
           "train.learning_rate=0.02", "train.max_steps=250000", "train.convergence=0", "checkpoint.seconds=0",
           "plots=false", "report=false", "device=cpu")
FLOW = ("model=linear_attention", "model.width=8", "data.dimension=8", "agf=decoupled", "train.tolerance=1e-12",
        "train.convergence=0", "train.horizon=3000", "checkpoint.seconds=0", "plots=false", "report=false",
        "device=cpu")
TABLES = ("loss", "features", "neurons", "events", "comparison", "claims")


@dataclass
class Ended:
    """How a process ended: its exit status (minus the signal that killed it) and what it said."""

    status: int
    output: str
    errors: str


class Command:
    """A command line of agfrun in a process of its own.

    Args:
        arguments: what follows the program's name.
        folder: where its output is kept.
        directory: it works in.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, directory: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.out, self.err = folder / "stdout", folder / "stderr"
        for file in (self.out, self.err):
            file.write_text("")  # should the process be killed before it makes them
        self.process: ForkServerProcess = CONTEXT.Process(
            target=_main, args=(list(arguments), str(self.out), str(self.err), str(directory or folder)))
        self.process.start()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, if it is still there."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)

    def ended(self, timeout: float = 180.0) -> Ended:
        """Wait for its end."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"still running after {timeout} s"
        return Ended(self.process.exitcode, self.out.read_text(), self.err.read_text())


def run(arguments: Sequence[str], folder: Path, timeout: float = 180.0) -> Ended:
    """A command line from its start to its end."""
    return Command(arguments, folder).ended(timeout)


def error_of(ended: Ended) -> str:
    """The one line of an error."""
    lines = [line for line in ended.errors.splitlines() if line.strip() and "warning" not in line]
    assert ended.status == 2, ended
    assert len(lines) == 1, lines
    assert lines[0].startswith("agfrun: error: ")
    return lines[0]


def wait_for(path: Path, timeout: float = 180.0) -> None:
    """Until a file is there."""
    end = time.monotonic() + timeout
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not come"
        time.sleep(0.005)


def wait_for_checkpoint(run_dir: Path, number: int, timeout: float = 180.0) -> None:
    """Until a run has written that many checkpoints; each of them is soon removed for newer ones."""
    end = time.monotonic() + timeout
    while max((int(path.stem) for path in run_dir.glob("checkpoints/[0-9]*.safetensors")), default=0) < number:
        assert time.monotonic() < end, f"no checkpoint {number} comes into {run_dir}"
        time.sleep(0.005)


def assert_sound(run_dir: Path) -> None:
    """No file of a run folder is half-written, and no row is there twice."""
    for path in run_dir.rglob("*"):
        if path.is_dir() or path.name.startswith("."):
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".yaml":
            assert yaml.safe_load(path.read_text())
        elif path.suffix == ".safetensors":
            safetensors.numpy.load_file(path)
        elif path.suffix == ".jsonl":  # what a kill cut off is the last line
            lines = path.read_text().splitlines(keepends=True)
            assert all(json.loads(line) for line in lines if line.endswith("\n"))
            assert all(line.endswith("\n") for line in lines[:-1])
        elif path.suffix == ".csv":
            assert path.read_bytes().endswith(b"\n")
            pd.read_csv(path)
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>")
        else:
            assert path.parent.name == "plots", f"{path} should not be there"
            assert path.read_bytes()[-20:].rstrip().endswith({".png": b"IEND\xaeB`\x82", ".pdf": b"%%EOF"}[path.suffix])
    loss = run_dir / "loss.csv"
    if loss.exists():
        table = pd.read_csv(loss)
        training = table[table["source"] == "training"]
        for _, path_of_one in training.groupby("member") if "member" in training else [(0, training)]:
            assert path_of_one["time"].is_monotonic_increasing
            assert not path_of_one.duplicated(["time", "step"]).any()


def tables_of(run_dir: Path) -> dict[str, bytes]:
    """The tables of a run, and its parameters, byte for byte."""
    return {name: (run_dir / name).read_bytes()
            for name in (*(f"{table}.csv" for table in TABLES), "parameters.safetensors")}


def _main(arguments: list[str], out: str, err: str, directory: str) -> None:
    import torch

    from agfrun.cli.main import entry_point

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    torch.set_num_threads(1)
    os.chdir(directory)
    sys.stdout, sys.stderr = open(out, "w", buffering=1), open(err, "w", buffering=1)  # noqa: SIM115
    sys.argv = ["agfrun", *arguments]
    entry_point()
