"""What runs the jobs of a sweep, by name: a closed table. A configuration chooses a name, and names no code."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from agfrun.study.errors import ConfigError, closest, did_you_mean
from agfrun.sweep.engines.engine import Engine

ENGINES = {
    "local": ("agfrun.sweep.engines.local", "LocalEngine"),
    "serial": ("agfrun.sweep.engines.serial", "SerialEngine"),
    "submitit_slurm": ("agfrun.sweep.engines.slurm", "SlurmEngine"),
    "ray": ("agfrun.sweep.engines.ray", "RayEngine"),
}
KEY = "hydra.launcher"
# Of the engine and its field: what is always one.
_FIXED = ("serial", "workers")


def engine_of(settings: Mapping[str, Any]) -> Engine:
    """The engine that `hydra.launcher` names, with its settings.

    Raises:
        ConfigError: there is none of that name, a setting is not allowed, or an extra that it needs is not installed.
    """
    name = settings.get("name")
    if name not in ENGINES:
        raise ConfigError(f"{KEY}.name", name, f"choose one of {', '.join(sorted(ENGINES))}")
    module, kind = ENGINES[name]
    engine: Any = getattr(importlib.import_module(module), kind)
    fields = [field.name for field in dataclasses.fields(engine) if field.init and (name, field.name) != _FIXED]
    given = {key: value for key, value in settings.items() if key != "name"}
    for key, value in given.items():
        if key not in fields:
            raise ConfigError(f"{KEY}.{key}", value, f"there is no such key{did_you_mean(closest(key, fields))}; "
                              f"{name} has {', '.join(fields) or 'none'}")
    made: Engine = engine(**given)
    return made
