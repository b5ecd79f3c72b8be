"""Provenance of a run: what ran, where, with which versions, and what it cost."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agfrun.files.folders import FORMAT
from agfrun.files.reading import open_named
from agfrun.study.settings import RunSettings, config_hash, saved_values
from agfrun.study.study import Choice
from agfrun.version import __version__

PACKAGES = ("torch", "numpy", "scipy", "pandas", "matplotlib", "hydra-core", "omegaconf", "safetensors")


def provenance(config: RunSettings, command: Sequence[str] | None) -> dict[str, Any]:
    """What ran, where and with which versions."""
    return {
        "agfrun": __version__,
        "format": FORMAT,
        "git_revision": git_revision(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "platform": platform.platform(),
        "command": list(command if command is not None else sys.argv),
        "study": config.study.name,
        "config_hash": config_hash(config),
        "seed": config.seed,
        "directory": str(Path.cwd()),
        "inputs": _checksums(config),
        "config": saved_values(config),
    }


def _checksums(config: RunSettings) -> dict[str, str | None]:
    """SHA-256 of every file that the configuration names, by its key; None where it cannot be read."""
    found = {}
    for slot in dataclasses.fields(config):
        choice = getattr(config, slot.name)
        for key in choice.file_keys if isinstance(choice, Choice) else ():
            if (name := getattr(choice, key)) is not None:
                found[f"{slot.name}.{key}"] = _checksum(Path(name).expanduser())
    return found


def _checksum(path: Path) -> str | None:
    try:
        with open_named(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def git_revision() -> str | None:
    """Revision of the checkout that this package runs from, with `+changes` if modified; None outside one."""
    here = Path(__file__).resolve().parent.parent
    if not (here.parent / ".git").exists():
        return None
    try:
        revision = _git(here, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=5)
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
