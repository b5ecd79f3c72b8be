"""Configurations, run folders and data from strangers: real attacks, none of which may run, read or write anything."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hostile_network import environment
from processes import error_of, run
from tiny_runs import modadd_config

from agfrun import ConfigError, load_config
from agfrun import run as run_once
from agfrun.cli.main import main
from agfrun.configuration.composition import compose_varied

SMALL = ["model=diagonal_linear", "train.horizon=1", "plots=false", "report=false", "device=cpu"]


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


CALL = {"_target_": "os.system", "command": "touch MARKER"}
HYDRA = {
    "callback": {"callbacks": {"mine": CALL}},
    "callback of a list": {"callbacks": {"mine": {"_target_": "builtins.list", "_args_": [[CALL]]}}},
    "launcher": {"launcher": CALL},
    "sweeper": {"sweeper": CALL},
    "formatter": {"job_logging": {"formatters": {"plain": {"()": "os.system", "command": "touch MARKER"}}}},
    "handler": {"job_logging": {"handlers": {"mine": {"class": "subprocess.Popen", "args": "touch MARKER",
                                                      "shell": True}}}},
    "file handler": {"job_logging": {"handlers": {"mine": {"class": "logging.FileHandler", "filename": "MARKER"}}}},
    "outside object": {"job_logging": {"handlers": {"console": {"stream": "ext://os.environ"}}}},
    "environment of the job": {"job": {"env_set": {"PYTHONPATH": "/tmp/evil"}}},
    "absolute run folder": {"run": {"dir": "MARKER"}},
    "run folder above": {"run": {"dir": "../../MARKER"}},
    "run folder by way of a name": {"run": {"dir": "${agfrun.first:null,MARKER}"}},
    "environment": {"run": {"dir": "outputs/${oc.env:HOME}"}},
    "copied environment": {"job": {"env_copy": ["HOME"]}},
    "files of Hydra above": {"output_subdir": "../../../marker"},
    "files of Hydra elsewhere": {"output_subdir": "MARKER"},
    "run folder known late": {"help": {"header": "MARKER"}, "run": {"dir": "${hydra:help.header}"}},
    "run folder of a job": {"run": {"dir": "../../${hydra.job.id}"}},
    "environment in the help": {"help": {"header": "${oc.env:HOME}"}},
    "overrides of the run": {"overrides": {"task": ["hydra.run.dir=MARKER"]}, "run": {"dir": "MARKER"}},
    "overrides of Hydra": {"overrides": {"hydra": ["hydra.sweep.dir=MARKER"]}, "sweep": {"dir": "MARKER"}},
    "callback that is looked up": {"callbacks": {
        "mine": "${agfrun.first:{_target_:os.system,command:'touch MARKER'}}"}},
    "module that is looked up": {"callbacks": {"mine": "${agfrun.first:"
                                               "{_target_:agfrun.study.registry.import_module,source:theirs.py}}"}},
    "shell lines without a flag": {"mode": "MULTIRUN", "sweeper": {"params": {"seed": "0,1"}},
                                   "launcher": {"name": "submitit_slurm", "setup": ["touch MARKER"]}},
    "folder as a swept key": {"sweeper": {"params": {"tracking.folder": "MARKER"}}},
}
TASK = {
    "target in a network": {"model": {"_target_": "os.system"}},
    "environment in a value": {"tracking": {"experiment": "${oc.env:HOME}"}},
    "environment within a lookup": {"tracking": {"experiment": "${agfrun.first:null,${oc.env:HOME}}"}},
    "decoded": {"tracking": {"experiment": "${oc.decode:'1'}"}},
    "sweep to continue": {"sweep": {"resume": "/tmp"}},
    "name of a resolver in parts": {"tracking": {"experiment": "${oc.${agfrun.first:env}:HOME}"}},
    "quoted": {"tracking": {"experiment": "${agfrun.first:'${oc.env:HOME}'}"}},
    "folder of events": {"tracking": {"name": "tensorboard", "folder": "MARKER"}},
    "database": {"tracking": {"name": "mlflow", "uri": "sqlite:///MARKER"}},
    "server": {"tracking": {"name": "mlflow", "uri": "http://203.0.113.7:80"}},
    "logging elsewhere": {"theirs": {"version": 1, "root": {}, "handlers": {"mine": {
        "class": "logging.FileHandler", "filename": "MARKER"}}}, "hydra": {"job_logging": "${theirs}"}},
    "launcher of a cluster": {"defaults": [{"override /hydra/launcher": "submitit_slurm"}], "hydra": {
        "mode": "MULTIRUN", "sweeper": {"params": {"seed": "0,1"}}, "launcher": {"setup": ["touch MARKER"]}}},
    "handlers elsewhere": {"theirs": {"mine": {"class": "logging.FileHandler", "filename": "MARKER"}},
                           "hydra": {"job_logging": {"handlers": "${theirs}"}}},
}


def write_experiment(folder: Path, values: dict[str, object]) -> Path:
    """A stranger's `experiment=theirs`."""
    marker = folder / "marker"
    text = yaml.safe_dump(values).replace("MARKER", str(marker))
    (folder / "theirs" / "experiment").mkdir(parents=True)
    (folder / "theirs" / "experiment" / "theirs.yaml").write_text(f"# @package _global_\n{text}")
    return marker


@pytest.mark.parametrize("multirun", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["run", "sweep"])
@pytest.mark.parametrize("attack", [*HYDRA, *TASK])
def test_a_configuration_runs_no_code_and_reads_no_environment(attack: str, multirun: bool, tmp_path: Path) -> None:
    values = {"hydra": HYDRA[attack]} if attack in HYDRA else TASK[attack]
    marker = write_experiment(tmp_path, values)
    ended = run([*(["-m"] if multirun else []), "--config-dir", str(tmp_path / "theirs"), "experiment=theirs", *SMALL],
                tmp_path)
    assert "is not allowed" in error_of(ended)
    assert os.environ["HOME"] not in ended.errors.replace(str(tmp_path), "")
    assert not marker.exists()
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("override", [
    "+hydra.callbacks.mine._target_=os.system", "hydra.launcher._target_=os.system", "hydra.sweeper._target_=os.system",
    "+model._target_=os.system", "tracking.experiment=${oc.env:HOME}", "hydra.job.env_set={A:b}",
    "hydra.searchpath=[pkg://antigravity]",
    "+hydra.job_logging.handlers.mine.class=os.system",
])
def test_nor_does_a_command_line(override: str, tmp_path: Path) -> None:
    assert "is not allowed" in error_of(run([override, *SMALL], tmp_path))


@pytest.mark.parametrize("place", ["command line", "primary configuration"])
def test_no_package_is_imported_to_look_for_configurations_in_it(place: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    (tmp_path / "theirs" / "main.yaml").write_text("hydra:\n  searchpath: [pkg://theirs]\ndefaults: [config, _self_]\n")
    asked = (["hydra.searchpath=[pkg://theirs]"] if place == "command line" else
             ["--config-path", str(tmp_path / "theirs"), "--config-name", "main"])
    ended = subprocess.run([sys.executable, "-m", "agfrun", *asked, *SMALL], cwd=tmp_path, env=environment(),
                           capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("agfrun: error: hydra.searchpath=pkg://theirs is not allowed"
                                   if place == "command line" else "agfrun: error: --config-path is not taken")
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "marker").exists()


def test_values_on_top_of_a_composition_are_looked_through_too() -> None:
    made = compose_varied(["model=diagonal_linear"], [["seed=1"], ["init.scale=${oc.env:HOME}"]])
    assert not isinstance(made[0], ConfigError)
    assert isinstance(made[1], ConfigError)
    assert os.environ["HOME"] not in str(made[1])


def test_the_command_line_says_freely_where_to_write(tmp_path: Path) -> None:
    ended = run([f"hydra.run.dir={tmp_path}/elsewhere", *SMALL], tmp_path / "here")
    assert ended.status == 0
    assert (tmp_path / "elsewhere" / "done.json").exists()


def claiming(shape: tuple[int, ...]) -> bytes:
    """A `.npy` file that says it holds an array of this shape, and holds ten numbers."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(80)


@pytest.mark.parametrize("shape", [(10**12,), (10**12, 3), (2**62, 2**62), (10**6,), (-1,), (-2, -(10**6))])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_no_memory_is_taken_for_numbers_that_a_file_only_claims(shape: tuple[int, ...], suffix: str,
                                                                tmp_path: Path) -> None:
    path = tmp_path / f"data.{suffix}"
    if suffix == "npy":
        path.write_bytes(claiming(shape))
        asked = ["data=custom_modular_addition", f"data.path={path}"]
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inputs.npy", claiming(shape))
            archive.writestr("targets.npy", claiming((10,)))
        asked = ["model=relu", "data=samples_file", f"data.path={path}"]
    assert "data.path" in error_of(run([*asked, f"hydra.run.dir={tmp_path}/run"], tmp_path))


def test_an_archive_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", claiming((2**28,)) + bytes(2**20))
        archive.writestr("targets.npy", claiming((10,)))
    assert "GiB are the most" in error_of(run(["model=relu", "data=samples_file", f"data.path={path}"], tmp_path))


def test_composing_in_a_program_is_guarded_too() -> None:
    with pytest.raises(ConfigError, match="names no code"):
        load_config(["+model._target_=os.system"])


@pytest.mark.parametrize("flag", ["--experimental-rerun", "--experimental-r"])
def test_a_pickled_configuration_is_refused(flag: str, tmp_path: Path) -> None:
    bomb = tmp_path / "config.pickle"
    bomb.write_bytes(pickle.dumps(Bomb(tmp_path / "marker")))
    assert "would load a pickle" in error_of(run([flag, str(bomb)], tmp_path))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["data.npy", "data.npz"])
def test_a_pickle_among_the_data_is_refused(name: str, tmp_path: Path) -> None:
    objects = np.array([Bomb(tmp_path / "marker")], dtype=object)
    if name.endswith("npy"):
        np.save(tmp_path / name, objects, allow_pickle=True)
        arguments = ["data=custom_modular_addition", f"data.path={tmp_path}/{name}"]
    else:
        np.savez(tmp_path / name, inputs=objects, targets=objects)
        arguments = ["model=relu", "data=samples_file", f"data.path={tmp_path}/{name}"]
    error_of(run([*arguments, f"hydra.run.dir={tmp_path}/run"], tmp_path))
    assert not (tmp_path / "marker").exists()
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    run_once(modadd_config(), output_dir=folder)
    return folder


@pytest.mark.parametrize("command", ["plot", "report", "resume", "rerun"])
@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/object/new:os.system"])
def test_the_configuration_of_a_run_is_plain_yaml(command: str, tag: str, finished: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "run"
    shutil.copytree(finished, theirs)
    (theirs / "config.yaml").write_text(f'seed: {tag} ["touch {tmp_path}/marker"]\n')
    (theirs / "manifest.json").write_text("{}")
    assert run([command, str(theirs)], tmp_path).status in (0, 2)  # a page can do without
    assert not (tmp_path / "marker").exists()


def test_figures_are_not_drawn_through_a_link(finished: Path, tmp_path: Path) -> None:
    theirs, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(finished, theirs)
    elsewhere.mkdir()
    (theirs / "plots").symlink_to(elsewhere)
    assert "leads to another place" in error_of(run(["plot", str(theirs)], tmp_path))
    assert list(elsewhere.iterdir()) == []


def test_a_linked_file_is_replaced_and_what_it_leads_to_stays(finished: Path, tmp_path: Path) -> None:
    theirs, precious = tmp_path / "run", tmp_path / "precious"
    shutil.copytree(finished, theirs)
    precious.write_text("mine")
    (theirs / "report.html").unlink(missing_ok=True)
    (theirs / "report.html").symlink_to(precious)
    assert run(["report", str(theirs)], tmp_path).status == 0
    assert precious.read_text() == "mine"


SCRIPT = "<script>alert(1)</script></script><img src=x onerror=alert(2)>"


def test_every_string_of_a_page_is_escaped(finished: Path, tmp_path: Path) -> None:
    theirs = tmp_path / SCRIPT.replace("/", "-")
    shutil.copytree(finished, theirs)
    for name in ("config.yaml", "labels.json", "manifest.json", "done.json", "events.csv", "features.csv",
                 "endings.csv"):
        path = theirs / name
        text = path.read_text()
        if name.endswith("json"):
            path.write_text(json.dumps({key: SCRIPT if isinstance(value, str) else value
                                        for key, value in json.loads(text).items()}))
        else:
            path.write_text(text.replace("acquisition", SCRIPT).replace("gaussian", SCRIPT))
    assert run(["report", str(theirs)], tmp_path).status in (0, 2)
    page = theirs / "report.html"
    if page.exists():
        content = page.read_text()
        assert "<script>alert" not in content
        assert "<img src=x" not in content


@pytest.mark.parametrize("folder", ["../escaped", "/tmp/escaped", "..", ".", ""])
def test_the_plan_of_a_sweep_names_folders_inside_it_alone(folder: str, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    assert run(["-m", "seed=0,1", *SMALL, "init=gaussian", "hydra/launcher=serial", f"hydra.sweep.dir={sweep}"],
               tmp_path).status == 0
    plan = json.loads((sweep / ".sweep" / "plan.json").read_text())
    plan["jobs"][0]["folder"] = folder
    (sweep / ".sweep" / "plan.json").write_text(json.dumps(plan))
    for arguments in (["collect", str(sweep)], ["-m", f"sweep.resume={sweep}", "hydra/launcher=serial"]):
        assert "is no folder of a job in it" in error_of(run(arguments, tmp_path))
    assert not (tmp_path / "escaped").exists()


def test_a_sweep_that_is_continued_imports_nothing_that_was_not_named(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    sweep = tmp_path / "sweep"
    assert run(["-m", "seed=0,1", *SMALL, "init=gaussian", "hydra/launcher=serial", f"hydra.sweep.dir={sweep}"],
               tmp_path).status == 0
    for path in (sweep / ".sweep").rglob("*.json"):
        content = json.loads(path.read_text())
        if isinstance(content, dict):
            content["imports"] = [str(tmp_path / "theirs.py")]
            path.write_text(json.dumps(content))
    shutil.rmtree(next(path for path in sweep.iterdir() if path.name.startswith("data") or "seed" in path.name))
    run(["-m", f"sweep.resume={sweep}", "hydra/launcher=serial"], tmp_path)
    assert not (tmp_path / "marker").exists()


def test_a_sweep_that_is_continued_asks_no_server_that_its_plan_alone_names(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    assert run(["-m", "seed=0,1", *SMALL, "init=gaussian", "hydra/launcher=serial", f"hydra.sweep.dir={sweep}"],
               tmp_path).status == 0
    plan = json.loads((sweep / ".sweep" / "plan.json").read_text())
    for job in plan["jobs"]:
        job["overrides"] += ["tracking=mlflow", "tracking.uri=http://203.0.113.7:80"]
        shutil.rmtree(sweep / job["folder"])
    (sweep / ".sweep" / "plan.json").write_text(json.dumps(plan))
    before = {path: path.stat().st_mtime_ns for path in sweep.rglob("*")}
    going_on = ["-m", f"sweep.resume={sweep}", "hydra/launcher=serial"]
    assert "tracking.uri=http://203.0.113.7:80 is not allowed: the plan of" in error_of(run(going_on, tmp_path))
    assert {path: path.stat().st_mtime_ns for path in sweep.rglob("*")} == before
    assert run([*going_on, "tracking=none"], tmp_path).status == 0


def test_code_from_outside_runs_only_if_it_is_named(tmp_path: Path) -> None:
    """A Python file beside a configuration is left alone; `--import` is how it is asked for."""
    (tmp_path / "theirs" / "model").mkdir(parents=True)
    (tmp_path / "theirs" / "model" / "theirs.yaml").write_text("name: theirs\n")
    (tmp_path / "theirs" / "theirs.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    arguments = ["--config-dir", str(tmp_path / "theirs"), "model=theirs"]
    ended = subprocess.run([sys.executable, "-m", "agfrun", *arguments], cwd=tmp_path / "theirs", env=environment(),
                           capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 2
    assert not (tmp_path / "marker").exists()
    main([f"--import={tmp_path}/theirs/theirs.py", "--version"])
    assert (tmp_path / "marker").exists()
