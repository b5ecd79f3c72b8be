"""Strict conversion of plain values to the typed configuration: every key known, every type right."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from agfrun.study import registry
from agfrun.study.config_tree import shipped_keys
from agfrun.study.errors import ConfigError, closest, did_you_mean
from agfrun.study.schema import TRAINERS, InitConfig, RunConfig
from agfrun.study.validation import validate

Part = TypeVar("Part")

# The groups of which one choice is made by `name`.
GROUPS = ("model", "data", "init", "train", "study")
_DESCRIPTIONS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a word",
    list[int]: "a list of integers such as [1,3,5]",
    list[float]: "a list of numbers such as [10,5,2.5]",
    list[str]: "a list of words such as [png,pdf]",
    dict[str, Any]: "a mapping {key: value, ...}",
}


def from_mapping(values: Mapping[str, Any]) -> RunConfig:
    """Convert nested plain values (as in a run's config.yaml) to the validated, typed configuration.

    Integers are accepted for floats, and whole floats (`1e5`) for integers; nothing else is converted.

    Raises:
        ConfigError: names the first key that is unknown or whose value is not allowed.
    """
    return validate(_build(RunConfig, values, ""))


def from_plain(kind: type[Part], values: Any, prefix: str) -> Part:
    """Convert plain values to one of the dataclasses of the configuration, without checking ranges.

    Raises:
        ConfigError: names the first key, after `prefix`, that is unknown or whose value has the wrong type.
    """
    made: Part = _build(kind, values, f"{prefix}.")
    return made


def choices(group: str) -> Mapping[str, type]:
    """The dataclass of each choice of one of `GROUPS`, by name."""
    if group == "model":
        return registry.models()
    if group == "data":
        return registry.data_sets()
    if group == "study":
        return registry.studies()
    if group == "init":
        known = (name for model in registry.models().values() for name in model.initializations)
        return dict.fromkeys(sorted(set(known)), InitConfig)
    return TRAINERS


def field_types(kind: type) -> dict[str, Any]:
    """Type of every field of a dataclass by name."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def unknown_key(key: str, value: object) -> ConfigError:
    """The error for a key that the configuration does not have: where it belongs, or the closest key."""
    having = known_keys().get(key)
    if having:
        group = key.partition(".")[0]
        return ConfigError(key, value, f"it belongs to {' and '.join(f'{group}={name}' for name in having)}")
    hint = did_you_mean(_closest_key(key)) or _where_to_look(key.partition(".")[0])
    return ConfigError(key, value, f"there is no such key{hint}")


@functools.cache
def known_keys() -> dict[str, list[str]]:
    """Every dotted key, with the choices of its group that have it where not all of them do."""
    known: dict[str, list[str]] = {}
    for group, kind in field_types(RunConfig).items():
        known[group] = []
        if not dataclasses.is_dataclass(kind):
            continue
        fields = _fields_by_choice(group, kind)  # type: ignore[arg-type]
        for field in [field for choice in fields.values() for field in choice]:
            having = [name for name, choice in fields.items() if field in choice]
            known[f"{group}.{field}"] = having if len(having) < len(fields) else []
    return known


def _fields_by_choice(group: str, kind: type) -> dict[str, list[str]]:
    """The keys of each choice of a group; those of the built-in networks without importing them, and so torch."""
    if group in registry.GROUPS:
        outside = {name: list(field_types(choice)) for name, choice in registry.imported(group).items()}
        return dict(sorted({**outside, **shipped_keys(group)}.items()))
    if group == "init":
        return {"": list(field_types(InitConfig))}
    of_group = TRAINERS if group == "train" else {"": kind}
    return {name: list(field_types(choice)) for name, choice in of_group.items()}


def _closest_key(key: str) -> str | None:
    """The closest key of the same group, else the closest of all, in full or by its last part."""
    group, _, last = key.rpartition(".")
    same_group = _keys_of(group)
    if name := closest(last, same_group):
        return f"{group}.{name}"
    everywhere = {known.rpartition(".")[2]: known for known in reversed(known_keys())}
    if (name := closest(last, everywhere)) and "." in everywhere[name]:
        return everywhere[name]
    return None if same_group else closest(key, known_keys())


def _where_to_look(group: str) -> str:
    if keys := _keys_of(group):
        return f"; {group} has the keys {', '.join(keys)}"
    return f"; agfrun --cfg {'hydra' if group == 'hydra' else 'job'} shows the keys"


def _keys_of(group: str) -> list[str]:
    return [known.rpartition(".")[2] for known in known_keys() if group and known.startswith(f"{group}.")]


def _build(kind: type, values: Mapping[str, Any], prefix: str = "") -> Any:
    """The dataclass `kind` from plain values, every key known and every type right."""
    types = field_types(kind)
    for key, value in values.items():
        if key not in types:
            raise unknown_key(f"{prefix}{key}", value)
    for key in GROUPS if kind is RunConfig else ():
        if key not in values:
            raise ConfigError(key, None, f"choose one of {', '.join(choices(key))}")
    return kind(**{key: _convert(f"{prefix}{key}", value, types[key]) for key, value in values.items()})


def _convert(key: str, value: Any, kind: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ConfigError(key, value, "must be a group of keys: {key: value, ...}")
        choice = _choice(key, value.get("name")) if key in GROUPS else kind
        return _build(choice, value, f"{key}.")  # type: ignore[arg-type]
    try:
        return _plain(value, kind)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(key, value, f"must be {_describe(kind)}") from None


def _choice(group: str, name: Any) -> type:
    """The dataclass of the group's choice called `name`."""
    known = choices(group)
    if not isinstance(name, str) or name not in known:
        hint = did_you_mean(closest(name, known))
        raise ConfigError(f"{group}.name", name, f"choose one of {', '.join(known)}{hint}")
    return known[name]


def _plain(value: Any, kind: Any) -> Any:
    """Convert without loss, or raise TypeError. A bool is no number here, though Python says so."""
    if isinstance(kind, UnionType):
        return None if value is None else _plain(value, get_args(kind)[0])
    if get_origin(kind) is list and isinstance(value, list):
        return [_plain(item, get_args(kind)[0]) for item in value]
    if get_origin(kind) is dict and isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}  # the part that it belongs to checks what is in it
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number:
        return float(value)
    if kind is int and number and int(value) == value:
        return int(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str | int | float):
        return str(value)  # the check of the choices says what is allowed
    raise TypeError


def _describe(kind: Any) -> str:
    if isinstance(kind, UnionType):
        return f"{_DESCRIPTIONS[get_args(kind)[0]]}, or null"
    return _DESCRIPTIONS[kind]
