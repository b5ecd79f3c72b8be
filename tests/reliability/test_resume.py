"""Killed, terminated and interrupted runs end, once resumed, with the very bytes of an uninterrupted one."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from processes import DESCENT, FLOW, Command, assert_sound, run, tables_of, wait_for_checkpoint

RUNS = {"descent": DESCENT, "flow": FLOW}


@pytest.fixture(scope="module", params=RUNS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, float]:
    """A run that nobody disturbed: its name, folder and seconds."""
    folder = tmp_path_factory.mktemp(request.param)
    started = time.monotonic()
    ended = run([*RUNS[request.param], f"hydra.run.dir={folder}/run"], folder)
    assert ended.status == 0, ended.errors
    return request.param, folder / "run", time.monotonic() - started


def killed_at_random(whole: tuple[str, Path, float], folder: Path, kills: int, seed: int) -> int:
    """Kill a run and its resumptions at random moments, until it gets to its end; how often it was killed."""
    name, undisturbed, seconds = whole
    moments, run_dir, killed = random.Random(seed), folder / "run", 0
    arguments = [*RUNS[name], f"hydra.run.dir={run_dir}"]
    while killed < kills:
        command = Command(arguments, folder)
        command.process.join(moments.uniform(0.0, 0.5 * seconds))
        command.kill()
        ended = command.ended()
        assert ended.status in (0, -signal.SIGKILL), ended.errors
        assert_sound(run_dir)
        if ended.status == 0:  # it was done before it could be killed
            arguments = ["resume", str(run_dir)]
            break
        killed += 1
        if (run_dir / "config.yaml").exists():
            arguments = ["resume", str(run_dir)]
    ended = run(arguments, folder)
    assert ended.status == 0, ended.errors
    assert "Traceback" not in ended.errors
    assert_sound(run_dir)
    assert tables_of(run_dir) == tables_of(undisturbed)
    assert not (run_dir / "checkpoints").exists()
    assert not [path for path in run_dir.rglob(".*") if path.name.endswith((".tmp", "lock"))]
    return killed


def test_a_killed_run_goes_on_where_it_was(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    assert killed_at_random(whole, tmp_path, 3, seed=1) >= 1


@pytest.mark.slow
def test_a_dozen_kills_lose_nothing(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    killed = 0
    for seed in range(100, 150):
        killed += killed_at_random(whole, tmp_path / str(seed), min(5, 12 - killed), seed)
        if killed == 12:
            return
    raise AssertionError(f"only {killed} of the processes could be killed")


def test_an_ended_run_says_how_to_go_on_and_does(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    name, undisturbed, _ = whole
    number = {"flow": signal.SIGTERM, "descent": signal.SIGINT}[name]
    run_dir = tmp_path / "run"
    command = Command([*RUNS[name], f"hydra.run.dir={run_dir}"], tmp_path)
    wait_for_checkpoint(run_dir, 2)
    command.kill(number)
    ended = command.ended()
    assert ended.status == 128 + number
    assert f"go on with agfrun resume {run_dir}" in ended.errors
    assert "Traceback" not in ended.errors
    assert '"status": "interrupted"' in (run_dir / "done.json").read_text()
    assert_sound(run_dir)
    again = run(["resume", str(run_dir)], tmp_path)
    assert again.status == 0, again.errors
    assert tables_of(run_dir) == tables_of(undisturbed)
    finished = run(["resume", str(run_dir)], tmp_path)
    assert finished.status == 0
    assert "needs no resuming" in finished.output


def test_a_damaged_checkpoint_is_seen_and_the_one_before_used(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    name, undisturbed, _ = whole
    run_dir = tmp_path / "run"
    command = Command([*RUNS[name], f"hydra.run.dir={run_dir}"], tmp_path)
    wait_for_checkpoint(run_dir, 3)
    command.kill()
    command.ended()
    newest = max((run_dir / "checkpoints").glob("*.safetensors"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 4
    newest.write_bytes({"flow": content[:-100], "descent": content}[name])
    ended = run(["resume", str(run_dir)], tmp_path)
    assert ended.status == 0, ended.errors
    assert f"{newest} is damaged" in ended.errors
    assert tables_of(run_dir) == tables_of(undisturbed)


def test_without_any_whole_checkpoint_it_starts_anew(whole: tuple[str, Path, float], tmp_path: Path) -> None:
    name, undisturbed, _ = whole
    run_dir = tmp_path / "run"
    command = Command([*RUNS[name], f"hydra.run.dir={run_dir}"], tmp_path)
    wait_for_checkpoint(run_dir, 1)
    command.kill()
    command.ended()
    for path in (run_dir / "checkpoints").glob("*.safetensors"):
        path.write_bytes(b"")
    assert run(["resume", str(run_dir)], tmp_path).status == 0
    assert tables_of(run_dir) == tables_of(undisturbed)
