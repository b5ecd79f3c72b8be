"""Mutated command lines: whatever is typed ends in a run, or in exit status 2 and one clear line.

FUZZ=0 draws more of them, FUZZ=N as many others: `FUZZ=1 pytest -m slow tests/reliability/test_fuzz_commands.py`.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from fuzzing import ALWAYS, CORRECT, complaint, mutated_command
from processes import run

FIRST = 10_000 * int(os.environ.get("FUZZ", "0"))
BATCH, BATCHES, FAST_BATCHES = 12, 66 if "FUZZ" in os.environ else 5, 1


@pytest.mark.parametrize("words", CORRECT, ids=lambda words: words[0])
def test_what_they_are_made_of_is_right(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = run([*words, *ALWAYS, f"hydra.run.dir={tmp_path}/run", f"hydra.sweep.dir={tmp_path}/run"], tmp_path)
    assert ended.status == 0, ended.errors
    runs = 2 if "ensemble.seeds=2" in words else 1
    assert len(list((tmp_path / "run").rglob("done.json"))) == runs


@pytest.mark.parametrize("batch", [batch if batch < FAST_BATCHES else pytest.param(batch, marks=pytest.mark.slow)
                                   for batch in range(BATCHES)])
def test_any_command_line_ends_with_a_result_or_one_line(batch: int, tmp_path: Path) -> None:
    complaints = []
    for number in range(FIRST + batch * BATCH, FIRST + (batch + 1) * BATCH):
        words = mutated_command(random.Random(f"command {number}"))
        if found := complaint(words, tmp_path / str(number)):
            complaints.append(f"{number}: agfrun {' '.join(map(repr, words))}\n{found}")
        shutil.rmtree(tmp_path / str(number))
    assert not complaints, "\n\n".join(complaints)
