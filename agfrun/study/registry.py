"""The networks, data sets and studies that can be chosen, by name.

Every module of a laboratory's networks and studies registers what it defines, and so does a module from outside: one that the user names with `--import`, or one that an installed package
declares as an entry point of the group `agfrun.plugins`. Nothing else is ever imported; a configuration
chooses among what is registered and cannot name code.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from agfrun.study.errors import UsageError

if TYPE_CHECKING:
    from agfrun.study.schema import DataConfig, ModelConfig, StudyConfig

    Model = TypeVar("Model", bound=type[ModelConfig])
    Data = TypeVar("Data", bound=type[DataConfig])
    Study = TypeVar("Study", bound=type[StudyConfig])

GROUPS = ("model", "data", "study")
BUILT_IN = ("agfrun.labs.staircases.networks", "agfrun.labs.staircases.studies")
PLUGINS = "agfrun.plugins"

_MODELS: dict[str, type[ModelConfig]] = {}
_DATA: dict[str, type[DataConfig]] = {}
_STUDIES: dict[str, type[StudyConfig]] = {}
_NAMED: list[str] = []


def register_model(config: Model) -> Model:
    """Class decorator: make a network's configuration known under its default `name`.

    Raises:
        ValueError: another network has this name.
    """
    _add(_MODELS, config)
    return config


def register_data(config: Data) -> Data:
    """Class decorator: make a data set's configuration known under its default `name`.

    Raises:
        ValueError: another data set has this name.
    """
    _add(_DATA, config)
    return config


def register_study(config: Study) -> Study:
    """Class decorator: make a study's configuration known under its default `name`.

    Raises:
        ValueError: another study has this name.
    """
    _add(_STUDIES, config)
    return config


def models() -> Mapping[str, type[ModelConfig]]:
    """Configuration of every network by name, in alphabetical order."""
    _import_all()
    return dict(sorted(_MODELS.items()))


def data_sets() -> Mapping[str, type[DataConfig]]:
    """Configuration of every data set by name, in alphabetical order."""
    _import_all()
    return dict(sorted(_DATA.items()))


def studies() -> Mapping[str, type[StudyConfig]]:
    """Configuration of every study by name, in alphabetical order."""
    _import_all()
    return dict(sorted(_STUDIES.items()))


def imported(group: str) -> Mapping[str, type]:
    """What one of `GROUPS` has so far: everything from outside, the built-in only as far as something imported it."""
    _import_plugins()
    found: dict[str, Mapping[str, type]] = {"model": _MODELS, "data": _DATA, "study": _STUDIES}
    return dict(found[group])


def import_module(source: str) -> ModuleType:
    """Import a module that registers networks or data sets: a file ending in `.py`, or a module's name.

    Raises:
        UsageError: there is no such file or module, or it cannot be imported.
    """
    path = Path(source).expanduser()
    try:
        module = _import_file(path) if path.suffix == ".py" else importlib.import_module(source)
    except Exception as error:  # whatever a stranger's module raises
        raise UsageError(f"--import {source}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    if source not in _NAMED:
        _NAMED.append(source)
    return module


def named_modules() -> tuple[str, ...]:
    """What `import_module` was asked for, so that a run can say which command repeats it."""
    return tuple(_NAMED)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"there is no such file in {Path.cwd()}" if not path.is_absolute() else "no such file")
    known = sys.modules.get(path.stem)
    if known is not None:
        if known.__file__ is not None and Path(known.__file__).resolve() == path.resolve():
            return known
        raise ImportError(f"a module called {path.stem} is already in use; give the file another name")
    # The name is the file's, so that other processes find the module when its folder is on their path.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _import_all() -> None:
    _import_built_in()
    _import_plugins()


@functools.cache
def _import_built_in() -> None:
    for package_name in BUILT_IN:
        package = importlib.import_module(package_name)
        for module in pkgutil.walk_packages(package.__path__, f"{package_name}."):
            importlib.import_module(module.name)


@functools.cache
def _import_plugins() -> None:
    for plugin in importlib.metadata.entry_points(group=PLUGINS):
        try:
            plugin.load()
        except Exception as error:
            raise UsageError(f"the plugin {plugin.name} ({plugin.value}) cannot be imported: "
                             f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _add(known: dict[str, type], config: type) -> None:
    """Register under the default `name`; a module that is imported anew replaces what it had registered."""
    name = {entry.name: entry.default for entry in dataclasses.fields(config)}["name"]
    if not isinstance(name, str):
        raise ValueError(f"{config.__qualname__} has no default for its field `name`")
    other = known.get(name)
    if other is not None and (other.__module__, other.__qualname__) != (config.__module__, config.__qualname__):
        raise ValueError(f"{name} is already registered by {other.__module__}")
    known[name] = config
