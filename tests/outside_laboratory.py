"""Studies and choices from outside the package (tests/outside), in this process and on command lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from agfrun import load_config
from agfrun.study import registry
from agfrun.study.conversion import slots_of

FOLDER = Path(__file__).resolve().parent / "outside"
CONFIGS = ["--config-dir", str(FOLDER / "configs")]
WALKS = ["--import", str(FOLDER / "walks.py"), *CONFIGS]
EXTENSIONS = ["--import", str(FOLDER / "extensions.py"), *CONFIGS]


@contextmanager
def registered(*names: str) -> Iterator[list[ModuleType]]:
    """Modules of `outside`, imported; what they register is forgotten at the end."""
    for kind in registry.studies().values():  # what is imported within would be forgotten, and not imported again
        for slot, base in slots_of(kind.settings).items():  # type: ignore[attr-defined]
            registry.choices(slot, base)
    known, before = {slot: dict(kinds) for slot, kinds in registry._CHOICES.items()}, set(sys.modules)
    with mock.patch.object(registry, "_CHOICES", known), mock.patch.object(registry, "_NAMED", []):
        try:
            yield [registry.import_module(str(FOLDER / f"{name}.py")) for name in names]
        finally:
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(str(FOLDER)):
                    del sys.modules[name]


@contextmanager
def unknown(*studies: str) -> Iterator[None]:
    """As in another process, which does not know these studies."""
    known = registry._CHOICES[registry.STUDY]
    with mock.patch.dict(known, {name: kind for name, kind in known.items() if name not in studies}, clear=True):
        yield


def composed(*overrides: str) -> Any:
    """A configuration with the files of `outside` too."""
    return load_config([f"hydra.searchpath=[file://{FOLDER}/configs]", *overrides])


@pytest.fixture
def walks() -> Iterator[Any]:
    """The module of the studies `walk` and `rest`."""
    with registered("walks") as (module,):
        yield module


@pytest.fixture
def extensions() -> Iterator[Any]:
    """The module that extends the groups of the staircases."""
    with registered("extensions") as (module,):
        yield module
