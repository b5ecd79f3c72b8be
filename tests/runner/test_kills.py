"""Series of steps that are killed at random moments end, once resumed, with the bytes of undisturbed ones.

A single training is killed in tests/reliability/test_resume.py.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from outside_laboratory import WALKS
from processes import Command, assert_sound, run

WALK = [*WALKS, "study=walk", "length=150", "study.seconds=0.01", "plots=false", "report=false"]
# Several trainings in a row, each remembered.
WIDTH = ["study=width", "model=quadratic_modadd", "study.widths=[3,4,5,6]", "study.seeds=2",
        "data.p=5", "data.frequencies=[1,2]",
         "data.amplitudes=[4,2]", "agf.max_events=2", "train.horizon=100", "train.tolerance=1e-7", "plots=false",
         "report=false", "device=cpu"]
SERIES = {"walk": WALK, "width": WIDTH}


def numbers_of(run_dir: Path) -> dict[str, object]:
    """Tables and arrays byte for byte, but for how long things took."""
    found: dict[str, object] = {}
    for path in sorted([*run_dir.glob("*.csv"), *run_dir.glob("*.safetensors")]):
        if path.suffix == ".csv" and "seconds" in (table := pd.read_csv(path, dtype=str)):
            found[path.name] = table.drop(columns="seconds").to_csv()
        else:
            found[path.name] = path.read_bytes()
    return found


def killed_at_random(name: str, folder: Path, kills: int, seed: int, seconds: float) -> tuple[Path, int]:
    """Kill a run and its resumptions at random moments, then let it come to its end; its folder and the kills."""
    run_dir, moments, killed = folder / "run", random.Random(seed), 0
    begin = [*SERIES[name], f"hydra.run.dir={run_dir}", *([f"study.log={folder}/log"] if name == "walk" else [])]
    imports = SERIES[name][:2] if name == "walk" else []
    while killed < kills:
        arguments = [*imports, "resume", str(run_dir)] if (run_dir / "config.yaml").exists() else begin
        command = Command(arguments, folder)
        command.process.join(moments.uniform(0.0, seconds))
        command.kill()
        ended = command.ended()
        assert ended.status in (0, -signal.SIGKILL), ended.errors
        assert_sound(run_dir)
        if ended.status == 0:
            break
        killed += 1
    ended = run([*imports, "resume", str(run_dir)] if (run_dir / "config.yaml").exists() else begin, folder)
    assert ended.status == 0, ended.errors
    assert "Traceback" not in ended.errors
    return run_dir, killed


@pytest.mark.slow
@pytest.mark.parametrize("name", SERIES)
def test_a_series_of_steps_killed_again_and_again_is_done_to_the_bit(name: str, tmp_path: Path) -> None:
    started = time.monotonic()
    ended = run([*SERIES[name], f"hydra.run.dir={tmp_path}/whole"], tmp_path)
    assert ended.status == 0, ended.errors
    seconds, killed = time.monotonic() - started, 0
    for seed in range(5):
        run_dir, count = killed_at_random(name, tmp_path / str(seed), 4, seed, 0.6 * seconds)
        killed += count
        whole = numbers_of(tmp_path / "whole")
        assert len(whole) >= 3
        assert numbers_of(run_dir) == whole
        assert not (run_dir / "checkpoints").exists()
        assert not [path for path in run_dir.rglob(".*") if path.name.endswith((".tmp", "lock"))]
        if name == "walk":  # each kill may have cost the step that was under way
            done = Counter((tmp_path / str(seed) / "log").read_text().split())
            assert set(done) == set(map(str, range(150)))
            assert sum(done.values()) <= 150 + count
    assert killed >= 8
