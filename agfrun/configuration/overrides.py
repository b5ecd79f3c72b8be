"""Overrides as they are typed: what is done with them before Hydra reads them, and how one is written out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString

from agfrun.study.errors import ConfigError

SEARCHPATH = "hydra.searchpath"
_HOME = re.compile(r"~[\w.-]*(/.*)?")
_PLAIN = re.compile(r"[\w/.:%+@-]+")


def parsed(overrides: Sequence[str]) -> list[Override]:
    """Overrides as Hydra understands them."""
    return list(OverridesParser.create().parse_overrides(list(overrides)))


def key_of(override: Override) -> str:
    """The key or group of an override, without `+`, `~` and package."""
    return str(override.key_or_group)


def quoted(value: str) -> str:
    """A text as the value of an override that means just it, whatever characters it has."""
    return value if _PLAIN.fullmatch(value) else str(QuotedString(value, Quote.single).with_quotes())


def at_home(overrides: Sequence[str]) -> list[str]:
    """The overrides with `~/FILE` as what a shell would have made of it: none does in `KEY=~/FILE`."""
    return [_at_home(override) for override in overrides]


def _at_home(override: str) -> str:
    key, equals, value = override.partition("=")
    if "~" not in value or set(value) & set("'\"[]{}") or (not value.startswith("~") and "(" in value):
        return override  # which is quoted, or has values within values
    parts = [quoted(str(Path(part).expanduser())) if _HOME.fullmatch(part) and _is_of_somebody(part) else part
             for part in value.split(",")]
    return f"{key}{equals}{','.join(parts)}"


def _is_of_somebody(path: str) -> bool:
    try:
        return not str(Path(path).expanduser()).startswith("~")
    except RuntimeError:  # there is no such user
        return False


def searched(overrides: Sequence[str], config_dirs: Sequence[str]) -> tuple[list[str], list[str]]:
    """The folders in which configurations are found, those that `hydra.searchpath` names too, and other overrides.

    Hydra would import a package to look for configurations in it (`pkg://NAME`).

    Raises:
        ConfigError: it names something else than folders.
    """
    named, others = [str(Path(folder).expanduser().absolute()) for folder in config_dirs], []
    for override in overrides:
        if override.partition("=")[0].lstrip("+~") != SEARCHPATH:
            others.append(override)
            continue
        named += [_folder(path) for path in _paths(override)]
    return list(dict.fromkeys(named)), others


def _paths(override: str) -> list[Any]:
    value: Any = parsed([override])[0].value()
    if not isinstance(value, list):
        raise ConfigError(SEARCHPATH, override.partition("=")[2], "must be a list of folders: [file://DIR]")
    return value


def _folder(path: Any) -> str:
    if not str(path).startswith("file://"):
        raise ConfigError(SEARCHPATH, path, "configurations are found in folders: file://DIR")
    return str(Path(str(path).removeprefix("file://")).absolute())
