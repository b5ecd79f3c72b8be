"""Configuration files of the user's own: what is wrong with one is said of the file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from agfrun import ConfigError, UsageError
from agfrun.configuration.composition import compose
from agfrun.study.config_tree import config_directory

HEADER = "# @package _global_\n"
ANCHORS = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(9))
# Content of an experiment, and what the line says of the file.
WRONG: dict[str, tuple[bytes, str]] = {
    "no package": (b"seed: 3\n", "does not begin with the line # @package _global_"),
    "the package too late": (b"seed: 3\n# @package _global_\n", "does not begin with the line # @package _global_"),
    "a comment above the package": (f"# mine\n{HEADER}seed: 3\n".encode(), "does not begin with the line"),
    "no name of the package": (b"# @package\nseed: 3\n", "does not begin with the line"),
    "a comment alone": (b"# nothing\n", "does not begin with the line # @package _global_"),
    "byte order mark": (b"\xef\xbb\xbf" + f"{HEADER}seed: 3\n".encode(), "begins with a byte order mark"),
    "UTF-16": (f"{HEADER}seed: 3\n".encode("utf-16"), "is not written in UTF-8 but in UTF-16 or the like"),
    "UTF-16 without a mark": (f"{HEADER}seed: 3\n".encode("utf-16-le"), "is not written in UTF-8 but in UTF-16"),
    "UTF-32": (f"{HEADER}seed: 3\n".encode("utf-32"), "is not written in UTF-8 but in UTF-16 or the like"),
    "Latin-1": (f"{HEADER}# für\nseed: 3\n".encode("latin-1"), "is not written in UTF-8: byte 24 is none"),
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "a list": (f"{HEADER}- seed\n".encode(), "holds no KEY: VALUE"),
    "a word": (f"{HEADER}seed\n".encode(), "holds no KEY: VALUE"),
    "no YAML": (f"{HEADER}seed: [\n".encode(), "cannot be read: line 3: "),
    "a tag of Python": (f"{HEADER}seed: !!python/object/apply:os.system [a]\n".encode(), "cannot be read: line 2: "),
    "anchors upon anchors": (f"{HEADER}{ANCHORS}".encode(), "holds more than 100000 values"),
    "an anchor for itself": (f"{HEADER}a: &a [*a]\n".encode(), "holds more than 100000 values"),
    "deep": (f"{HEADER}a: {'[' * 3000}{']' * 3000}\n".encode(), "cannot be read: "),
    "large": (HEADER.encode() + b"#" * 2_000_000, "is larger than 1000 kB"),
}


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def composed(folder: Path, *overrides: str, **options: Any) -> Any:
    return compose(overrides, [str(folder)], **options)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_an_experiment_is_said_of_its_file(name: str, tmp_path: Path) -> None:
    content, told = WRONG[name]
    path = put(tmp_path, "experiment/mine", content)
    with pytest.raises(ConfigError) as caught:
        composed(tmp_path, "experiment=mine")
    assert str(caught.value).startswith(f"experiment=mine is not allowed: {path} {told}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["UTF-16", "byte order mark", "empty", "no YAML"])
def test_and_with_any_other_choice(name: str, tmp_path: Path) -> None:
    path = put(tmp_path, "data/mine", WRONG[name][0])
    with pytest.raises(ConfigError, match=f"^data=mine is not allowed: {path} "):
        composed(tmp_path, "data=mine")


def test_each_of_those_that_a_sweep_runs_over(tmp_path: Path) -> None:
    put(tmp_path, "experiment/good", f"{HEADER}seed: 3\n".encode())
    path = put(tmp_path, "experiment/bad", b"seed: 3\n")
    with pytest.raises(ConfigError, match=f"^experiment=bad is not allowed: {path} "):
        composed(tmp_path, "experiment=good,bad", multirun=True)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    os.mkfifo(tmp_path / "experiment" / "mine.yaml")
    with pytest.raises(ConfigError, match="is no file"):
        composed(tmp_path, "experiment=mine")


@pytest.mark.parametrize("content", [f"{HEADER}seed: 3\n", f"\n{HEADER}# größer\n\nseed: 3\r\n",
                                     "#@package _global_\nseed: 3\n", "# @mine x\n  # @package _global_ \nseed: 3"])
def test_experiments_that_are_right(content: str, tmp_path: Path) -> None:
    put(tmp_path, "experiment/mine", content.encode())
    assert composed(tmp_path, "experiment=mine").value("seed") == 3


@pytest.mark.parametrize("choice", ["x" * 300, "a\0b", "/", "."])
def test_a_choice_that_is_no_name_of_a_file_is_an_unknown_choice(choice: str, tmp_path: Path) -> None:
    put(tmp_path, "experiment/mine", f"{HEADER}seed: 3\n".encode())
    with pytest.raises(UsageError) as caught:
        composed(tmp_path, f"experiment={choice}")
    assert "run folder" not in str(caught.value)


def test_a_package_may_be_said_on_the_command_line(tmp_path: Path) -> None:
    put(tmp_path, "experiment/mine", b"seed: 3\n")
    assert composed(tmp_path, "+experiment@_global_=mine").value("seed") == 3


@pytest.mark.parametrize("name", ["experiment/diagonal_5d", "model/diagonal_linear", "hydra/launcher/local",
                                  "init/gaussian"])
def test_a_file_with_the_name_of_a_shipped_one_is_told(name: str, tmp_path: Path) -> None:
    shipped = config_directory() / f"{name}.yaml"
    path = put(tmp_path, name, shipped.read_bytes() + b"# mine\n")
    group, _, choice = name.rpartition("/")
    with pytest.raises(ConfigError) as caught:
        composed(tmp_path, "experiment=diagonal_5d", "init=gaussian")
    assert str(caught.value).startswith(f"{group}={choice} is not allowed: {path} has the name of {shipped}")


def test_be_it_chosen_by_another_file(tmp_path: Path) -> None:
    put(tmp_path, "experiment/mine", f"{HEADER}defaults: [diagonal_5d, _self_]\nseed: 3\n".encode())
    put(tmp_path, "experiment/diagonal_5d", f"{HEADER}seed: 4\n".encode())
    with pytest.raises(ConfigError, match=r"^experiment=diagonal_5d is not allowed"):
        composed(tmp_path, "experiment=mine")


def test_a_copy_of_the_shipped_tree_is_as_good_as_the_tree(tmp_path: Path) -> None:
    shutil.copytree(config_directory(), tmp_path / "mine")
    put(tmp_path / "mine", "experiment/mine", f"{HEADER}seed: 3\n".encode())
    put(tmp_path / "mine", "config", b"seed: 5\n")  # of a run, say: never taken for the program's own
    assert composed(tmp_path / "mine", "experiment=mine", "model=relu").value("seed") == 3


def test_of_two_folders_as_well(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / name, "experiment/mine", f"{HEADER}seed: 3 # {name}\n".encode())
    with pytest.raises(ConfigError, match="has the name of"):
        compose(["experiment=mine"], [str(tmp_path / "a"), str(tmp_path / "b")])


def test_a_file_that_lies_beside_the_folder_of_its_group_is_found_out(tmp_path: Path) -> None:
    path = put(tmp_path, "mine/experiment/x", f"{HEADER}seed: 3\n".encode())
    with pytest.raises(ConfigError, match=f"{path} is not in a folder experiment of the one that --config-dir names; "
                                          f"pass --config-dir {tmp_path / 'mine'}$"):
        composed(path.parent, "experiment=x")
    with pytest.raises(ConfigError, match=f"; put it into {path.parent / 'data'}$"):
        composed(path.parent, "data=x")
    assert composed(tmp_path / "mine", "experiment=x").run.seed == 3
