"""What a configuration may say: nothing that decides where, how and as whom code runs, or writes where it likes.

A configuration may be a stranger's: an experiment file, one that a run or a sweep has saved. Nothing in it is ever
instantiated; launchers are looked up by name in a closed table (`agfrun.sweep.launchers`). What of Hydra's own node
counts is a closed list, and all of it but where a run is written below the current folder, and what is swept, is what
the command line *alone* makes of it: the files in further folders that it does not choose itself have no say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser
from omegaconf.grammar_parser import parse

from agfrun.configuration.overrides import key_of, parsed
from agfrun.study.errors import AgfrunError, ConfigError, UsageError

RESOLVERS = frozenset({"now", "agfrun.first", "agfrun.run_name"})
# Of Hydra's node: what counts at all, and of that what a file may say that the command line does not choose.
HEEDED = ("hydra.run.dir", "hydra.sweep.dir", "hydra.mode", "hydra.verbose", "hydra.sweeper.params",
          "hydra.sweeper.max_batch_size", "hydra.launcher", "hydra/launcher")
SAID = ("hydra.run.dir", "hydra.sweep.dir", "hydra.mode", "hydra.sweeper.params")
# What differs between two compositions by itself.
RECORDS = ("hydra.overrides", "hydra.runtime.choices", "hydra.job.override_dirname")
RUN_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
TRACKERS = ("tracking.folder", "tracking.uri")
# Groups in which nothing can be swept by a file, or said by a saved plan without further looking.
OWN = ("hydra", "sweep", "tracking")

_RESOLVER = re.compile(r"\$\{\s*([^\s:${}]+)\s*:")
_SQLITE = re.compile(r"sqlite:///([\w./ -]+)")
_LAUNCH = "what runs the jobs, where and how, the command line says: hydra/launcher=NAME, hydra.launcher.KEY=VALUE"
_TRACK = "to whom runs are told the command line says: "
_NO_CODE = ("a configuration names no code; networks and studies of your own come with --import FILE, launchers are "
            "chosen by name")


def refuse_pickles(arguments: Sequence[str]) -> None:
    """Refuse Hydra's flag that runs a configuration from a pickle.

    Raises:
        UsageError: it is among the arguments, be it abbreviated.
    """
    for argument in arguments:
        if argument.startswith("--e"):
            raise UsageError(f"{argument} would load a pickle, which may run code; agfrun rerun RUN_DIR does a run "
                             "again")


def check_typed(overrides: Sequence[str]) -> None:
    """Look at what the command line says of Hydra: keys that count for nothing here are refused.

    Raises:
        ConfigError: names the first of them.
    """
    for override in parsed(overrides):
        key = key_of(override)
        ours = key in HEEDED or key.startswith(("hydra.launcher.", "hydra.sweeper.params."))
        if re.split(r"[./]", key)[0] == "hydra" and (not ours or override.package is not None):
            raise ConfigError(key, override.value(), f"of Hydra's keys {', '.join(HEEDED)} count here")


def words_of_command_line(overrides: Sequence[str]) -> list[str]:
    """Those overrides that decide where and how code runs and who is told of it."""
    return [override.input_line for override in parsed(overrides)
            if re.split(r"[./]", key_of(override))[0] in ("hydra", "tracking") and override.input_line is not None]


def check(composed: DictConfig, overrides: Sequence[str], alone: DictConfig | None) -> None:
    """Look through what Hydra composed.

    Args:
        composed: the whole tree, unresolved.
        overrides: those that were asked for.
        alone: what `words_of_command_line` alone compose to; None where every file is a shipped one.

    Raises:
        ConfigError: names the first key that asks for what a configuration must not.
    """
    values = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(values, dict)
    for key, value in _leaves(values):
        # The rest of Hydra's node is Hydra's own, and nothing of it is used.
        if key.partition(".")[0] != "hydra" or key.startswith(HEEDED):
            check_value(key, value)
    asked = {key_of(override) for override in parsed(overrides)}
    if alone is not None:
        _check_hydra(composed, alone, overrides)
        _check_tracking(composed, alone)
    _check_sweep(composed, asked)
    for key in RUN_FOLDERS:
        _check_folder(composed, key, overrides)


def check_value(key: str, value: Any) -> None:
    """Look at one value that is no mapping or list, under its dotted key, before lookups.

    Raises:
        ConfigError: it names code, or looks up what it must not.
    """
    if key.rpartition(".")[2] == "_target_":
        raise ConfigError(key, value, _NO_CODE)
    if isinstance(value, str) and "${" in value:
        for resolver in [*_RESOLVER.findall(value), *_called(value)]:
            if resolver not in RESOLVERS:
                raise ConfigError(key, value, f"only {', '.join(sorted(RESOLVERS))} may be looked up, and no "
                                  "environment")


def check_resolved(values: Any) -> None:
    """Look at a configuration as it is used, all lookups done.

    Raises:
        ConfigError: it names code.
    """
    for key, value in _leaves(values):
        if "_target_" in key.split("."):
            raise ConfigError(key, value, _NO_CODE)


def check_saved(overrides: Sequence[str], where: str) -> None:
    """Look at the overrides of a job that a plan has saved: whoever goes on with it has not typed them.

    Args:
        overrides: of the job.
        where: what saved them.

    Raises:
        ConfigError: one decides where code runs, or names a tracker that is not below the current folder.
        UsageError: one cannot be read.
    """
    for text in overrides:
        try:
            override = parsed([text])[0]
        except Exception as error:
            raise UsageError(f"{where} holds {text}, which is no override") from error
        key, value = key_of(override), override.value()
        group = re.split(r"[./]", key)[0]
        said = f"{where} says so; only the command line may"
        if group == "tracking":
            fine = (key == "tracking" and isinstance(value, str) and override.package is None) \
                or key in ("tracking.experiment", "tracking.name") or (key in TRACKERS and _is_below(key, value))
            if not fine:
                raise ConfigError(key, value, f"{said}: add {text} to it, or tracking=none")
        elif group in OWN:
            raise ConfigError(key, value, said)


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no mapping or list, with its dotted key."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, key)
    else:
        yield key, value


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


def _check_hydra(composed: DictConfig, alone: DictConfig, overrides: Sequence[str]) -> None:
    """All that a file has no say in is what the command line alone makes of it, as written and as looked up."""
    written, expected = _by_key(composed), _by_key(alone)
    chosen, choice = (OmegaConf.select(of, "hydra.runtime.choices")["hydra/launcher"] for of in (composed, alone))
    if chosen != choice:
        raise ConfigError("hydra/launcher", chosen, _LAUNCH)
    for key in [*sorted(written), *sorted(expected.keys() - written.keys())]:
        if written.get(key) != expected.get(key):
            raise ConfigError(key, written.get(key), _LAUNCH if key.startswith(("hydra.launcher", "hydra.sweeper"))
                              else f"of Hydra's keys an experiment says {', '.join(SAID)} alone")
    if _resolved(composed, "hydra.launcher") != _resolved(alone, "hydra.launcher"):
        key = next((key for key in written if key.startswith("hydra.launcher.")
                    and _resolved(composed, key) != _resolved(alone, key)), "hydra.launcher")
        raise ConfigError(key, _resolved(composed, key), f"it looks up what an experiment says; {_LAUNCH}")
    # Hydra adds those of the command line to what it finds there.
    recorded = OmegaConf.to_container(composed.hydra.overrides, resolve=False)
    assert isinstance(recorded, dict)
    if Counter([*recorded["hydra"], *recorded["task"]]) != Counter(overrides):
        raise ConfigError("hydra.overrides", recorded, "overrides are written on the command line alone")


def _by_key(composed: DictConfig) -> dict[str, Any]:
    """Hydra's node as written, but for what a file may say."""
    node = OmegaConf.to_container(composed.hydra, resolve=False)
    free = (*SAID, *RECORDS)
    return {key: value for key, value in _values(node, "hydra")
            if not any(key == start or key.startswith(f"{start}.") for start in free)}


def _values(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key; a list is one value, and so is an empty mapping."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _values(part, f"{key}.{name}")
    else:
        yield key, value


def _resolved(composed: DictConfig, key: str) -> Any:
    try:
        found = OmegaConf.select(composed, key)
        return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
    except OmegaConfBaseException as error:
        return str(error)


def _check_tracking(composed: DictConfig, alone: DictConfig) -> None:
    for key in TRACKERS:
        value = _resolved(composed, key)
        if value is not None and value != _resolved(alone, key) and not _is_below(key, value):
            what = "a file sqlite:///FILE" if key == "tracking.uri" else "a folder"
            raise ConfigError(key, value, f"{_TRACK}{key}=...; a configuration may name {what} below the current "
                              "folder")


def _is_below(key: str, value: Any) -> bool:
    """Whether it is a place below the current folder, and nothing else."""
    if key == "tracking.uri":
        file = _SQLITE.fullmatch(value) if isinstance(value, str) else None
        value = file[1] if file else None
    if not isinstance(value, str) or not value:
        return False
    place = PurePath(value)
    return not place.is_absolute() and ".." not in place.parts and ":" not in value


def _check_sweep(composed: DictConfig, asked: set[str]) -> None:
    """Which sweep is continued is asked for on the command line, and so is all that only a command line may say."""
    resumed = OmegaConf.select(composed, "sweep.resume")
    if resumed is not None and "sweep.resume" not in asked:
        raise ConfigError("sweep.resume", resumed, "which sweep is continued the command line says")
    swept = _resolved(composed, "hydra.sweeper.params")
    if not isinstance(swept, Mapping | None):
        raise ConfigError("hydra.sweeper.params", swept, "write KEY: VALUE,VALUE below it")
    for key, value in (swept or {}).items():
        try:
            name = key_of(parsed([f"{key}={value}"])[0])
        except Exception as error:
            raise ConfigError(f"hydra.sweeper.params.{key}", value, "write KEY: VALUE,VALUE") from error
        if re.split(r"[./]", name)[0] in OWN:
            raise ConfigError(f"hydra.sweeper.params.{key}", value, "no key that a sweep runs over")


def _check_folder(composed: DictConfig, key: str, overrides: Sequence[str]) -> None:
    """Where a run is written the command line may say freely; a configuration names a place below the current one."""
    if key == "hydra.sweep.dir" and OmegaConf.select(composed, "sweep.resume") is not None:
        return  # the sweep that is continued
    try:
        value = OmegaConf.select(composed, key)
    except (OmegaConfBaseException, AgfrunError):  # to be told when it is used; it is judged as it is written
        parent, _, name = key.rpartition(".")
        written: Any = OmegaConf.to_container(OmegaConf.select(composed, parent), resolve=False)
        value = written[name]
    if value == "":
        raise ConfigError(key, value, "must name a folder, such as outputs/mine; the current one is .")
    typed = [text for name, _, text in (override.partition("=") for override in overrides) if name.lstrip("+") == key]
    if not isinstance(value, str) or (typed and "${" not in typed[-1]):
        return
    # Of what was typed before its first lookup it can be anywhere; what is looked up leads on from there.
    start = typed[-1].partition("${")[0] if typed else ""
    rest = PurePath(value.removeprefix(start))
    if (not start and rest.is_absolute()) or ".." in rest.parts or (not start and ":/" in value):
        raise ConfigError(key, value, "a configuration writes below the current folder; another is named on the "
                          "command line")
