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


@pytest.mark.parametrize(("line", "said"), [
    ("--nothing", "--nothing is no flag; keys have no dashes before them, and values follow at once: nothing=VALUE"),
    ("--model relu", "--model is no flag; keys have no dashes before them, and values follow at once: model=VALUE"),
    ("--init-scale=3", "keys have no dashes before them, and values follow at once: init_scale=3"),
    ("--config_dir mine", "--config_dir is no flag; did you mean --config-dir?"),
    ("--multi", "--multi is no flag; did you mean --multirun?"),
    ("--cfg x", "invalid choice: 'x'"), ("--cfg", "expected one argument; agfrun --help shows what there is"),
    ("--config-dir", "expected one argument"), ("-model=relu", "agfrun --help shows what there is"),
])
def test_others_are_told_in_one_line(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_flags(line.split())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
