"""Sweeps on real Ray clusters: one that is started for the sweep, and one of two nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from hostile_network import environment
from hostile_sweep import arguments, begun, finished, runs
from ray_nodes import ray_cluster
from slurm_nodes import wait_until

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'agfrun[ray]'")


def start(command: list[str], directory: Path, settings: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, cwd=directory, env=settings, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_cluster_is_started_for_the_sweep(directory: Path) -> None:
    process = start(arguments(directory, "hydra/launcher=ray", "hydra.launcher.local_cpus=2", "seed=0,1",
                              "sweep.batch_size=1"), directory, environment())
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert output.startswith("2 runs: 2 finished, none failed\n")
    assert (runs(directory)["status"] == "converged").all()


def test_a_lost_node_and_a_killed_process_take_only_their_own_jobs_and_resume_does_these(directory: Path) -> None:
    gate = directory / "gate"
    gate.touch()
    with ray_cluster() as (settings, address, nodes):
        sweep = arguments(directory, "hydra/launcher=ray", f"hydra.launcher.address={address}",
                          f"model.waits_for={gate}", "seed=0,1,2,3", "sweep.batch_size=1")
        process = start(sweep, directory, settings)
        stranger = start([*sweep, "hydra.sweep.dir=stolen"], directory, settings | {"RAY_AUTH_TOKEN": "0" * 64})
        wait_until(lambda: begun(directory) == 4 or process.poll() is not None)
        on_head = [place for place in places(directory) if not nodes[1].has(place)]
        assert len(on_head) == 2
        nodes[1].cut_power()
        os.kill(on_head[0], signal.SIGKILL)
        gate.unlink()
        output, errors = process.communicate(timeout=600)
        assert process.returncode == 1, errors
        assert output.startswith("4 runs: 1 finished, 3 failed\n")
        failed = runs(directory).query("status == 'failed'")["reason"]
        assert failed.str.fullmatch(r"its node \S+ was lost").sum() == 2, failed.tolist()
        assert failed.str.fullmatch(rf"its process {on_head[0]} on \S+ was killed, .*").sum() == 1
        before = finished(directory)

        _, errors = stranger.communicate(timeout=600)
        assert stranger.returncode == 2, errors
        assert f"no Ray cluster at hydra.launcher.address={address}" in errors.splitlines()[-1]

        again = start([*sweep, "sweep.resume=sweep"], directory, settings)
        output, errors = again.communicate(timeout=600)
        assert again.returncode == 0, errors
        assert "4 runs: 4 finished, none failed" in output
        assert before.items() <= finished(directory).items()


def places(directory: Path) -> list[int]:
    """Numbers of the processes that work."""
    files = (directory / "sweep" / ".sweep" / "ray").glob("*.json")
    return [json.loads(path.read_text())["process"] for path in files]
