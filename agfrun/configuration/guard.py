"""What a configuration may ask of Hydra: nothing that runs code, reads the environment or writes where it likes.

Hydra calls whatever a configuration names under `_target_`, hands `hydra.job_logging` to `logging.config`, which calls
what it finds under `()` and `class`, and interpolates the environment. A configuration may be a stranger's. So every
configuration that Hydra has composed is looked through before anything in it is used.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser
from omegaconf.grammar_parser import parse

from agfrun.study.errors import ConfigError, UsageError

# What the shipped configurations name.
TARGETS = frozenset({
    "agfrun.configuration.hydra_folders.RemoveEmptyFolders",
    *(f"hydra_plugins.agfrun_launcher.launcher.{name}" for name in (
        "AgfrunSweeper", "LocalLauncher", "SerialLauncher", "SlurmLauncher", "RayLauncher")),
})
RESOLVERS = frozenset({"now", "agfrun.first", "agfrun.run_name"})
LOG_HANDLERS = frozenset({"logging.StreamHandler", "logging.NullHandler"})
FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.output_subdir", "tracking.folder",
           "tracking.uri")
# Where the user, or whoever the user named, says in which folders configurations are found.
SEARCHED = frozenset({"main", "command-line", "hydra.searchpath in main", "hydra.searchpath in command-line"})

_RESOLVER = re.compile(r"\$\{\s*([^\s:${}]+)\s*:")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*(?=://)")


def install() -> None:
    """From now on every configuration that Hydra composes is checked; calling it again changes nothing."""
    load, search = ConfigLoaderImpl.load_configuration, ConfigRepository.initialize_sources
    if hasattr(load, "is_guarded"):
        return

    @functools.wraps(load)
    def guarded(self: ConfigLoaderImpl, config_name: str | None, overrides: list[str], *arguments: Any,
                **options: Any) -> DictConfig:
        composed = load(self, config_name, overrides, *arguments, **options)
        check(composed, overrides)
        return composed

    guarded.is_guarded = True  # type: ignore[attr-defined]
    ConfigLoaderImpl.load_configuration = guarded  # type: ignore[method-assign]
    ConfigRepository.initialize_sources = _searching_folders_alone(search)  # type: ignore[method-assign]


def _searching_folders_alone(search: Callable[..., None]) -> Callable[..., None]:
    """Hydra imports a package to look for configurations in it (`pkg://NAME`), before anything is composed."""
    @functools.wraps(search)
    def guarded(self: ConfigRepository, config_search_path: ConfigSearchPath) -> None:
        for entry in config_search_path.get_path():
            scheme = _SCHEME.match(entry.path or "")
            if entry.provider in SEARCHED and scheme and scheme[0] != "file":
                raise ConfigError("hydra.searchpath", entry.path, "configurations are found in folders: file://DIR")
        search(self, config_search_path)

    return guarded


def refuse_pickles(arguments: Sequence[str]) -> None:
    """Refuse Hydra's flag that runs a configuration from a pickle.

    Raises:
        UsageError: it is among the arguments, be it abbreviated.
    """
    for argument in arguments:
        if argument.startswith("--e"):
            raise UsageError(f"{argument} would load a pickle, which may run code; agfrun rerun RUN_DIR does a run "
                             "again")


def check(composed: DictConfig, overrides: Sequence[str] = ()) -> None:
    """Look through a composed configuration.

    Args:
        composed: what Hydra composed, with or without its `hydra` node.
        overrides: those that were asked for, be they of Hydra or of the run.

    Raises:
        ConfigError: names the first key that asks for what a configuration must not.
    """
    values = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(values, dict)
    for key, value in _leaves(values, ""):
        check_value(key, value)
    if isinstance(hydra := values.get("hydra"), dict):
        asked = {_key(override) for override in overrides}
        _check_hydra(hydra, overrides)
        _check_sweep(composed, hydra, asked)
        for name in FOLDERS:
            if name not in asked:
                _check_folder(composed, name)


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every value that is no mapping or list, with its dotted key."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, key)
    else:
        yield key, value


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def check_value(key: str, value: Any) -> None:
    """Look at one value that is no mapping or list, under its dotted key.

    Raises:
        ConfigError: it names code, or looks up what it must not.
    """
    if key.rpartition(".")[2] == "_target_" and value not in TARGETS:
        raise ConfigError(key, value, "a configuration names no code; networks and studies of your own come with "
                          "--import FILE")
    if isinstance(value, str) and "${" in value:
        for resolver in [*_RESOLVER.findall(value), *_called(value)]:
            if resolver not in RESOLVERS:
                raise ConfigError(key, value, f"only {', '.join(sorted(RESOLVERS))} may be looked up, and no "
                                  "environment")


def _called(value: str) -> Iterator[str]:
    """Resolvers as OmegaConf reads them: a name can itself be put together by lookups, `${oc.${x}:HOME}`."""
    try:
        waiting: list[Any] = [parse(value)]
    except GrammarParseError:  # nor can it be resolved
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, OmegaConfGrammarParser.InterpolationResolverContext):
            yield node.resolverName().getText()  # type: ignore[no-untyped-call]
        waiting.extend(getattr(node, "children", None) or [])


def _check_hydra(hydra: Mapping[str, Any], overrides: Sequence[str]) -> None:
    for part in ("job_logging", "hydra_logging"):
        for key, value in _leaves(hydra.get(part), f"hydra.{part}"):
            name = key.rpartition(".")[2]
            if isinstance(value, str) and "${" in value and (key, value) != ("hydra.hydra_logging",
                                                                             "${hydra.job_logging}"):
                raise ConfigError(key, value, "how to log is written out, without lookups")
            if name == "()" or (name == "class" and value not in LOG_HANDLERS):
                raise ConfigError(key, value, f"logging goes to {' or '.join(sorted(LOG_HANDLERS))}")
            if isinstance(value, str) and value.startswith("ext://") and value not in ("ext://sys.stderr",
                                                                                    "ext://sys.stdout"):
                raise ConfigError(key, value, "logging goes to ext://sys.stderr or ext://sys.stdout")
    for name, what in (("env_copy", "reads"), ("env_set", "sets")):
        if found := (hydra.get("job") or {}).get(name):  # its names alone: a value may be a secret
            raise ConfigError(f"hydra.job.{name}", list(found), f"a configuration {what} no environment")
    # Hydra adds those of the command line to what it finds there, and uses all of them.
    recorded = hydra.get("overrides") or {}
    if Counter([*(recorded.get("hydra") or []), *(recorded.get("task") or [])]) != Counter(overrides):
        raise ConfigError("hydra.overrides", recorded, "overrides are written on the command line alone")
    for path in hydra.get("searchpath") or []:
        if not str(path).startswith("file://"):
            raise ConfigError("hydra.searchpath", path, "configurations are found in folders: file://DIR")


def _check_sweep(composed: DictConfig, hydra: Mapping[str, Any], asked: Collection[str]) -> None:
    """Which sweep is continued is asked for on the command line, and so is all that only a command line may say."""
    resumed = OmegaConf.select(composed, "sweep.resume")
    if resumed is not None and "sweep.resume" not in asked:
        raise ConfigError("sweep.resume", resumed, "which sweep is continued the command line says")
    swept = (hydra.get("sweeper") or {}).get("params") or {}
    for key in map(_key, swept):
        if key.startswith("hydra") or key in (*FOLDERS, "sweep.resume"):
            raise ConfigError(f"hydra.sweeper.params.{key}", swept, "no key that a sweep runs over")


def _check_folder(composed: DictConfig, key: str) -> None:
    """Where a run is written the command line may say freely; a configuration names a place below the current one."""
    try:
        value = OmegaConf.select(composed, key)
    except OmegaConfBaseException:  # Hydra's to report, unless a job is yet to fill it in
        parent, _, name = key.rpartition(".")
        value = OmegaConf.to_container(OmegaConf.select(composed, parent), resolve=False)[name]  # type: ignore
    if key == "hydra.sweep.dir" and OmegaConf.select(composed, "sweep.resume") is not None:
        return  # the sweep that is continued
    if not isinstance(value, str):
        return
    place = PurePath(value.removeprefix("sqlite:///") if key == "tracking.uri" else value)
    if place.is_absolute() or ".." in place.parts or ":/" in str(place):
        raise ConfigError(key, value, "a configuration writes below the current folder; another is named on the "
                          "command line")
