"""The configuration tree on the disk: where it lies, and which keys its files have. Imports no torch and no Hydra."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import yaml

# Of every shipped choice the first line: which laboratory it belongs to, and what it is.
_FIRST_LINE = re.compile(r"# (?:(\w+): )?")
# Groups that are Hydra's own, presets over several groups, or what the studies of a laboratory have in common.
_NO_SLOTS = ("hydra", "experiment", "laboratory")


def config_directory() -> Path:
    """Directory of the configuration tree: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def shipped_keys(group: str) -> dict[str, list[str]]:
    """The keys of each shipped choice of a group, by name in alphabetical order.

    Every file of a group whose choices are registered names all keys of its choice.
    """
    found = {}
    for file in sorted((config_directory() / group).glob("*.yaml")):
        keys = yaml.safe_load(file.read_text(encoding="utf-8"))
        # A file of the package _global_ has its group's keys below the group's name.
        found[file.stem] = [key for key in keys.get(group, keys) if key != "defaults"]
    return found


def slot_groups() -> list[str]:
    """The groups of the tree of which one choice is made by name."""
    return sorted(path.name for path in config_directory().iterdir() if path.is_dir() and path.name not in _NO_SLOTS)


@functools.cache
def shipped_choices(group: str) -> dict[str, str]:
    """The shipped choices of a group by name, with the laboratory that each belongs to; empty: to any."""
    found = {}
    for file in sorted((config_directory() / group).glob("*.yaml")):
        with open(file, encoding="utf-8") as lines:
            first = _FIRST_LINE.match(next(lines, ""))
        found[file.stem] = (first[1] or "") if first else ""
    return found
