"""Where compiled code is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from agfrun.labs.staircases.compiled.compiler import cache_folder, compiled


@pytest.fixture(autouse=True)
def fresh() -> None:
    cache_folder.cache_clear()


def test_a_folder_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder()
    assert folder is not None
    assert folder.parent == tmp_path / "agfrun" / "compiled"
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("how", ["others may write", "a file is in its place", "nowhere"])
def test_where_it_is_not_safe_nothing_is_kept(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder()
    assert folder is not None
    if how == "others may write":
        folder.chmod(0o777)
    elif how == "a file is in its place":
        folder.rmdir()
        folder.touch()
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    cache_folder.cache_clear()
    assert cache_folder() is None


def test_functions_work_where_nothing_can_be_kept(tmp_path: Path) -> None:
    code = ("from agfrun.labs.staircases.compiled.algebra import step_matrix; import numpy as np; "
            "a = np.eye(2); step_matrix(np.ones((2, 2)), 1.0, a); print(a.sum())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False,
                          env={**os.environ, "XDG_CACHE_HOME": "/dev/null/nowhere"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "-2.0\n", "")


def test_code_is_kept_there_and_other_users_of_numba_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = numba.config.CACHE_DIR
    compiled(_one_more)(1.0)
    folder = cache_folder()
    assert folder is not None
    assert list(folder.rglob("*.nbi"))
    assert before == numba.config.CACHE_DIR


def _one_more(number: float) -> float:
    return number + 1
