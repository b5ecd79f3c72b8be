"""Overrides before Hydra reads them: paths at home, texts with any characters, folders of configurations."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from agfrun import ConfigError, UsageError
from agfrun.configuration.composition import compose
from agfrun.configuration.overrides import at_home, parsed, quoted, searched

ODD = "odd (2) ü[=,#'&~ $x \"y\" {a: b} \\ 100% ;"
TEXTS = ["plain", "", "a b", ODD, "a\\", "a\\'", "\\", "'", '"', "(", "a=b", "a,b", "[", "~/x", "null", "${x}", "#"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_can_be_written_as_an_override(text: str) -> None:
    if text != "null":
        assert parsed([f"a={quoted(text)}"])[0].value() == text


@pytest.mark.parametrize(("typed", "meant"), [
    ("data.path=~/x.npz", "HOME/x.npz"), ("data.path=~", "HOME"), ("data.path=~/a b/x (1).npz", "HOME/a b/x (1).npz"),
    ("hydra.run.dir=~/runs/1", "HOME/runs/1")])
def test_a_path_at_home_is_what_a_shell_makes_of_it(typed: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("/home/me", "/home/o'me (2), [x]"):
        monkeypatch.setenv("HOME", home)
        (override,) = parsed(at_home([typed]))
        assert override.value() == meant.replace("HOME", home)


@pytest.mark.parametrize("typed", ["~data", "~data=x", "seed=1", "data.path='~/x'", "a=~nobody_here/x", "a=b~c",
                                   "data.path=x/~/y", "a=[~/x]"])
def test_nothing_else_is_touched(typed: str) -> None:
    assert at_home([typed]) == [typed]


def test_each_path_of_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert at_home(["data.path=~/a.npy,~/b.npy,c.npy"]) == ["data.path=/home/me/a.npy,/home/me/b.npy,c.npy"]


def test_a_configuration_takes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compose(["model=relu", "data=samples_file", "data.path=~/x.npz"]).value("data.path") == f"{tmp_path}/x.npz"


def test_a_text_that_cannot_be_read_is_told_how_to_be_written() -> None:
    for text in ("a~b", "o'b \\ c", 'say "x"'):
        with pytest.raises(UsageError) as caught:
            compose(["tracking=mlflow", f"tracking.experiment={text}"])
        (word,) = shlex.split(str(caught.value).partition("is to leave: ")[2])
        assert compose(["tracking=mlflow", word]).value("tracking.experiment") == text


def test_folders_of_configurations_are_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders, others = searched(["seed=1", "hydra.searchpath=[file://mine,file:///x]"], ["theirs", "/x"])
    assert folders == [str(tmp_path / "theirs"), "/x", str(tmp_path / "mine")]
    assert others == ["seed=1"]


@pytest.mark.parametrize("path", ["pkg://antigravity", "structured://x", "x", "1"])
def test_nothing_but_folders_is_searched(path: str) -> None:
    with pytest.raises(ConfigError, match=r"^hydra\.searchpath="):
        searched([f"hydra.searchpath=[{path}]"], [])


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere' not found"):
        compose([], [str(tmp_path / "nowhere")])


@pytest.mark.parametrize("name", [ODD, "${oc.env:HOME}", "a\nb", "file:", "pkg:"])
def test_a_folder_may_be_called_anything(name: str, tmp_path: Path) -> None:
    (tmp_path / name / "experiment").mkdir(parents=True)
    (tmp_path / name / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    assert compose(["experiment=mine"], [str(tmp_path / name)]).value("seed") == 7
