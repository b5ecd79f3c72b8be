"""The pictures of README and docs are what their commands draw today: their numbers are those of fresh runs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agfrun import load_config, run

DOCS = Path(__file__).resolve().parents[2] / "docs"
# Of the loss before training, and of a time: rounding differs between machines, and neurons that race closely notice.
TOLERANCE = 5e-3


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_images", DOCS / "make_images.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE_IMAGES = script()
FIGURES = {name: overrides for name, overrides, _ in MAKE_IMAGES.FIGURES}
NUMBERS: dict[str, list[list[Any]]] = json.loads((DOCS / "images" / "numbers.json").read_text(encoding="utf-8"))


def test_every_figure_of_a_run_has_its_numbers() -> None:
    assert list(NUMBERS) == list(FIGURES)
    assert all(NUMBERS.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FIGURES))
def test_pictures_show_what_their_commands_give(name: str) -> None:
    """If not: python docs/make_images.py, and look at them."""
    result = run(load_config(FIGURES[name]), progress=False)
    now, drawn = MAKE_IMAGES.numbers_of(result), NUMBERS[name]
    assert [row[:2] for row in now] == [row[:2] for row in drawn]
    initial = result.problem.initial_loss
    for new, old in zip(now, drawn, strict=True):
        for place, size in ((2, None), (3, None), (4, initial), (5, initial)):
            assert (new[place] is None) == (old[place] is None)
            if new[place] is not None:
                assert new[place] == pytest.approx(old[place], rel=TOLERANCE, abs=TOLERANCE * size if size else 0)
