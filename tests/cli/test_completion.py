"""What a shell offers at the Tab key, and that nothing else ever comes into the line that is being typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra._internal.core_plugins.bash_completion import BashCompletion

from agfrun.cli.completion import LINE, offered
from agfrun.configuration import composing

OFFERED = {
    "agfrun re": {"report", "rerun", "resume", "report="},
    "agfrun cl": {"claims"},
    "agfrun model=q": {"model=quadratic_form", "model=quadratic_modadd"},
    "agfrun model=diagonal_linear init.sc": {"init.scale="},
    "agfrun half-a-word model=q": {"model=quadratic_form", "model=quadratic_modadd"},
    "agfrun -m model=q": {"model=quadratic_form", "model=quadratic_modadd"},
    "agfrun claims model=q": {"model=quadratic_form", "model=quadratic_modadd"},
    "agfrun experiment=paper/at": {"experiment=paper/attention"},
    "agfrun seed=1 --config-": {"--config-dir"},
    "agfrun --he": {"--help"},
    "agfrun plot out": set(),  # names of files
    "agfrun no such": set(),
    "agfrun model=none": set(),
    "agfrun model=none init.": set(),
    "agfrun 'half a quo": set(),
}


@pytest.mark.parametrize("line", OFFERED)
def test_what_is_offered(line: str) -> None:
    with composing.behaving():
        found = offered(line, BashCompletion(composing.loader(())))
    assert set(found) == OFFERED[line]


def test_a_new_word_may_be_any() -> None:
    with composing.behaving():
        found = set(offered("agfrun ", BashCompletion(composing.loader(()))))
    assert {"claims", "plot", "model=", "seed=", "train."} <= found


@pytest.mark.parametrize("line", ["agfrun half", "agfrun model=none seed", "agfrun sweep.resume=x model=", "agfrun"])
def test_the_prompt_stays_clean(line: str, tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-m", "agfrun", "-sc", "query=bash"], cwd=tmp_path, text=True,
                           env=os.environ | {LINE: line}, capture_output=True, timeout=600)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "rror" not in ended.stdout
    assert list(tmp_path.iterdir()) == []
