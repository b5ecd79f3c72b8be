from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from agfrun.configuration.hydra_folders import first_given, remove_empty, remove_empty_sweep, run_name
from agfrun.files.folders import LONGEST_NAME, folder_name


def test_a_short_name_is_kept() -> None:
    assert folder_name("data.frequencies=[1,3],init.scale=1e-4") == "data.frequencies=[1,3],init.scale=1e-4"


def test_the_first_value_that_is_given() -> None:
    assert first_given(None, "there", "elsewhere") == "there"
    assert first_given(None, None) is None


@pytest.mark.parametrize(("values", "name"), [
    ({"model": {"name": "relu"}, "study": {"name": "compare"}}, "relu"), ({"study": {"name": "claims"}}, "claims"),
    ({"model": None, "study": {"name": "width"}}, "width"), ({"model": {"width": 3}, "study": {"name": "x"}}, "x"),
    ({}, "run"),
    ({"model": {"name": "relu"}, "study": {"name": "plateaus", "run": "outputs/other"}}, "plateaus"),
    ({"model": {"name": "relu"}, "study": {"name": "plateaus", "run": None}}, "relu")])
def test_a_folder_is_called_by_the_model_or_else_by_the_study(values: dict[str, Any], name: str) -> None:
    assert run_name(_root_=OmegaConf.create(values)) == name


def test_no_overrides_have_a_name() -> None:
    assert folder_name("") == "default"


@pytest.mark.parametrize("start", ["seed=1,", "a/b=1,", "../../x="])
def test_other_names_are_safe_short_and_distinct(start: str) -> None:
    names = [folder_name(start + "x" * LONGEST_NAME + end) for end in ("1", "2")]
    assert len(set(names)) == 2
    for name in names:
        assert len(name) <= LONGEST_NAME
        assert Path(name).name == name


def test_names_that_differ_only_in_unsafe_characters_stay_distinct() -> None:
    assert len({folder_name("a=b/c"), folder_name("a=b c"), folder_name("a=b-c")}) == 3


def test_empty_folders_go_up_to_the_one_that_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "model" / "run"
    folder.mkdir(parents=True)
    remove_empty(folder, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_that_was_there_stays(tmp_path: Path) -> None:
    remove_empty(tmp_path, tmp_path)
    assert tmp_path.is_dir()


def test_folders_with_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "run"
    folder.mkdir(parents=True)
    (tmp_path / "outputs" / "other").touch()
    remove_empty(folder, tmp_path)
    assert not folder.exists()
    assert (tmp_path / "outputs" / "other").exists()


def test_a_sweep_in_which_nothing_ran_leaves_nothing(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    (sweep / "seed=1").mkdir(parents=True)
    (sweep / "multirun.yaml").touch()
    remove_empty_sweep(sweep, tmp_path, "multirun.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_keeps_what_ran(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    for name in ("seed=1", "seed=2"):
        (sweep / name).mkdir(parents=True)
    (sweep / "seed=2" / "loss.csv").touch()
    (sweep / "multirun.yaml").touch()
    remove_empty_sweep(sweep, tmp_path, "multirun.yaml")
    assert sorted(path.name for path in sweep.iterdir()) == ["multirun.yaml", "seed=2"]


def test_a_sweep_folder_that_was_there_keeps_its_record(tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").touch()
    remove_empty_sweep(tmp_path, tmp_path, "multirun.yaml")
    assert (tmp_path / "multirun.yaml").exists()
