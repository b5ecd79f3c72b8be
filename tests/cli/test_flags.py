"""Flags, wherever they stand."""

from __future__ import annotations

import pytest

from agfrun import UsageError
from agfrun.cli.flags import Flags, read_flags

SWEEP = Flags(("study=width", "seed=0,1"), multirun=True)


@pytest.mark.parametrize("line", ["--multirun study=width seed=0,1", "study=width --multirun seed=0,1",
                                  "study=width seed=0,1 --multirun", "study=width -m seed=0,1"])
def test_a_flag_may_stand_anywhere(line: str) -> None:
    assert read_flags(line.split()) == SWEEP


def test_flags_with_values() -> None:
    line = "a=1 --config-dir x b=2 -cd y --cfg job c=3 -p model --resolve ~d"
    flags = read_flags(line.split())
    assert flags == Flags(("a=1", "b=2", "c=3", "~d"), ("x", "y"), cfg="job", package="model", resolve=True)


@pytest.mark.parametrize(("line", "info"), [("--info", "all"), ("--info seed=1", "all"), ("-i defaults", "defaults"),
                                            ("--info=searchpath seed=1", "searchpath")])
def test_info_alone_shows_all(line: str, info: str) -> None:
    assert read_flags(line.split()).info == info


@pytest.mark.parametrize("line", ["-m --cfg job", "--info --cfg job", "--run -m", "-sc --info", "--resolve",
                                  "--package model", "--config-path x", "--config-name=x", "-cn x", "-cp x"])
def test_flags_that_contradict_each_other_or_are_not_taken(line: str) -> None:
    with pytest.raises(UsageError):
        read_flags(line.split())


@pytest.mark.parametrize("line", ["--nothing", "--multi", "--cfg x", "--cfg", "--config-dir"])
def test_others_are_explained_by_the_program_s_own_name(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read_flags(line.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: agfrun ")
