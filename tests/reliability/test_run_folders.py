"""What may happen to the folder of a run while it is written: one clear line, and nothing finished is lost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import DESCENT, Command, assert_sound, error_of, run, tables_of, wait_for, wait_for_checkpoint

CLOCK = '''
import datetime
import random
import time

steps = random.Random(0)
real = time.time


def jumping():
    return real() + steps.uniform(-1e8, 1e8)


time.time = jumping
'''


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = run([*DESCENT, f"hydra.run.dir={folder}/run"], folder)
    assert ended.status == 0, ended.errors
    return folder / "run"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a disk can be mounted by root alone")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"0" * 4096)
        except OSError:
            return ballast


@pytest.mark.parametrize("second", [[], ["overwrite=true"], None], ids=["anew", "overwriting", "resuming"])
def test_two_processes_never_write_into_one_folder(
    second: list[str] | None, undisturbed: Path, tmp_path: Path,
) -> None:
    run_dir = tmp_path / "run"
    first = Command([*DESCENT, f"hydra.run.dir={run_dir}"], tmp_path / "first")
    wait_for(run_dir / "config.yaml")
    arguments = ["resume", str(run_dir)] if second is None else [*DESCENT, *second, f"hydra.run.dir={run_dir}"]
    first.kill(signal.SIGSTOP)  # it holds the folder for as long as the second needs
    refused = run(arguments, tmp_path / "second")
    first.kill(signal.SIGCONT)
    assert (f"is being written by process {first.process.pid} on {os.uname().nodename}, since" if second != []
            else "already holds a run") in error_of(refused)
    assert first.ended().status == 0
    assert tables_of(run_dir) == tables_of(undisturbed)


def test_the_lock_of_a_killed_process_is_nobodys(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    command = Command([*DESCENT, f"hydra.run.dir={run_dir}"], tmp_path)
    wait_for(run_dir / "config.yaml")
    command.kill(signal.SIGKILL)
    command.ended()
    assert (run_dir / ".lock").exists()
    assert run([*DESCENT, "overwrite=true", "train.max_steps=10", f"hydra.run.dir={run_dir}"], tmp_path).status == 0
    assert not (run_dir / ".lock").exists()


def test_a_folder_that_vanishes_is_made_anew(undisturbed: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    command = Command([*DESCENT, f"hydra.run.dir={run_dir}"], tmp_path)
    wait_for_checkpoint(run_dir, 2)
    run_dir.rename(tmp_path / "gone")  # at once: a file written while a tree is removed would stop the removal
    ended = command.ended()
    assert ended.status == 0, ended.errors
    assert f"{run_dir} has vanished; it is made anew" in ended.errors
    assert_sound(run_dir)
    assert tables_of(run_dir) == tables_of(undisturbed)


def test_a_disk_that_is_full_at_the_start_is_said_in_a_line(small_disk: Path, tmp_path: Path) -> None:
    fill(small_disk)
    ended = run([*DESCENT, f"hydra.run.dir={small_disk}/run"], tmp_path)
    assert "No space left on device" in error_of(ended)
    assert not (small_disk / "run" / "config.yaml").exists()


def test_a_disk_that_fills_loses_no_more_than_the_time_since_the_last_checkpoint(
    undisturbed: Path, small_disk: Path, tmp_path: Path,
) -> None:
    run_dir = small_disk / "run"
    command = Command([*DESCENT, f"hydra.run.dir={run_dir}"], tmp_path)
    wait_for_checkpoint(run_dir, 2)
    ballast = fill(small_disk)
    ended = command.ended()
    error = error_of(ended)
    assert "No space left on device" in error
    assert f"agfrun resume {run_dir} goes on from where it was" in error
    assert ended.errors.count("no checkpoint was written") == 1
    assert_sound(run_dir)
    ballast.unlink()
    again = run(["resume", str(run_dir)], tmp_path)
    assert again.status == 0, again.errors
    assert tables_of(run_dir) == tables_of(undisturbed)


def test_a_disk_that_is_full_for_a_while_does_no_harm(undisturbed: Path, small_disk: Path, tmp_path: Path) -> None:
    run_dir = small_disk / "run"
    command = Command([*DESCENT, f"hydra.run.dir={run_dir}"], tmp_path)
    wait_for_checkpoint(run_dir, 1)
    ballast = fill(small_disk)
    while "no checkpoint was written" not in command.err.read_text():
        assert command.process.is_alive()
    ballast.unlink()
    ended = command.ended()
    assert ended.status == 0, ended.errors
    assert tables_of(run_dir) == tables_of(undisturbed)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can mount")
def test_a_read_only_folder_is_said_in_a_line(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "run").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert f"{small_disk}/run is not writable" in error_of(run([*DESCENT, f"hydra.run.dir={small_disk}/run"], tmp_path))
    assert "Read-only" in error_of(run([*DESCENT, f"hydra.run.dir={small_disk}/other"], tmp_path))


def test_a_jumping_clock_changes_nothing(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "jumping_clock.py").write_text(CLOCK)
    run_dir = tmp_path / "run"
    command = Command([f"--import={tmp_path}/jumping_clock.py", *DESCENT, f"hydra.run.dir={run_dir}"], tmp_path)
    wait_for_checkpoint(run_dir, 2)
    ended = command.ended()
    assert ended.status == 0, ended.errors
    assert tables_of(run_dir) == tables_of(undisturbed)
