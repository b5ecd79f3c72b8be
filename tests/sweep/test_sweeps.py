"""Whole sweeps, as a user starts them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
from hostile_network import environment, write_hostile
from sweeps import SMALL, command, runs, start

from agfrun.files.sweep_folder import SweepFolder
from agfrun.report.saved_sweep import read_sweeps


@pytest.fixture
def hostile(tmp_path: Path) -> list[str]:
    """Arguments that bring in a network from outside, which the processes of the sweep have to find too."""
    write_hostile(tmp_path)
    return ["--import", str(tmp_path / "hostile.py"), "--config-dir", "mine", "-m", "model=hostile",
            "data=rotated_regression", "init=gaussian", "plots=false", "hydra.sweep.dir=sweep"]


def wait_until(condition: Callable[[], bool], seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def finished(sweep: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in sweep.glob("*/done.json")}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("swept")
    return folder, start(["-m", *SMALL, "init.scale=1e-2,1e-4,2", "seed=range(0,2)", "hydra.sweep.dir=sweep"], folder)


def test_a_sweep_is_gathered_into_tidy_tables(swept: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    sweep = swept[0] / "sweep"
    table = runs(sweep)
    assert len(table) == 6
    assert table["status"].value_counts().to_dict() == {"converged": 4, "failed": 2}
    assert table["init.scale"].tolist() == [1e-2, 1e-2, 1e-4, 1e-4, 2, 2]
    assert table["seed"].tolist() == [0, 1] * 3
    for name in ("events", "comparison", "claims", "loss"):
        stacked = pd.read_csv(sweep / f"{name}.csv", dtype=str)  # to the last digit as it is written
        assert list(stacked.columns[:3]) == ["run", "init.scale", "seed"]
        for run, rows in stacked.groupby("run"):
            own = pd.read_csv(sweep / str(run) / f"{name}.csv", dtype=str)
            assert len(rows) == len(own)
            assert rows[own.columns].reset_index(drop=True).equals(own)
            assert rows["seed"].nunique() == 1


def test_a_sweep_says_what_became_of_it(swept: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    done = swept[1]
    assert done.returncode == 2
    (sweep,) = read_sweeps(swept[0] / "sweep")
    told = sweep.study.sweep_text(sweep.runs)
    assert re.match(r"acquisitions in the predicted order: [0-4] of 4 runs", told)
    assert done.stdout == f"6 runs: 4 finished, 2 failed\n{told}\nwritten to {swept[0] / 'sweep'}\n"
    assert done.stderr.count("init.scale=2 is not allowed") == 2
    assert "are done together" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sweep_has_figures_and_a_page(swept: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    sweep = swept[0] / "sweep"
    assert sorted(path.name for path in (sweep / "plots").iterdir()) == [
        f"{name}.{ending}" for name in ("drop_times", "numbers_scale", "staircases") for ending in ("pdf", "png")]
    page = (sweep / "report.html").read_text("utf-8")
    assert "failed: init.scale=2 is not allowed" in page
    assert "2 of 6 runs failed" in page
    # Figures and pages of single runs only where they are asked for.
    assert not list(sweep.glob("*/plots")) + list(sweep.glob("*/report.html"))


def test_a_sweep_is_not_written_over(swept: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    before = finished(swept[0] / "sweep")
    done = start(["-m", *SMALL, "seed=7,8", "hydra.sweep.dir=sweep"], swept[0])
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "already holds a sweep; continue it with sweep.resume=" in done.stderr
    assert finished(swept[0] / "sweep") == before


@pytest.mark.parametrize(("arguments", "said"), [
    (["-m", "sweep.resume=nowhere"], "sweep.resume=nowhere is not the folder of a sweep"),
    (["sweep.resume=nowhere"], "sweep.resume=nowhere is not allowed: it continues a sweep; add --multirun"),
    (["-m", "seed=1,2", "hydra.launcher.workers=0"], "hydra.launcher.workers=0 is not allowed: must be an integer"),
    (["-m", "seed=1,2", "sweep.batch_size=0"], "sweep.batch_size=0 is not allowed: must be an integer of at least 1"),
    (["-m", "seed=1,2", "sweep.batch_size=many"], "sweep.batch_size=many is not allowed: must be an integer"),
    (["collect", "nowhere"], "nowhere is not the folder of a sweep"),
])
def test_wrong_ways_to_start_a_sweep(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = start(arguments, tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_jobs_that_die_take_nobody_with_them(tmp_path: Path, hostile: list[str]) -> None:
    deeds = "'',die,'run out of memory',raise"
    done = start([*hostile, f"model.deed={deeds}", "seed=0,1"], tmp_path)
    assert done.returncode == 1, done.stderr
    table = runs(tmp_path / "sweep").fillna({"model.deed": ""})
    reasons = table.set_index(["model.deed", "seed"])["reason"]
    assert table["status"].value_counts().to_dict() == {"failed": 6, "converged": 2}
    for seed in (0, 1):
        assert "killed by signal 9 (SIGKILL" in reasons["die", seed]
        assert reasons["run out of memory", seed] == "MemoryError: no room"
        assert reasons["raise", seed] == "ZeroDivisionError: nothing to divide by"
    assert "tried again one by one" in done.stderr
    (failure, _) = sorted((tmp_path / "sweep").glob("*raise*/failed.json"))
    assert "Traceback" in json.loads(failure.read_text())["traceback"]
    assert "Traceback" not in done.stderr


def test_a_sweep_continues_with_what_is_missing_or_failed(tmp_path: Path, hostile: list[str]) -> None:
    start([*hostile, "seed=0,1", "model.waits_for='',no_such_file"], tmp_path)
    sweep = tmp_path / "sweep"
    victim = next(sweep.glob("*seed=1*"))
    (victim / "done.json").unlink()  # as a killed run leaves it
    before = finished(sweep)
    flags = [word for word in hostile if not word.startswith("hydra.sweep")]
    done = start([*flags, "seed=2,1,0", "model.waits_for='',no_such_file", "sweep.resume=sweep"], tmp_path)
    assert done.returncode == 0, done.stderr
    after = finished(sweep)
    assert {run: after[run] for run in before} == before
    assert len(after) == 6
    assert victim.name in after
    assert len(runs(sweep)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_sweep_leaves_no_process_and_is_continued(tmp_path: Path, hostile: list[str],
                                                                 kind: signal.Signals) -> None:
    (tmp_path / "gate").touch()
    arguments = [*hostile, "seed=0,1", "model.waits_for='',gate", "sweep.together=false", "hydra.launcher.workers=2"]
    process = subprocess.Popen(command(arguments), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    sweep = tmp_path / "sweep"
    wait_until(lambda: len(finished(sweep)) == 2 and len(list(sweep.glob(".sweep/logs/*.jsonl"))) == 4)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(kind)
    errors = process.communicate(timeout=600)[1]
    wait_until(lambda: not any(child.is_running() and child.status() != "zombie" for child in family))
    assert process.returncode == (-kind if kind == signal.SIGKILL else 128 + kind)
    assert "Traceback" not in errors
    assert ("interrupted; continue with: agfrun --import " in errors) is (kind != signal.SIGKILL)
    assert (f"-m sweep.resume={sweep}" in errors) is (kind != signal.SIGKILL)
    assert len(finished(sweep)) == 2
    (tmp_path / "gate").unlink()
    before = finished(sweep)
    flags = [word for word in hostile if not word.startswith(("hydra.sweep", "model", "data", "init"))]
    done = start([*flags, "sweep.resume=sweep"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert {run: when for run, when in finished(sweep).items() if run in before} == before
    assert runs(sweep)["status"].tolist() == ["converged"] * 4
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.slow
def test_killed_at_any_moment_a_sweep_loses_only_what_is_in_flight(tmp_path: Path) -> None:
    """Kill again and again; each time continue. What was finished stays, and in the end all is there once."""
    arguments = ["-m", *SMALL, "init.scale=1e-2,1e-3", "seed=range(0,6)", "sweep.batch_size=2", "plots=false",
                 "report=false"]
    moments, folder = random.Random(3), tmp_path / "sweep"
    before: dict[str, int] = {}
    for _ in range(8):
        where = ["sweep.resume=sweep"] if SweepFolder(folder).is_sweep else ["hydra.sweep.dir=sweep", "overwrite=true"]
        process = subprocess.Popen(command([*arguments, *where]), cwd=tmp_path, env=environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            process.wait(moments.uniform(1.0, 6.0))
        except subprocess.TimeoutExpired:
            # Some of its processes only, or all of them at once.
            (os.killpg if moments.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
        now = finished(folder)
        if "overwrite=true" not in where:
            assert {run: now.get(run) for run in before} == before
        before = now
    time.sleep(1.0)  # orphans end by themselves
    done = start([*arguments, "sweep.resume=sweep"], tmp_path)
    assert done.returncode == 0, done.stderr
    table = runs(folder)
    assert table["status"].tolist() == ["converged"] * 12
    assert table["config_hash"].nunique() == 12
    for name in ("events", "comparison", "claims", "loss"):
        stacked = pd.read_csv(folder / f"{name}.csv")
        own = {run: len(pd.read_csv(folder / run / f"{name}.csv")) for run in table["run"]}
        assert stacked["run"].value_counts().to_dict() == own


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "multiprocessing", "signal", "agfrun", "torch"])
def test_processes_of_a_sweep_import_nothing_from_the_current_folder(name: str, tmp_path: Path) -> None:
    """Neither a stranger's module that has the name of one of Python's or of ours, nor one's own by accident."""
    (tmp_path / f"{name}.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    # -P: as the console script does it; `python -m` asks for the current folder.
    words = [*SMALL, "seed=0,1", "plots=false", "report=false", "hydra.sweep.dir=sweep"]
    ended = subprocess.run([sys.executable, "-P", "-m", "agfrun", "-m", *words], cwd=tmp_path, env=environment(),
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "ran").exists()
    assert runs(tmp_path / "sweep")["status"].tolist() == ["converged"] * 2


def test_two_sweeps_never_share_a_folder(tmp_path: Path) -> None:
    arguments = ["-m", *SMALL, "seed=0,1", "plots=false", "report=false", "hydra.sweep.dir=sweep"]
    both = [subprocess.Popen(command(arguments), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=600)[1] for process in both]
    statuses = sorted(process.returncode for process in both)
    assert statuses == [0, 2], said
    refused = next(text for text, process in zip(said, both, strict=True) if process.returncode == 2)
    assert "is being written by" in refused or "already holds a sweep" in refused
    assert runs(tmp_path / "sweep")["status"].tolist() == ["converged"] * 2


def test_a_sweep_is_collected_while_it_runs(tmp_path: Path, hostile: list[str]) -> None:
    (tmp_path / "gate").touch()
    arguments = [*hostile, "model.waits_for='',gate", "report=false", "hydra.launcher.workers=2"]
    process = subprocess.Popen(command(arguments), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    sweep = tmp_path / "sweep"
    wait_until(lambda: len(finished(sweep)) == 1)
    done = start(["collect", "sweep", "--formats", "--no-report"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(runs(sweep)["status"]) in (["converged", "missing"], ["converged", "unfinished"])
    (tmp_path / "gate").unlink()
    assert process.wait(600) == 0
    assert runs(sweep)["status"].tolist() == ["converged"] * 2
