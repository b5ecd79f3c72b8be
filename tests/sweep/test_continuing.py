"""Going on with a sweep: what its plan says was not typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfrun import ConfigError
from agfrun.files.sweep_jobs import job_of
from agfrun.sweep.continuing import continued

SERVER = ["tracking=mlflow", "tracking.uri=http://203.0.113.7"]
PLANNED = [job_of([f"seed={seed}", *SERVER]) for seed in (0, 1)]


def test_a_server_that_only_the_plan_names_is_not_asked() -> None:
    with pytest.raises(ConfigError) as caught:
        continued(PLANNED, ["overwrite=true"], Path("s"))
    assert str(caught.value) == (f"{SERVER[1]} is not allowed: the plan of s says so; only the command line may: add "
                                 f"{SERVER[1]} to it, or tracking=none")


@pytest.mark.parametrize("typed", [SERVER, ["tracking=none"], ["tracking.experiment=other"]])
def test_what_is_typed_takes_its_place(typed: list[str]) -> None:
    jobs = continued(PLANNED, ["plots=false", *typed], Path("s"))
    assert [job.overrides for job in jobs] == [("seed=0", *typed), ("seed=1", *typed)]
    assert [job.folder for job in jobs] == [job.folder for job in PLANNED]


def test_other_jobs_go_on_as_they_were_planned() -> None:
    planned = [job_of(["seed=0", "tracking=mlflow", "tracking.uri=sqlite:///outputs/x.db"])]
    assert continued(planned, [], Path("s")) == planned


def test_keys_that_there_are_no_more_are_left_out() -> None:
    said = ["model=diagonal_linear", "train=gradient_descent", "seed=1"]
    planned = job_of([*said, "train.compile=true"])
    (job,) = continued([planned], [], Path("s"))
    assert job.overrides == tuple(said)
    assert job.folder == planned.folder
