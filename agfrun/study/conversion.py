"""Strict conversion of plain values to the typed configuration: every key known, every type right.

Which keys there are the chosen study says, by its settings type.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from agfrun.study import registry
from agfrun.study.config_tree import shipped_choices, shipped_keys, slot_groups
from agfrun.study.errors import ConfigError, closest, did_you_mean
from agfrun.study.settings import RunSettings, validate
from agfrun.study.study import Choice, Study

Part = TypeVar("Part")

_DESCRIPTIONS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a word",
    list[int]: "a list of integers such as [1,3,5]",
    list[float]: "a list of numbers such as [10,5,2.5]",
    list[str]: "a list of words such as [png,pdf]",
    list[list[int]]: "a list of lists of integers such as [[2,2],[2,3]]",
    dict[str, Any]: "a mapping {key: value, ...}",
}


def from_mapping(values: Mapping[str, Any]) -> Any:
    """Convert nested plain values (as in a run's config.yaml) to the validated, typed configuration of their study.

    Integers are accepted for floats, and whole floats (`1e5`) for integers; nothing else is converted.

    Returns:
        The settings of the study: an instance of its `settings` type.

    Raises:
        ConfigError: names the first key that is unknown or whose value is not allowed.
    """
    study = chosen_study(values)
    return validate(_build(study.settings, values, "", str(values["study"]["name"])))


def from_plain(kind: type[Part], values: Any, prefix: str) -> Part:
    """Convert plain values to one of the dataclasses of the configuration, without checking ranges.

    Raises:
        ConfigError: names the first key, after `prefix`, that is unknown or whose value has the wrong type.
    """
    made: Part = _build(kind, values, f"{prefix}.", "")
    return made


def slots_of(settings: type) -> dict[str, type]:
    """The slots of a settings type by name, with what their choices derive from."""
    return {name: kind for name, kind in field_types(settings).items()
            if isinstance(kind, type) and issubclass(kind, Choice)}


def field_types(kind: type) -> dict[str, Any]:
    """Type of every field of a dataclass by name."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def unknown_key(key: str, value: object, study: str = "") -> ConfigError:
    """The error for a key that the configuration does not have.

    It says which choice of the key's group has it, that the study has no such group, or which key is the closest.

    Args:
        key, value: as they were written.
        study: name of the chosen study; empty where it is not known.
    """
    kind = registry.study_type(study) if study else None
    settings = kind.settings if kind is not None else RunSettings  # type: ignore[attr-defined]
    if key in settings.removed():
        return ConfigError(key, value, settings.removed()[key])
    known = known_keys(settings, study)
    having = known.get(key)
    group, _, last = key.partition(".")
    if having:
        return ConfigError(key, value, f"it belongs to {' and '.join(f'{group}={name}' for name in having)}")
    if group not in known and group != "hydra" and (group in slot_groups() or last):
        return ConfigError(key, value, _not_of_study(key, study, known))
    if key in known and last:
        return ConfigError(key, value, f"the configuration of study={study} does not name it; write +{key}=VALUE")
    if group != registry.STUDY:  # keys of other studies are no help
        known = {name: having for name, having in known.items() if not name.startswith(f"{registry.STUDY}.")
                 or not having or study in having}
    hint = did_you_mean(_closest_key(key, known)) or _keys_there(group, known)
    link = "" if hint.endswith("?") else ";"
    return ConfigError(key, value, f"there is no such key{hint}{link} {_what_shows_all(group, study)}")


def _not_of_study(key: str, study: str, known: Mapping[str, Any]) -> str:
    group, groups = key.partition(".")[0], [name for name in known if "." not in name]
    # A group that other studies have is no slip.
    near = None if group in slot_groups() else _closest_key(key, known) or closest(group, groups)
    told = f"study={study} has no {group}; it has {', '.join(groups)}" if study else "there is no such key"
    return f"{told}{did_you_mean(near)}"


@functools.cache
def known_keys(settings: type, study: str) -> dict[str, list[str]]:
    """Every dotted key of a settings type, with the choices of its group that have it where not all of them do."""
    known: dict[str, list[str]] = {}
    for group, kind in field_types(settings).items():
        known[group] = []
        if not dataclasses.is_dataclass(kind):
            continue
        fields = _fields_by_choice(group, kind, study)  # type: ignore[arg-type]
        for field in [field for choice in fields.values() for field in choice]:
            having = [name for name, choice in fields.items() if field in choice]
            known[f"{group}.{field}"] = having if len(having) < len(fields) else []
    return known


def _fields_by_choice(group: str, kind: type, study: str) -> dict[str, list[str]]:
    """The keys of each choice of a group; those of shipped choices from their files, without importing them."""
    if not issubclass(kind, Choice):
        return {"": list(field_types(kind))}
    found = {name: list(field_types(choice)) for name, choice in registry.registered(group).items()
             if issubclass(choice, kind)}
    shipped = shipped_keys(group)
    if group == registry.STUDY:
        return dict(sorted({**found, **shipped}.items()))
    allowed = suiting(group, study)
    return dict(sorted({**found, **{name: keys for name, keys in shipped.items() if name in allowed}}.items()))


def suiting(group: str, study: str) -> list[str]:
    """The shipped choices of a group that belong to the laboratory of a study, from the files' first lines alone."""
    kind = registry.study_type(study) if study else None
    laboratory = registry.laboratory_of(kind.settings.__module__) if kind is not None else ""  # type: ignore[attr-defined]
    return [name for name, of in shipped_choices(group).items() if of == laboratory or not of]


def _closest_key(key: str, known: Mapping[str, Any]) -> str | None:
    """The closest key of the same group, else the closest of all, in full or by its last part."""
    group, _, last = key.rpartition(".")
    same_group = _keys_of(group, known)
    if name := closest(last, same_group):
        return f"{group}.{name}"
    everywhere = {name.rpartition(".")[2]: name for name in reversed(list(known))}
    if (name := closest(last, everywhere)) and "." in everywhere[name]:
        return everywhere[name]
    return None if same_group else closest(key, known)


def _keys_there(group: str, known: Mapping[str, Any]) -> str:
    keys = _keys_of(group, known)
    return f"; {group} has the keys {', '.join(keys)}" if keys else ""


def _what_shows_all(group: str, study: str) -> str:
    if group == "hydra":
        return "agfrun --cfg hydra shows the keys"
    return f"agfrun study={study} --help shows all" if study else "agfrun --cfg job shows the keys"


def _keys_of(group: str, known: Mapping[str, Any]) -> list[str]:
    return [name.rpartition(".")[2] for name in known if group and name.startswith(f"{group}.")]


def chosen_study(values: Any) -> type[Study]:
    """The study that a configuration names.

    Raises:
        ConfigError: it names none, or one that there is not.
    """
    chosen = values.get("study")
    if not isinstance(chosen, Mapping):
        raise ConfigError("study", chosen, f"choose one of {', '.join(_shipped_studies())}")
    name = chosen.get("name")
    kind = registry.study_type(name) if isinstance(name, str) else None
    if kind is None:
        known = sorted({*_shipped_studies(), *registry.registered(registry.STUDY)})
        raise ConfigError("study.name", name, f"choose one of {', '.join(known)}{did_you_mean(closest(name, known))}")
    return kind


def _shipped_studies() -> list[str]:
    return sorted(shipped_choices(registry.STUDY))


def _build(kind: type, values: Mapping[str, Any], prefix: str, study: str) -> Any:
    """The dataclass `kind` from plain values, every key known and every type right."""
    types = field_types(kind)
    for key, value in values.items():
        if key not in types:
            raise unknown_key(f"{prefix}{key}", value, study)
    for slot, base in slots_of(kind).items():
        if slot not in values:
            raise ConfigError(slot, None, f"choose one of {', '.join(registry.choices(slot, base))}")
    return kind(**{key: _convert(f"{prefix}{key}", value, types[key], study) for key, value in values.items()})


def _convert(key: str, value: Any, kind: Any, study: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            chosen = f"; a choice, {key}={value}, stands among a file's defaults: - override /{key}: {value}"
            raise ConfigError(key, value, "must be a group of keys: {key: value, ...}"
                              f"{chosen if isinstance(value, str) else ''}")
        assert isinstance(kind, type)
        choice = _choice(key, value.get("name"), kind, study) if issubclass(kind, Choice) else kind
        return _build(choice, value, f"{key}.", study)
    try:
        return _plain(value, kind)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(key, value, f"must be {_describe(kind)}{_plainly_written(value, kind)}") from None


def _plainly_written(value: Any, kind: Any) -> str:
    """How numbers are written, where one seems to be meant: `1,5e-3`, `1 000`, or one in quotes."""
    kinds = set(get_args(kind) if isinstance(kind, UnionType) else (kind,)) & {int, float}
    meant = isinstance(value, str) and kinds and any(letter.isdigit() for letter in value)
    example = "0.0015 or 1.5e-3" if float in kinds else "1000"
    return f"; write it without quotes, blanks and commas, such as {example}" if meant else ""


def _choice(slot: str, name: Any, base: type, study: str) -> type:
    """The dataclass of the slot's choice called `name`."""
    if slot == registry.STUDY:
        return chosen_study({slot: {"name": name}})
    known = registry.choices(slot, base)
    if not isinstance(name, str) or name not in known:
        hint = did_you_mean(closest(name, known))
        raise ConfigError(f"{slot}.name", name, f"choose one of {', '.join(known)} with study={study}{hint}")
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
