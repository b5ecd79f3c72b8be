"""Configuration files of the user's own: what is wrong with a file is said of it, not of what Hydra makes of it."""

from __future__ import annotations

import codecs
import math
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from agfrun.study.config_tree import config_directory
from agfrun.study.errors import ConfigError, first_line

EXPERIMENT = "experiment"
# A configuration file is written by hand.
MOST_BYTES = 1_000_000
MOST_VALUES = 100_000
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_WORDS = re.compile(r"[^\s,\[\]'\"()]+")


def check_named(overrides: Sequence[str], config_dirs: Sequence[str]) -> None:
    """Look at the files that overrides choose from further folders, before Hydra reads them.

    Raises:
        ConfigError: names the choice, the file, and what is wrong with it.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        group, _, package = key.lstrip("+~").partition("@")
        for choice in _WORDS.findall(value) if group and "." not in group else ():
            files = _files(f"{group}/{choice}", config_dirs)
            if not files and not _files(f"{group}/{choice}", [str(config_directory())]):
                _refuse_misplaced(group, choice, config_dirs)
            for path in files:
                check_file(path, group, choice, is_global=bool(package))


def _refuse_misplaced(group: str, choice: str, config_dirs: Sequence[str]) -> None:
    """Refuse a choice whose file lies beside the folder of its group, or in it where that itself is named."""
    for path in _files(choice, config_dirs):
        place = path.parent
        todo = f"put it into {place / group}"
        if place.name == group:
            todo = f"pass --config-dir {shlex.quote(str(place.parent))}"
        raise ConfigError(group, choice, f"{path} is not in a folder {group} of the one that --config-dir names; "
                          f"{todo}")


def check_used(files: Sequence[str], config_dirs: Sequence[str]) -> None:
    """Look at the files of further folders that are merged, be they chosen by others.

    Raises:
        ConfigError: one has the name of another that comes before it, and would not be used.
    """
    for file in files:
        group, slash, choice = file.rpartition("/")
        found = [*_files(file, [str(config_directory())]), *_files(file, config_dirs)] if slash else []
        for path in found[1:]:
            if path.read_bytes() != found[0].read_bytes():
                raise ConfigError(group, choice, f"{path} has the name of {found[0]}, which comes before it, and is "
                                  "another; give it a name of its own")


def check_file(path: Path, group: str, choice: str, is_global: bool = False) -> None:
    """Look at one file.

    Args:
        path: of the file.
        group, choice: how it was chosen.
        is_global: whether it was said where its keys belong.

    Raises:
        ConfigError: it holds nothing that Hydra can read, or an experiment does not say that it goes over everything.
    """
    try:
        wrong = _wrong_with(path, group == EXPERIMENT and not is_global)
    except OSError as error:
        wrong = f"cannot be read: {error.strerror or error}"
    if wrong:
        raise ConfigError(group, choice, f"{path} {wrong}")


def _wrong_with(path: Path, is_experiment: bool) -> str:
    if not path.is_file():
        return "is no file"
    if path.stat().st_size > MOST_BYTES:
        return f"is larger than {MOST_BYTES // 1000} kB"
    content = path.read_bytes()
    if content.startswith(_WIDE) or b"\0" in content:
        return "is not written in UTF-8 but in UTF-16 or the like; save it as UTF-8"
    if content.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark; save it as UTF-8 without one"
    try:
        text = content.decode("utf-8")
        holds = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        return f"is not written in UTF-8: byte {error.start + 1} is none; save it as UTF-8"
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return f"cannot be read: {_reason(error)}"
    if _size(holds, {}) > MOST_VALUES:
        return f"holds more than {MOST_VALUES} values, once what its aliases stand for is written out"
    if holds is None and not (is_experiment and text.strip()):
        return "is empty"
    if holds is not None and not isinstance(holds, dict):
        return "holds no KEY: VALUE"
    if is_experiment and not _says_package(text):
        return ("does not begin with the line # @package _global_, without which its keys are not those of a run; "
                "write that line above everything else")
    return ""


def _size(value: Any, known: dict[int, float]) -> float:
    """How many values there are where each alias is written out; infinitely many where one stands for itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf
        known[id(value)] = sum(_size(part, known) for part in (value.values() if isinstance(value, dict) else value))
    return 1 + known[id(value)]


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or first_line(error)
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)


def _says_package(text: str) -> bool:
    """Whether Hydra is told where the keys belong: above everything else, other comments too."""
    for line in filter(None, map(str.strip, text.splitlines())):
        if not re.match(r"#\s*@", line):
            return False
        if re.fullmatch(r"#+\s*@package\s+\S+", line):
            return True
    return False


def _files(file: str, config_dirs: Sequence[str]) -> list[Path]:
    paths = [Path(folder) / (file if file.endswith(".yaml") else f"{file}.yaml") for folder in config_dirs]
    # Which takes no name of a file amiss, be it too long.
    return [path for path in paths if os.path.exists(path) and not os.path.isdir(path)]
