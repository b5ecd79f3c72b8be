from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agfrun import ConfigError, Samples
from agfrun.labs.staircases.networks.two_layer.samples_file import SamplesFileConfig

INPUTS = np.array([[1.0, 2.0], [3.0, 4.5], [-1e-3, 0.0]])
TARGETS = np.array([[1.0], [0.0], [2.0]])


def read(path: Path | str | None, target_columns: list[str] | None = None) -> Samples:
    config = SamplesFileConfig(path=None if path is None else str(path), target_columns=target_columns)
    config.check()
    return config.build(torch.float64, torch.device("cpu"))


def refused(message: str, path: Path | str | None, target_columns: list[str] | None = None) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(path, target_columns)
    assert "\n" not in str(caught.value)


def npz(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def written(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("targets", [TARGETS, TARGETS[:, 0], TARGETS.astype(np.float32), TARGETS.astype(np.int64),
                                     TARGETS[:, [0, 0]]])
def test_npz(targets: np.ndarray, tmp_path: Path) -> None:
    data = read(npz(tmp_path, inputs=INPUTS, targets=targets))
    np.testing.assert_array_equal(data.inputs.numpy(), INPUTS)
    np.testing.assert_array_equal(data.targets.numpy(), np.atleast_2d(targets.T).T)
    assert data.output_names == tuple(str(i + 1) for i in range(data.targets.shape[1]))


def test_csv_takes_the_last_column_or_the_named_ones(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffa, b,y\n1,2,1\n\n3,4.5,0\n-1e-3,0,2\n")
    data = read(path)
    np.testing.assert_array_equal(data.inputs.numpy(), INPUTS)
    np.testing.assert_array_equal(data.targets.numpy(), TARGETS)
    assert data.output_names == ("y",)
    data = read(path, ["y", "a"])
    np.testing.assert_array_equal(data.inputs.numpy(), INPUTS[:, 1:])
    np.testing.assert_array_equal(data.targets.numpy(), np.column_stack([TARGETS, INPUTS[:, 0]]))
    assert data.output_names == ("y", "a")


def test_paths_are_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npz(tmp_path, inputs=INPUTS, targets=TARGETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(read("data.npz").inputs) == len(read("~/data.npz").inputs) == 3


@pytest.mark.parametrize("path", [None, "data.txt", "data", ""])
def test_other_kinds_of_file_are_refused(path: str | None) -> None:
    refused(r"data\.path=.* a file that ends in \.npz or \.csv", path)


@pytest.mark.parametrize("name", ["data.npz", "data.csv"])
def test_a_missing_file(name: str, tmp_path: Path) -> None:
    refused("cannot be read: No such file or directory", tmp_path / name)
    (tmp_path / name).mkdir()
    refused("cannot be read: Is a directory", tmp_path / name)


BAD_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "no targets": ({"inputs": INPUTS, "y": TARGETS}, "with the arrays inputs and targets, not inputs, y"),
    "objects": ({"inputs": INPUTS.astype(object), "targets": TARGETS}, "cannot be read: it holds pickled objects"),
    "text": ({"inputs": INPUTS, "targets": np.array(["a", "b", "c"])}, "targets are real numbers, not <U1"),
    "complex": ({"inputs": INPUTS * 1j, "targets": TARGETS}, "inputs are real numbers, not complex128"),
    "NaN": ({"inputs": np.where(INPUTS == 4.5, np.nan, INPUTS), "targets": TARGETS}, r"inputs\[1, 1\] is nan"),
    "infinity": ({"inputs": INPUTS, "targets": np.full((3, 1), np.inf)}, r"targets\[0, 0\] is inf"),
    "other length": ({"inputs": INPUTS, "targets": TARGETS[:2]}, "as many targets as inputs, not 2 and 3"),
    "three dimensions": ({"inputs": INPUTS[None], "targets": TARGETS}, r"not shape \(1, 3, 2\)"),
    "a scalar": ({"inputs": INPUTS, "targets": np.float64(1)}, r"not shape \(\)"),
    "nothing": ({"inputs": INPUTS[:0], "targets": TARGETS[:0]}, r"not shape \(0, 2\)"),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_refused(name: str, tmp_path: Path) -> None:
    arrays, message = BAD_ARRAYS[name]
    refused(message, npz(tmp_path, **arrays))


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    refused("cannot be read", written(tmp_path, "not a zip file", "text.npz"))
    refused("cannot be read", written(tmp_path, "", "empty.npz"))
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, INPUTS)
    refused("an archive of arrays", tmp_path / "array.npz")
    whole = npz(tmp_path, inputs=INPUTS, targets=TARGETS).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    refused("cannot be read", tmp_path / "cut.npz")


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (tmp_path / "executed",)

    path = tmp_path / "data.npz"
    np.savez(path, inputs=np.array([Malicious()], dtype=object), targets=TARGETS)
    refused("cannot be read", path)
    assert not (tmp_path / "executed").exists()


BAD_TEXTS = {
    "empty": ("", "first line names at least two columns"),
    "one column": ("y\n1\n", "at least two columns"),
    "no names": ("1,2\n3,4\n", "first line names at least two columns"),
    "a name missing": ("a,,y\n1,2,3\n", "first line names"),
    "a name twice": ("a,a\n1,2\n", "names each column once"),
    "no samples": ("a,y\n", "at least one sample"),
    "short row": ("a,b,y\n1,2,3\n1,2\n", "3 cells in every row; sample 2 has 2"),
    "long row": ("a,y\n1,2,3\n", "2 cells in every row; sample 1 has 3"),
    "text": ("a,y\n1,2\n1,high\n", "sample 2 has 'high' in column y"),
    "empty cell": ("a,y\n,2\n", "sample 1 has '' in column a"),
    "NaN": ("a,y\n1,nan\n", "sample 1 has 'nan' in column y"),
    "infinity": ("a,y\n1,inf\n", "sample 1 has 'inf' in column y"),
    "open quote": ('a,y\n1,"2\n', "cannot be read"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_texts_that_are_refused(name: str, tmp_path: Path) -> None:
    text, message = BAD_TEXTS[name]
    refused(message, written(tmp_path, text))


def test_a_text_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    refused("cannot be read: .*utf-8", tmp_path / "data.csv")


def test_target_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "length,width,price\n1,2,3\n")
    refused(r'data\.target_columns=\["prize"\] .*no column prize; did you mean price\?', path, ["prize"])
    refused("names of columns, each once", path, ["price", "price"])
    refused("names of columns, each once", path, [])
    refused("none is left as an input", path, ["length", "width", "price"])
    refused(r"null unless data\.path ends in \.csv", npz(tmp_path, inputs=INPUTS, targets=TARGETS), ["price"])
