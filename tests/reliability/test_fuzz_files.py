"""Damaged data files, and damaged files of finished runs: a result, or exit status 2 and one clear line.

FUZZ=0 draws more of it, FUZZ=N as much other damage: `FUZZ=1 pytest -m slow tests/reliability/test_fuzz_files.py`.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from damage import damaged, write_data
from fuzzing import ALWAYS, complaint
from processes import run
from tiny_runs import modadd_config

from agfrun import run as run_once

FIRST = 10_000 * int(os.environ.get("FUZZ", "0"))
BATCH, FAST_BATCHES = 12, 1
BATCHES = {"data": 58, "saved": 42} if "FUZZ" in os.environ else {"data": 4, "saved": 4}
COMMANDS = ("plot", "report", "resume", "rerun", "collect")


def batches(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("batch", [batch if batch < FAST_BATCHES else
                                             pytest.param(batch, marks=pytest.mark.slow)
                                             for batch in range(BATCHES[kind])])


def numbers(batch: int) -> range:
    return range(FIRST + batch * BATCH, FIRST + (batch + 1) * BATCH)


def damage(path: Path, draw: random.Random) -> bytes:
    """Damage a file, and give its new contents."""
    content = damaged(path.read_bytes(), path.suffix, draw)
    path.write_bytes(content)
    return content


def test_the_data_are_right_before(tmp_path: Path) -> None:
    for name, words in write_data(tmp_path).items():
        ended = run([*words, *ALWAYS, f"hydra.run.dir={tmp_path}/{name}.run"], tmp_path)
        assert ended.status == 0, ended.errors


@batches("data")
def test_any_data_file_ends_with_a_result_or_one_line(batch: int, tmp_path: Path) -> None:
    complaints = []
    for number in numbers(batch):
        draw, folder = random.Random(f"data {number}"), tmp_path / str(number)
        folder.mkdir()
        commands = write_data(folder)
        name = draw.choice(list(commands))
        content = damage(folder / name, draw)
        if found := complaint([*commands[name], *ALWAYS], folder / "run"):
            complaints.append(f"{number}: {name} {content[:300]!r}\n{found}")
        shutil.rmtree(folder)
    assert not complaints, "\n\n".join(complaints)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    run_once(modadd_config(), output_dir=folder)
    return folder


@batches("saved")
def test_any_file_of_a_finished_run_ends_with_a_result_or_one_line(batch: int, finished: Path, tmp_path: Path) -> None:
    complaints = []
    for number in numbers(batch):
        draw, folder = random.Random(f"saved {number}"), tmp_path / str(number)
        shutil.copytree(finished, folder / "run")
        path = draw.choice(sorted(file for file in (folder / "run").iterdir() if file.suffix != ".html"))
        content, command = damage(path, draw), draw.choice(COMMANDS)
        if found := complaint([command, str(folder / "run")], folder / "ended", may_differ=command == "rerun"):
            complaints.append(f"{number}: {command} {path.name} {content[:300]!r}\n{found}")
        shutil.rmtree(folder)
    assert not complaints, "\n\n".join(complaints)
