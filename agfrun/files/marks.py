"""Whose a folder or a file is: this program writes over and removes what it has written itself, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agfrun.files.folders import CONFIG_FILE, DONE_FILE, FAILED_FILE, MANIFEST_FILE
from agfrun.files.inside import is_there
from agfrun.files.json_files import read_object
from agfrun.files.parsing import parse_yaml
from agfrun.files.reading import MOST_YAML, beginning, read_text
from agfrun.study.errors import OutputError

_FORMAT_LINE = re.compile(r"format: \d+\s*\n")
# What every configuration of the first format has, which did not say its number.
_OF_FIRST_FORMAT = frozenset({"model", "seed", "device", "plots", "overwrite"})
# In every page, and before anything that is not ours.
_PAGE_MARK, _WITHIN = '<meta name="generator" content="agfrun ', 4096
# The configuration that the jobs of a sweep begin from, and its first line.
MULTIRUN_FILE, MULTIRUN_MARK = "multirun.yaml", "# agfrun: what the jobs of this sweep begin from\n"
_SHOWN = 3


def holds_run(folder: Path) -> bool:
    """Whether a folder holds a run of this program, whole or not: its configuration, or else another file, says so."""
    said = beginning(folder / CONFIG_FILE, _WITHIN)
    if _FORMAT_LINE.match(said) and "\nstudy:\n" in said:  # quickly, for folders of thousands of runs
        return True
    config = _configuration(folder / CONFIG_FILE)
    if isinstance(config.get("format"), int) and "study" in config or config.keys() >= _OF_FIRST_FORMAT:
        return True
    return any("config_hash" in _object(folder / name) for name in (MANIFEST_FILE, DONE_FILE))


def refuse_foreign(folder: Path, names: Iterable[str], key: str = "hydra.run.dir") -> None:
    """Refuse to write files of some names into a folder that has such, and holds no run of this program.

    Args:
        folder: need not be there.
        names: of what would be written.
        key: chooses another folder.

    Raises:
        OutputError: the message names the files.
    """
    found = foreign(folder, names)
    if found and not holds_run(folder):
        raise no_place(folder, "run", found, key)


def foreign(folder: Path, names: Iterable[str]) -> list[str]:
    """What of some names is in a folder and does not say of itself that it is this program's."""
    return sorted(name for name in dict.fromkeys(names) if is_there(folder / name) and not is_own(folder / name))


def no_place(folder: Path, what: str, found: Sequence[str], key: str) -> OutputError:
    """The error of a folder in which files are that would be written over."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return OutputError(f"{folder} holds no {what} of this program, but has {', '.join(found[:_SHOWN])}{more}, which "
                       f"would be written over; choose another folder with {key}=DIR")


def is_own(path: Path) -> bool:
    """Whether a file says of itself, alone, that it is this program's; most do not."""
    if path.suffix == ".html":
        return _PAGE_MARK in beginning(path, _WITHIN)
    if path.name == MULTIRUN_FILE:
        return beginning(path, len(MULTIRUN_MARK)) == MULTIRUN_MARK
    return path.name == FAILED_FILE and _object(path).keys() >= {"status", "overrides"}


def refuse_foreign_page(path: Path) -> None:
    """Refuse to write a page over one that somebody else has written.

    Raises:
        OutputError: it would be.
    """
    if is_there(path) and not path.is_symlink() and not is_own(path):
        raise OutputError(f"{path} is there, and this program has not written it; move it away")


def _configuration(path: Path) -> dict[str, Any]:
    try:
        found = parse_yaml(read_text(path, MOST_YAML))
    except (OutputError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _object(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except OutputError:
        return {}
