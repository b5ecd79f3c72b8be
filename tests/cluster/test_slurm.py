"""Sweeps on a real Slurm of two nodes, without accounting."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_network import environment
from hostile_sweep import arguments, begun, finished, runs
from slurm_nodes import Cluster, Unavailable, slurm_cluster, wait_until

pytestmark = pytest.mark.slow
SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=0.9", "hydra.launcher.poll_s=2")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'agfrun[slurm]'")
    try:
        with slurm_cluster(environment()) as found:
            yield found
    except Unavailable as missing:
        pytest.skip(str(missing))


def jobs(cluster: Cluster, node: str) -> int:
    return len(cluster.tell("squeue", "--noheader", "--states=R", f"--nodelist={node}").splitlines())


def test_a_killed_job_fails_alone(cluster: Cluster, directory: Path) -> None:
    status, output, errors = cluster.run(
        arguments(directory, *SLURM, "model.deed='',die", "seed=0,1,2", "sweep.batch_size=2"), cwd=directory)
    assert status == 1, errors
    assert "6 runs: 3 finished, 3 failed" in output
    table = runs(directory)
    died = table["model.deed"] == "die"
    assert (table["status"] == "failed").tolist() == died.tolist()
    reason = r"its process was killed by signal 9 .*\(Slurm job \d+(_\d)?\)"
    assert table.loc[died, "reason"].str.fullmatch(reason).all()
    assert cluster.tell("squeue", "--noheader", "--states=PD,R") == ""
    assert not list((directory / "sweep" / ".sweep" / "submitit").glob("*_submitted.pkl"))


def test_a_lost_node_takes_only_its_own_jobs_and_resume_does_these(cluster: Cluster, directory: Path) -> None:
    gate = directory / "gate"
    gate.touch()
    sweep = arguments(directory, *SLURM, f"model.waits_for={gate}", "seed=0,1,2,3", "sweep.batch_size=1")
    process = cluster.start(sweep, cwd=directory)
    wait_until(lambda: begun(directory) == 4)
    assert jobs(cluster, "n1") == jobs(cluster, "n2") == 2
    cluster.cut_power("n1")
    gate.unlink()
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 1, errors
    table = runs(directory)
    lost = table["status"] == "failed"
    assert lost.sum() == 2
    assert table.loc[lost, "reason"].str.fullmatch(r"its node n1 was lost \(Slurm job \d+_\d\)").all()
    before = finished(directory)
    assert len(before) == 2

    status, output, errors = cluster.run([*sweep, "sweep.resume=sweep"], cwd=directory)
    assert status == 0, errors
    assert "4 runs: 4 finished, none failed" in output
    assert (runs(directory)["status"] == "converged").all()
    assert before.items() <= finished(directory).items()


@pytest.mark.parametrize("requeue", [True, False])
def test_a_batch_that_is_to_make_place_is_started_anew_where_that_is_wanted(
        requeue: bool, cluster: Cluster, directory: Path) -> None:
    gate = directory / "gate"
    gate.touch()
    process = cluster.start(
        arguments(directory, *SLURM, f"hydra.launcher.requeue={str(requeue).lower()}", f"model.waits_for={gate}",
                  "seed=0,1", "sweep.batch_size=2"), cwd=directory)
    wait_until(lambda: begun(directory) == 1)
    cluster.tell("scancel", "--signal=USR2", "1")
    if requeue:
        wait_until(lambda: begun(directory) == 2)
    gate.unlink()
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert output.startswith("2 runs: 2 finished, none failed\n")
    restarts = cluster.tell("scontrol", "show", "job", "1")
    assert f"Restarts={int(requeue)} " in restarts


def test_an_interrupted_sweep_leaves_nothing_in_the_queue(cluster: Cluster, directory: Path) -> None:
    gate = directory / "gate"
    gate.touch()
    process = cluster.start(arguments(directory, *SLURM, f"model.waits_for={gate}", "seed=0,1", "sweep.batch_size=1"),
                            cwd=directory)
    wait_until(lambda: begun(directory) == 2)
    # nsenter waits for its child, which is the one to interrupt.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in children or [str(process.pid)]:
        os.kill(int(pid), signal.SIGINT)
    process.communicate(timeout=600)
    assert process.returncode == 130
    wait_until(lambda: cluster.tell("squeue", "--noheader", "--states=PD,R,CG") == "")
    assert finished(directory) == {}


def test_what_slurm_refuses_is_said_in_one_line(cluster: Cluster, directory: Path) -> None:
    status, _, errors = cluster.run(
        arguments(directory, *SLURM, "seed=0,1", "hydra.launcher.partition=nowhere"), cwd=directory)
    assert status == 2
    assert "invalid partition specified: nowhere" in errors.splitlines()[-1]
    assert "Traceback" not in errors
