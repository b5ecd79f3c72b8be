"""Composing leaves Hydra as it was: in a program of the user's own, a notebook or a job of their own `@hydra.main`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import hydra
from hostile_network import environment
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase

from agfrun import UsageError, load_config

# A job that composes a configuration of ours, and then one of its own; run as two jobs of a sweep.
PROGRAM = """
import hydra
from agfrun import load_config
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

@hydra.main(version_base="1.3", config_path="own", config_name="main")
def job(config):
    before = GlobalHydra.instance(), GlobalHydra.instance().hydra
    ours = load_config(["model=diagonal_linear"])
    assert (GlobalHydra.instance(), GlobalHydra.instance().hydra) == before
    theirs = hydra.compose("main", overrides=["part=other"])
    print(ours.model.name, config.part.home, theirs.part.home, HydraConfig.get().job.num, HydraConfig.get().job.name)

job()
"""


def test_a_job_of_the_users_own_composes_ours_and_its_own(tmp_path: Path) -> None:
    (tmp_path / "own" / "part").mkdir(parents=True)
    (tmp_path / "own" / "main.yaml").write_text("defaults: [part: one]\nx: 0\n")
    (tmp_path / "own" / "part" / "one.yaml").write_text("home: ${oc.env:HOME}\n_target_: os.system\n")
    (tmp_path / "own" / "part" / "other.yaml").write_text("home: ${oc.env:HOME}/other\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    ended = subprocess.run([sys.executable, "program.py", "-m", "x=1,2"], cwd=tmp_path,
                           env=environment() | {"HOME": "/home/me"}, capture_output=True, text=True, timeout=300,
                           check=False)
    assert ended.returncode == 0, ended.stderr
    said = [line for line in ended.stdout.splitlines() if line.startswith("diagonal_linear")]
    assert said == [f"diagonal_linear /home/me /home/me/other {number} program" for number in (0, 1)]


def members(kind: type) -> dict[str, Any]:
    """What a class has, but for what Python's own `copy` notes in it."""
    return {name: value for name, value in vars(kind).items() if name != "__slotnames__"}


def test_nothing_of_hydra_is_other_than_before(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text("a: ${oc.env:PATH}\n_target_: os.system\n")
    with initialize_config_dir(str(tmp_path), version_base="1.2", job_name="mine"):
        methods = {kind: members(kind) for kind in (ConfigLoaderImpl, ConfigRepository)}
        kept, base = dict(Singleton._instances), VersionBase.instance().getbase()
        name, running = JobRuntime.instance().get("name"), HydraConfig.instance().cfg
        for overrides in (["model=relu"], ["init.scal=1"], ["+model._target_=os.system"]):
            try:
                load_config(overrides)
            except UsageError:
                assert overrides != ["model=relu"]
        assert {kind: members(kind) for kind in methods} == methods
        assert {kind: found for kind, found in Singleton._instances.items() if kind in kept} == kept
        assert (VersionBase.instance().getbase(), JobRuntime.instance().get("name")) == (base, name)
        assert HydraConfig.instance().cfg is running
        assert compose("main")["_target_"] == "os.system"


def test_nothing_is_begun_where_hydra_was_not(tmp_path: Path) -> None:
    load_config(["model=relu"])
    assert not hydra.core.global_hydra.GlobalHydra.instance().is_initialized()
