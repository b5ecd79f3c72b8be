"""The jobs that overrides with many values ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfrun import ConfigError, UsageError
from agfrun.sweep.splitting import in_batches, split


@pytest.mark.parametrize(("overrides", "jobs"), [
    (["seed=1"], [["seed=1"]]),
    (["seed=0,1", "model=relu"], [["seed=0", "model=relu"], ["seed=1", "model=relu"]]),
    (["seed=range(0,2)", "a=[1,2],[3]"], [["seed=0", "a=[1,2]"], ["seed=0", "a=[3]"], ["seed=1", "a=[1,2]"],
                                         ["seed=1", "a=[3]"]]),
    (["seed=0,1", "seed=2"], [["seed=2"]]),
    (["~report", "seed=1"], [["~report", "seed=1"]]),
    (["+data@x=y", "a='b,c'"], [["+data@x=y", "a='b,c'"]]),
    ([], [[]])])
def test_each_combination_is_a_job(overrides: list[str], jobs: list[list[str]]) -> None:
    assert split(overrides) == jobs


def test_an_experiments_values_give_way_to_those_that_are_typed() -> None:
    assert split(["seed=7"], {"seed": "0,1", "init.scale": "1e-2,1e-3"}) == [["seed=7", "init.scale=0.01"],
                                                                            ["seed=7", "init.scale=0.001"]]


def test_choices_by_a_pattern_are_found_in_further_folders_too(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    for name in ("my_a", "my_b"):
        (tmp_path / "experiment" / f"{name}.yaml").write_text("# @package _global_\nseed: 1\n")
    assert split(["experiment=glob(my_*)"], config_dirs=[str(tmp_path)]) == [["experiment=my_a"], ["experiment=my_b"]]


@pytest.mark.parametrize(("override", "told"), [
    ("seed=range(3,1)", "has no values to run over"), ("init.scale=interval(0,1)", "has values without end"),
    ("seed=range(0,1e9)", "runs; at most"), ("seed=[1,2", "cannot be read")])
def test_what_makes_no_sweep_is_told(override: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        split([override])


def test_jobs_are_planned_so_many_at_once() -> None:
    jobs = [["seed=0"], ["seed=1"], ["seed=2"]]
    assert list(in_batches(jobs, None)) == [jobs]
    assert list(in_batches(jobs, 2)) == [jobs[:2], jobs[2:]]
    for size in (0, -1, True, "x", 1.5):
        with pytest.raises(ConfigError, match=r"^hydra\.sweeper\.max_batch_size="):
            list(in_batches(jobs, size))
