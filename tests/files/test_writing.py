from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors
import safetensors.numpy

from agfrun import OutputError
from agfrun.files.writing import write_csv, write_json, write_safetensors, write_text


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "note.txt", "‖θ‖ → 1\n")
    assert (tmp_path / "note.txt").read_bytes() == "‖θ‖ → 1\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_what_is_no_character_is_a_question_mark(tmp_path: Path) -> None:
    """An argument of a command line that is not UTF-8, or an escape in a damaged file."""
    write_text(tmp_path / "note.txt", "half \ud800 a pair \udc80")
    assert (tmp_path / "note.txt").read_text("utf-8") == "half ? a pair ?"
    write_json(tmp_path / "note.json", {"command": ["\udcff"]})
    assert json.loads((tmp_path / "note.json").read_text("utf-8")) == {"command": ["?"]}


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "loss.csv"
    write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OutputError, match=r"^cannot write .*loss\.csv: No space left on device$"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_interruption_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "loss.csv"
    write_text(path, "old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory") as caught:
        write_text(tmp_path / "absent" / "loss.csv", "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_mode_follows_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    previous = os.umask(umask)
    try:
        write_text(tmp_path / "a", "")
    finally:
        os.umask(previous)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_json_is_strict_and_plain(tmp_path: Path) -> None:
    values = {
        "nan": float("nan"),
        "infinities": [np.inf, -np.float64("inf")],
        "array": np.array([[1.5, np.nan]]),
        "scalars": (np.int64(3), np.bool_(True), np.float32(0.5)),
        "path": Path("a") / "b",
        "text": "β",
        4: None,
    }
    write_json(tmp_path / "done.json", values)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads((tmp_path / "done.json").read_text(), parse_constant=refuse) == {
        "nan": None,
        "infinities": [None, None],
        "array": [[1.5, None]],
        "scalars": [3, True, 0.5],
        "path": "a/b",
        "text": "β",
        "4": None,
    }


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "done.json", {"status": "old"})
    with pytest.raises(TypeError):
        write_json(tmp_path / "done.json", {"status": object()})
    assert json.loads((tmp_path / "done.json").read_text()) == {"status": "old"}


def test_csv_has_the_shortest_decimals_and_empty_cells(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.1, 1 / 3, np.nan, 1e-300], "n": pd.array([1, None, 3, 4], dtype="Int64")})
    write_csv(tmp_path / "x.csv", frame)
    assert (tmp_path / "x.csv").read_text() == "x,n\n0.1,1\n0.3333333333333333,\n,3\n1e-300,4\n"


def test_arrays_come_back_even_when_they_are_views(tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4)
    path = tmp_path / "parameters.safetensors"
    write_safetensors(path, {"transposed": array.T, "strided": array[:, ::2]}, {"model": "diagonal_linear"})
    loaded = safetensors.numpy.load_file(path)
    np.testing.assert_array_equal(loaded["transposed"], array.T)
    np.testing.assert_array_equal(loaded["strided"], array[:, ::2])
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"model": "diagonal_linear"}
