"""What files in further folders may say, and what only the command line may: in this process, without running."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from agfrun import ConfigError, UsageError, load_config
from agfrun.configuration.composition import compose, from_composed
from agfrun.configuration.guard import check_resolved, check_saved
from agfrun.configuration.hydra_folders import first_given
from agfrun.study.config_tree import config_directory

LAUNCHER = {"defaults": ["submitit_slurm", "_self_"], "partition": "short"}


def write(folder: Path, name: str, values: dict[str, Any]) -> None:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "# @package _global_\n" if name.startswith("experiment/") else ""
    path.write_text(header + yaml.safe_dump(values, sort_keys=False))


def composed(folder: Path, *overrides: str, multirun: bool = False) -> Any:
    return compose(overrides, [str(folder)], multirun)


# What an experiment says, and the key that the error names.
OF_THE_COMMAND_LINE: dict[str, tuple[dict[str, Any], str]] = {
    "another launcher": ({"defaults": [{"override /hydra/launcher": "submitit_slurm"}]},
                         "hydra/launcher=submitit_slurm"),
    "its own launcher": ({"defaults": [{"override /hydra/launcher": "theirs"}]}, "hydra/launcher=theirs"),
    "a launcher by name": ({"hydra": {"launcher": {"name": "ray"}}}, "hydra.launcher.name=ray"),
    "shell lines": ({"hydra": {"launcher": {"setup": ["touch x"]}}}, 'hydra.launcher.setup=["touch x"]'),
    "an interpreter": ({"hydra": {"launcher": {"python": "sh x"}}}, "hydra.launcher.python=sh x"),
    "options": ({"hydra": {"launcher": {"additional_parameters": {"wrap": "x"}}}},
                "hydra.launcher.additional_parameters.wrap=x"),
    "processes": ({"hydra": {"launcher": {"workers": 99}}}, "hydra.launcher.workers=99"),
    "a launcher in place of the launcher": ({"theirs": {"name": "ray"}, "hydra": {"launcher": "${theirs}"}},
                                            "hydra.launcher=${theirs}"),
    "how many at once": ({"hydra": {"sweeper": {"max_batch_size": 1}}}, "hydra.sweeper.max_batch_size=1"),
    "callbacks": ({"hydra": {"callbacks": {"mine": {"a": 1}}}}, "hydra.callbacks.mine.a=1"),
    "callbacks that are looked up": ({"hydra": {"callbacks": {"mine": "${agfrun.first:{_target_:os.system}}"}}},
                                     "hydra.callbacks.mine=${agfrun.first:{_target_:os.system}}"),
    "how to log": ({"hydra": {"job_logging": {"root": {"level": "DEBUG"}}}}, "hydra.job_logging.root.level=DEBUG"),
    "another logging": ({"defaults": [{"override /hydra/job_logging": "default"}]}, "hydra.job_logging"),
    "how much is logged": ({"hydra": {"verbose": True}}, "hydra.verbose=true"),
    "where it works": ({"hydra": {"job": {"chdir": True}}}, "hydra.job.chdir=true"),
    "its environment": ({"hydra": {"job": {"env_set": {"A": "b"}}}}, "hydra.job.env_set.A=b"),
    "a server": ({"tracking": {"name": "mlflow", "uri": "http://203.0.113.7"}}, "tracking.uri=http://203.0.113.7"),
    "a store elsewhere": ({"tracking": {"name": "mlflow", "uri": "sqlite:////tmp/x.db"}}, "tracking.uri="),
    "a store by way of options": ({"tracking": {"name": "mlflow", "uri": "sqlite:///file:/tmp/x?uri=true"}},
                                  "tracking.uri="),
    "a store above": ({"tracking": {"name": "mlflow", "uri": "sqlite:///../x.db"}}, "tracking.uri="),
    "a tracker's name": ({"tracking": {"name": "mlflow", "uri": "databricks"}}, "tracking.uri=databricks"),
    "its own tracker": ({"defaults": [{"override /tracking": "theirs"}]}, "tracking.uri=http://203.0.113.7"),
    "events elsewhere": ({"tracking": {"name": "tensorboard", "folder": "/tmp/x"}}, "tracking.folder=/tmp/x"),
    "a server in parts": ({"a": "http:", "tracking": {"name": "mlflow", "uri": "${a}//203.0.113.7"}}, "tracking.uri="),
    "a swept server": ({"hydra": {"sweeper": {"params": {"tracking.uri": "http://203.0.113.7"}}}},
                       "hydra.sweeper.params.tracking.uri="),
    "a swept tracker": ({"hydra": {"sweeper": {"params": {"tracking": "{name:mlflow,uri:x}"}}}},
                        "hydra.sweeper.params.tracking="),
    "a swept server with a plus": ({"hydra": {"sweeper": {"params": {"++tracking.uri": "x"}}}},
                                   "hydra.sweeper.params.++tracking.uri="),
    "a swept server that is looked up": (
        {"theirs": {"tracking.uri": "x"}, "hydra": {"sweeper": {"params": "${theirs}"}}},
        "hydra.sweeper.params.tracking.uri=x"),
    "a sweep of nothing": ({"hydra": {"sweeper": {"params": "${seed}"}}}, "hydra.sweeper.params=0"),
    "a swept launcher": ({"hydra": {"sweeper": {"params": {"hydra/launcher": "ray"}}}},
                         "hydra.sweeper.params.hydra/launcher="),
    "a swept sweep": ({"hydra": {"sweeper": {"params": {"sweep.resume": "x"}}}}, "hydra.sweeper.params.sweep.resume="),
}


@pytest.mark.parametrize("name", OF_THE_COMMAND_LINE)
def test_where_and_how_code_runs_no_experiment_says(name: str, tmp_path: Path) -> None:
    values, told = OF_THE_COMMAND_LINE[name]
    write(tmp_path, "experiment/theirs", values)
    write(tmp_path, "hydra/launcher/theirs", LAUNCHER)
    write(tmp_path, "tracking/theirs", {"name": "mlflow", "uri": "http://203.0.113.7", "experiment": "x"})
    with pytest.raises(UsageError) as caught:
        composed(tmp_path, "experiment=theirs", multirun=name == "another launcher")
    assert str(caught.value).startswith(told)
    assert "is not allowed: " in str(caught.value)


def test_an_experiment_says_where_below_the_current_folder_and_what_is_swept(tmp_path: Path) -> None:
    write(tmp_path, "experiment/theirs", {
        "seed": 3, "tracking": {"name": "mlflow", "uri": "sqlite:///mine/x.db", "experiment": "x"},
        "hydra": {"run": {"dir": "mine/${agfrun.run_name:}"}, "mode": "MULTIRUN",
                  "sweeper": {"params": {"init.scale": "1e-2,1e-3"}}}})
    found = composed(tmp_path, "experiment=theirs")
    assert (found.value("hydra.run.dir"), found.asks_for_sweep) == ("mine/quadratic_modadd", True)
    assert found.value("hydra.sweeper.params") == {"init.scale": "1e-2,1e-3"}
    assert from_composed(found.run).tracking.uri == "sqlite:///mine/x.db"


def test_a_launcher_of_the_users_own_is_chosen_on_the_command_line(tmp_path: Path) -> None:
    write(tmp_path, "hydra/launcher/ours", LAUNCHER | {"setup": ["module load python"]})
    write(tmp_path, "experiment/theirs", {"seed": 3})
    launcher = composed(tmp_path, "hydra/launcher=ours", "hydra.launcher.account=me", "experiment=theirs",
                        multirun=True).value("hydra.launcher")
    assert launcher["name"] == "submitit_slurm"
    assert (launcher["partition"], launcher["setup"], launcher["account"]) == ("short", ["module load python"], "me")


def test_nor_does_an_experiment_change_it(tmp_path: Path) -> None:
    write(tmp_path, "hydra/launcher/ours", LAUNCHER)
    write(tmp_path, "experiment/theirs", {"hydra": {"launcher": {"setup": ["touch x"]}}})
    with pytest.raises(ConfigError, match=r'^hydra\.launcher\.setup=\["touch x"\]'):
        composed(tmp_path, "hydra/launcher=ours", "experiment=theirs")


@pytest.mark.parametrize("key", ["setup", "additional_parameters"])
def test_nor_by_way_of_what_it_looks_up(key: str, tmp_path: Path) -> None:
    value: Any = ["echo ${tracking.experiment}"] if key == "setup" else {"x.y": "${tracking.experiment}"}
    write(tmp_path, "hydra/launcher/ours", LAUNCHER | {key: value})
    write(tmp_path, "experiment/theirs", {"tracking": {"experiment": "x; touch y"}})
    with pytest.raises(ConfigError, match=r"^hydra\.launcher.*it looks up what an experiment says"):
        composed(tmp_path, "hydra/launcher=ours", "experiment=theirs")


def test_a_tracker_of_the_users_own_is_chosen_on_the_command_line(tmp_path: Path) -> None:
    write(tmp_path, "tracking/ours", {"name": "mlflow", "uri": "http://localhost:5000", "experiment": "x"})
    write(tmp_path, "experiment/theirs", {"seed": 3})
    for asked in (["tracking=ours"], ["tracking=mlflow", "tracking.uri=http://localhost:5000"]):
        found = composed(tmp_path, *asked, "experiment=theirs")
        assert found.value("tracking.uri") == "http://localhost:5000"


@pytest.mark.parametrize("override", ["hydra.job.name=x", "hydra.job.chdir=true", "hydra.output_subdir=x",
                                      "hydra/job_logging=default", "hydra/sweeper=basic", "+hydra.callbacks.a={b:1}",
                                      "hydra.run={dir:x}", "hydra={verbose:true}"])
def test_keys_of_hydra_that_count_for_nothing_are_refused(override: str) -> None:
    with pytest.raises(UsageError, match="^hydra.* is not allowed: of Hydra's keys"):
        load_config([override])


NAMED = {"of the model": ({"model": {"name": "../../x"}}, []), "absolute": ({"model": {"name": "/tmp/x"}}, []),
         "typed in part": ({"tracking": {"experiment": "../../../x"}}, ["hydra.run.dir=a/${tracking.experiment}"]),
         "typed as a lookup": ({"tracking": {"experiment": "/tmp/x"}}, ["hydra.run.dir=${tracking.experiment}"])}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_leads_no_run_elsewhere(name: str, tmp_path: Path) -> None:
    values, typed = NAMED[name]
    values = values if typed else values | {"hydra": {"run": {"dir": "${model.name}"}}}
    write(tmp_path, "experiment/theirs", values)
    with pytest.raises(ConfigError, match=r"^hydra\.run\.dir="):
        composed(tmp_path, "experiment=theirs", *typed)


def test_lookups_give_single_values() -> None:
    assert [first_given(None, value) for value in (1, "a", 0.5, False)] == [1, "a", 0.5, False]
    for value in ({"_target_": "os.system"}, ["a"], OmegaConf.create({"a": 1})):
        with pytest.raises(ValueError, match="gives a single value"):
            first_given(value)


@pytest.mark.parametrize("value", ["${agfrun.first:{_target_:os.system}}", "${agfrun.first:[{a:1}]}",
                                   "${agfrun.first:null,{a:'${oc.env:HOME}'}}"])
def test_what_a_lookup_puts_together_is_refused(value: str, tmp_path: Path) -> None:
    write(tmp_path, "experiment/theirs", {"model": value})
    with pytest.raises(UsageError) as caught:
        from_composed(composed(tmp_path, "experiment=theirs").run)
    assert os.environ["HOME"] not in str(caught.value)


def test_what_is_looked_up_is_not_looked_up_again(tmp_path: Path) -> None:
    write(tmp_path, "experiment/theirs", {"tracking": {"experiment": "${tracking.folder}{oc.env:HOME}", "folder": "$"}})
    assert from_composed(composed(tmp_path, "experiment=theirs").run).tracking.experiment == "${oc.env:HOME}"


def test_a_resolved_configuration_names_no_code() -> None:
    with pytest.raises(ConfigError, match="names no code"):
        check_resolved({"a": [{"b": {"_target_": "os.system"}}]})
    check_resolved({"a": [1, {"b": None}]})


def test_no_shipped_configuration_names_code() -> None:
    assert [path for path in config_directory().rglob("*.yaml") if "_target_" in path.read_text()] == []


@pytest.mark.parametrize("text", ["tracking.uri=http://203.0.113.7", "tracking.uri=sqlite:////tmp/x", "+tracking.uri=x",
                                  "tracking={name:mlflow,uri:x}", "tracking.folder=/tmp/x", "tracking.folder=../x",
                                  "tracking@model=mlflow", "hydra.launcher.setup=[x]", "hydra/launcher=ray",
                                  "sweep.resume=x", "++hydra.run.dir=/tmp/x", "~tracking.uri"])
def test_a_saved_plan_is_no_command_line(text: str) -> None:
    with pytest.raises(ConfigError, match="the plan of x says so; only the command line may"):
        check_saved([text], "the plan of x")


@pytest.mark.parametrize("text", ["seed=1", "tracking=mlflow", "tracking.experiment=mine", "tracking.folder=runs/mine",
                                  "tracking.uri=sqlite:///mine/x.db", "model=relu", "experiment=paper/attention"])
def test_what_a_saved_plan_may_say(text: str) -> None:
    check_saved([text], "the plan of x")


def test_a_plan_that_cannot_be_read_is_told() -> None:
    with pytest.raises(UsageError, match=r"the plan of x holds a=\[, which is no override"):
        check_saved(["a=["], "the plan of x")
