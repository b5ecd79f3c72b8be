"""Engines of clusters as far as they go without one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from agfrun import ConfigError, OutputError, UsageError
from agfrun.study.config_tree import config_directory
from agfrun.sweep.engines import slurm, slurm_queue
from agfrun.sweep.engines.ray import RayEngine
from agfrun.sweep.engines.slurm import SlurmEngine
from agfrun.sweep.engines.slurm_watch import Watch
from agfrun.sweep.launchers import engine_of

EARLIER = ("COMPLETED", "RUNNING")


@pytest.mark.parametrize(("choice", "engine"), [
    ("submitit_slurm", SlurmEngine), ("submitit_slurm_gpu", SlurmEngine),
    ("submitit_slurm_preemptible", SlurmEngine), ("ray", RayEngine)])
def test_a_preset_says_every_field_of_its_engine(choice: str, engine: type[Any]) -> None:
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        composed = compose("config", [f"hydra/launcher={choice}"], return_hydra_config=True).hydra.launcher
    given = {key: value for key, value in composed.items() if key != "name"}
    fields = {name for name, field in engine.__dataclass_fields__.items() if field.init}
    assert set(given) == fields
    assert type(engine_of(composed)) is engine
    assert (engine(**given) == engine()) == (choice in ("submitit_slurm", "ray"))


@pytest.mark.parametrize(("engine", "field", "value"), [
    (SlurmEngine, "timeout_min", 0), (SlurmEngine, "cpus_per_task", True), (SlurmEngine, "mem_gb", float("nan")),
    (SlurmEngine, "setup", "module load python"), (SlurmEngine, "max_num_timeout", 2), (SlurmEngine, "poll_s", 0),
    (SlurmEngine, "additional_parameters", ["exclusive"]), (RayEngine, "num_cpus", 0), (RayEngine, "num_gpus", -1),
    (RayEngine, "local_cpus", 0), (RayEngine, "resources", {"tpu": "one"}), (RayEngine, "address", "")])
def test_a_field_that_is_not_allowed_is_named(engine: Callable[..., Any], field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.{field}="):
        engine(**{field: value})


def test_cores_of_a_local_cluster_make_no_sense_beside_an_address() -> None:
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.local_cpus=2"):
        RayEngine(address="10.0.0.1:6379", local_cpus=2)


def test_where_there_is_no_slurm_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs Slurm's commands, but sbatch, srun"):
        SlurmEngine().run(tmp_path, [0], lambda batch, reason: None)


def test_what_ray_says_of_its_cluster_is_not_taken_for_the_sweeps_own_report(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def connect(*_: object, **settings: object) -> None:
        print("(raylet) Raylet is terminated.")
        raise ConnectionError("none there")

    ray = SimpleNamespace(init=connect, is_initialized=lambda: False, shutdown=lambda: None,
                          exceptions=SimpleNamespace(RayError=RuntimeError))
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(UsageError, match=r"no Ray cluster at hydra\.launcher\.address=10\.0\.0\.1:6379: none there"):
        RayEngine(address="10.0.0.1:6379").run(tmp_path, [0], lambda batch, reason: None)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Raylet is terminated" in captured.err


def answering(monkeypatch: pytest.MonkeyPatch, **answers: str | None) -> list[Sequence[str]]:
    """Let Slurm's commands answer so; None is no answer. Returns what they are asked."""
    asked: list[Sequence[str]] = []

    def ask(*command: str) -> str | None:
        asked.append(command)
        return answers.get(command[0], "")

    monkeypatch.setattr(slurm_queue, "_ask", ask)
    return asked


# In the form that squeue and scontrol print; what comes after the reason is the script.
DEATHS = [
    ("7|0|TIMEOUT|n1|TimeLimit|s", "", "it ran into its time limit of 9 minutes (hydra.launcher.timeout_min)"),
    ("7|0|NODE_FAIL|n1|NodeDown|s", "", "its node n1 was lost"),
    ("7|0|OUT_OF_MEMORY|n1|OutOfMemory|s", "",
     "it used more memory than it had asked Slurm for (hydra.launcher.mem_gb)"),
    ("7|0|CANCELLED|n1|None|s", "", "it was cancelled in Slurm"),
    ("7|0|BOOT_FAIL|n1|None|s", "", "Slurm says BOOT_FAIL"),
    ("7|0|FAILED|n1|NonZeroExitCode|s", "JobId=9 ArrayJobId=7 ArrayTaskId=0 JobState=FAILED ExitCode=139:0 NodeList=n1",
     "its process was killed by signal 11 (SIGSEGV)"),
    ("7|0|FAILED|n1|RaisedSignal:9(Killed)|s", "JobId=9 ArrayJobId=7 ArrayTaskId=0 ExitCode=0:9",
     "its process was killed by signal 9 (SIGKILL, as the system does when memory runs out)"),
    ("7|0|FAILED|n1|NonZeroExitCode|s", "JobId=9 ArrayJobId=7 ArrayTaskId=0 ExitCode=1:0",
     "its process ended with status 1: ModuleNotFoundError: No module named 'agfrun'"),
]


@pytest.mark.parametrize(("squeue", "scontrol", "reason"), DEATHS)
def test_why_a_job_died(squeue: str, scontrol: str, reason: str, tmp_path: Path,
                        monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, squeue=squeue + "\n", scontrol=scontrol + "\n")
    (tmp_path / "7_0_0_log.out").write_text("Traceback (most recent call last):\n"
                                            "ModuleNotFoundError: No module named 'agfrun'\n"
                                            "srun: error: n1: task 0: Exited with exit code 1\n")
    watch = Watch(tmp_path, tmp_path, poll_s=1, patience_s=1, timeout_min=9)
    watch.batches["7_0"] = 3
    assert list(watch.over()) == [(3, f"{reason} (Slurm job 7_0)")]
    assert not watch.batches


def test_a_job_that_the_queue_has_forgotten_is_looked_up_in_the_accounting(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, sacct="7_0|CANCELLED by 1000|n1|0:15\n7_[1-3]|PENDING|None assigned|0:0\n")
    watch = Watch(tmp_path, tmp_path, poll_s=1, patience_s=100, timeout_min=9)
    watch.batches.update({"7_0": 3, "7_1": 4})
    assert list(watch.over()) == [(3, "it was cancelled in Slurm (Slurm job 7_0)")]
    assert watch.batches == {"7_1": 4}


def test_silence_of_slurm_kills_no_job_and_its_patience_has_an_end(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(tmp_path, tmp_path, poll_s=0.01, patience_s=0.2, timeout_min=9)
    watch.batches["7"] = 3
    answering(monkeypatch, squeue=None, sacct=None)
    monkeypatch.setattr(watch, "_poll", 0.01)
    for _ in range(3):
        assert list(watch.over()) == []
        time.sleep(0.1)
    assert capsys.readouterr().err.count("Slurm does not answer") == 1
    answering(monkeypatch, squeue="", sacct=None)
    found: list[tuple[int, str]] = []
    deadline = time.monotonic() + 600
    while not found and time.monotonic() < deadline:
        found = list(watch.over())
        time.sleep(0.02)
    assert found == [(3, "it is gone from Slurm's queue and left no word (Slurm job 7)")]


def test_a_batch_that_came_to_its_end_is_over_whatever_slurm_says(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, squeue="7|0|NODE_FAIL|n1|NodeDown|s\n")
    watch = Watch(tmp_path, tmp_path, poll_s=1, patience_s=1, timeout_min=9)
    watch.batches["7_0"] = 3
    (tmp_path / ".sweep" / "ended").mkdir(parents=True)
    (tmp_path / ".sweep" / "ended" / "000003").touch()
    assert list(watch.over()) == [(3, "")]
    assert not asked


def test_two_launches_do_not_work_on_the_same_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "7_submission.sh").touch()
    lines = [f"7|{index}|{state}|n1|None|{tmp_path}/.submission_file_0.sh"
             for index, state in enumerate(EARLIER)]
    answering(monkeypatch, squeue="\n".join(lines))
    with pytest.raises(OutputError, match="scancel 7`"):
        slurm._refuse_beside_earlier(tmp_path, [])
    slurm._refuse_beside_earlier(tmp_path, ["7"])
    answering(monkeypatch, squeue="\n".join(lines).replace(str(tmp_path), "/elsewhere"))
    slurm._refuse_beside_earlier(tmp_path, [])


def test_the_size_of_arrays_is_the_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, scontrol="Configuration data\nMaxArraySize            = 10001\nMaxJobCount = 5\n")
    assert slurm_queue.max_array_size() == 10000
    answering(monkeypatch, scontrol=None)
    assert slurm_queue.max_array_size() == slurm_queue.USUAL_ARRAY_SIZE
