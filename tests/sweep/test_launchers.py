"""What a launcher's name may mean."""

from __future__ import annotations

from typing import Any

import pytest

from agfrun import ConfigError
from agfrun.configuration.composition import compose
from agfrun.study.config_tree import config_directory
from agfrun.sweep.launchers import ENGINES, engine_of

SHIPPED = sorted(path.stem for path in (config_directory() / "hydra" / "launcher").glob("*.yaml"))


@pytest.mark.parametrize("choice", SHIPPED)
def test_every_shipped_launcher_is_of_the_table(choice: str) -> None:
    settings = compose([f"hydra/launcher={choice}"]).value("hydra.launcher")
    assert type(engine_of(settings)).__name__ == ENGINES[settings["name"]][1]


@pytest.mark.parametrize("name", ["os.system", "agfrun.sweep.engines.local.LocalEngine", "LocalEngine", "", None, 1])
def test_nothing_else_can_be_named(name: object) -> None:
    with pytest.raises(ConfigError, match=r"^hydra\.launcher\.name=.*choose one of local, ray, serial, submitit_slurm"):
        engine_of({"name": name})


@pytest.mark.parametrize(("settings", "told"), [
    ({"name": "local", "worker": 2}, r"worker=2 is not allowed: there is no such key; did you mean workers\?"),
    ({"name": "serial", "workers": 2}, "workers=2 is not allowed: there is no such key; serial has none"),
    ({"name": "local", "preload": ["x"]}, r'preload=\["x"\] is not allowed: there is no such key'),
    ({"name": "local", "_target_": "os.system"}, "_target_=os.system is not allowed"),
    ({"name": "local", "workers": 0}, "workers=0 is not allowed: must be an integer of at least 1")])
def test_a_setting_that_it_does_not_have_is_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.{told}"):
        engine_of(settings)
