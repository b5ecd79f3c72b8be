"""The configuration tree on the disk: where it lies, and which keys its files have. Imports no torch and no Hydra."""

from __future__ import annotations

from pathlib import Path

import yaml


def config_directory() -> Path:
    """Directory of the configuration tree: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def shipped_keys(group: str) -> dict[str, list[str]]:
    """The keys of each shipped choice of a group, by name in alphabetical order.

    Every file of the groups `model`, `data` and `study` names all keys of its choice.
    """
    files = sorted((config_directory() / group).glob("*.yaml"))
    return {file.stem: [key for key in yaml.safe_load(file.read_text(encoding="utf-8")) if key != "defaults"]
            for file in files}
