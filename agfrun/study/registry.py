"""What can be chosen by name: for every slot of the settings (study, model, data, train, init, ...) its choices.

A class is registered for a slot where it is defined: within a laboratory, or in a module from outside that the user
names with `--import` or that an installed package declares as an entry point of the group `agfrun.plugins`. Nothing
else is ever imported, and no more than is asked for: a study NAME of a laboratory lies in `labs/LAB/studies/NAME.py`,
one of no laboratory in `studies/NAME.py`, and the other choices of a laboratory in the packages that its `CHOICES`
names, claims of papers in those that its `PAPER_CLAIMS` names. A configuration chooses among what is registered and
cannot name code.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from agfrun.study.config_tree import config_directory
from agfrun.study.errors import UsageError

STUDY = "study"
PLUGINS = "agfrun.plugins"
LABS = "agfrun.labs"
_PACKAGE = "agfrun."

Kind = TypeVar("Kind", bound=type)

_CHOICES: dict[str, dict[str, type]] = {}
_NAMED: list[str] = []


def register(slot: str, *names: str) -> Callable[[Kind], Kind]:
    """Class decorator: make a dataclass known as a choice of a slot.

    Args:
        slot: name of the slot, such as `model`, `data` or `study`: a field of the settings of a study.
        names: under which it can be chosen; by default that of its field `name`.

    Raises:
        ValueError: another class has a name, or there is none.
    """
    def add(kind: Kind) -> Kind:
        check = getattr(kind, "check_declaration", None)
        if check is not None:
            check()
        for name in names or (_default_name(kind),):
            _add(slot, name, kind)
        return kind

    return add


def choices(slot: str, base: type = object) -> Mapping[str, type]:
    """The registered choices of a slot that are of a type, by name in alphabetical order.

    Args:
        slot: of the settings.
        base: what the slot's choices derive from; that type's laboratory is imported first.
    """
    import_choices(base)
    _import_plugins()
    found = _CHOICES.get(slot, {})
    return {name: found[name] for name in sorted(found) if issubclass(found[name], base)}


def default_choice(slot: str, name: str, base: type) -> Any:
    """The choice of a slot that is made where nothing is said, with its defaults; for `default_factory` of a field.

    Args:
        slot: of the settings.
        name: of the choice, which is built in.
        base: what the slot's choices derive from.
    """
    kind = study_type(name) if slot == STUDY else choices(slot, base)[name]
    assert kind is not None
    return kind()


def registered(slot: str) -> Mapping[str, type]:
    """What was registered for a slot so far: everything from outside, the built-in as far as something imported it."""
    _import_plugins()
    return dict(_CHOICES.get(slot, {}))


def study_type(name: str) -> type | None:
    """The study of a name; imports its own module alone, if it is built in. None: there is none."""
    for module in _study_modules(name):
        importlib.import_module(module)
    if name not in _CHOICES.get(STUDY, {}):
        _import_plugins()
    return _CHOICES.get(STUDY, {}).get(name)


def studies() -> Mapping[str, type]:
    """Every study by name; imports the module of each."""
    for module in _study_modules():
        importlib.import_module(module)
    return choices(STUDY)


def laboratory_of(module: str) -> str:
    """Name of the laboratory that a module belongs to; empty for the shared part and for what is from outside."""
    parts = module.split(".")
    return parts[2] if module.startswith(f"{LABS}.") else ""


def laboratory_of_study(name: str) -> str:
    """Name of the laboratory of a built-in study, without importing it; empty where it is of none."""
    return next((laboratory_of(module) for module in _study_modules(name)), "")


def laboratories() -> list[str]:
    """Names of the laboratories, in alphabetical order; imports none."""
    return sorted(module.name for module in pkgutil.iter_modules(importlib.import_module(LABS).__path__))


def paper_claim_files(laboratory: str) -> dict[str, Path]:
    """Modules in which a laboratory registers claims of papers, each with its file; imports none of them."""
    found = {}
    for part in getattr(importlib.import_module(f"{LABS}.{laboratory}"), "PAPER_CLAIMS", ()):
        spec = importlib.util.find_spec(f"{LABS}.{laboratory}.{part}")
        if spec is None or spec.origin is None:
            raise ImportError(f"the laboratory {laboratory} has no {part}, which its PAPER_CLAIMS names")
        found[spec.name] = Path(spec.origin)
        for folder in spec.submodule_search_locations or ():
            found |= {f"{spec.name}.{path.stem}": path for path in sorted(Path(folder).glob("[!_]*.py"))}
    return found


def import_paper_claims(names: Iterable[str]) -> None:
    """Import what registers claims of papers: in these laboratories, and from outside."""
    for name in names:
        for module in paper_claim_files(name):
            importlib.import_module(module)
    _import_plugins()


def import_choices(base: type) -> None:
    """Import what the laboratory of a type offers for its slots."""
    if name := laboratory_of(base.__module__):
        _import_laboratory(name)


def import_module(source: str) -> ModuleType:
    """Import a module that registers something: a file ending in `.py`, or a module's name.

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


def command_of(*words: object) -> str:
    """A command line that knows what this one knows, `agfrun --import mine.py WORDS`, as a shell takes it."""
    named = [word for source in _NAMED for word in ("--import", source)]
    return shlex.join(map(str, ("agfrun", *named, *words)))


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


def _study_modules(name: str | None = None) -> Iterator[str]:
    """The built-in modules of a study, or of all."""
    if name is not None and not name.isidentifier():
        return  # a stranger's configuration may hold a pattern of files, or a way out of the package
    package = Path(importlib.import_module(LABS).__path__[0]).parent
    file = f"{name or '*'}.py"
    for path in [*sorted(package.glob(f"labs/*/studies/{file}")), *sorted(package.glob(f"studies/{file}"))]:
        if path.stem != "__init__":
            yield _PACKAGE + ".".join(path.relative_to(package).with_suffix("").parts)


@functools.cache
def _import_laboratory(name: str) -> None:
    laboratory = importlib.import_module(f"{LABS}.{name}")
    for part in laboratory.CHOICES:
        package = importlib.import_module(f"{LABS}.{name}.{part}")
        for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
            importlib.import_module(module.name)


@functools.cache
def _import_plugins() -> None:
    for plugin in importlib.metadata.entry_points(group=PLUGINS):
        try:
            plugin.load()
        except Exception as error:
            raise UsageError(f"the plugin {plugin.name} ({plugin.value}) cannot be imported: "
                             f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _default_name(kind: type) -> str:
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    name = {entry.name: entry.default for entry in fields}.get("name")
    if not isinstance(name, str):
        raise ValueError(f"{kind.__qualname__} has no default for its field `name`; is it a dataclass?")
    return name


def _add(slot: str, name: str, kind: type) -> None:
    """A module that is imported anew replaces what it had registered."""
    known = _CHOICES.setdefault(slot, {})
    other = known.get(name)
    if other is not None and (other.__module__, other.__qualname__) != (kind.__module__, kind.__qualname__):
        raise ValueError(f"{name} is already registered by {other.__module__}")
    # What is built in may not have been imported yet; its configuration is there all the same.
    if not kind.__module__.startswith(_PACKAGE) and (config_directory() / slot / f"{name}.yaml").is_file():
        raise ValueError(f"{name} is already registered by agfrun: choose another name")
    known[name] = kind
