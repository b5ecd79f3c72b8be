"""Figures drawn from saved files, of a run of any study and of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pendulums import make_sweep, swung

from agfrun import OutputError, gather, redraw

PLAIN = {"plots": False, "report": False}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return swung(tmp_path / "run", **PLAIN)


def test_figures_are_those_that_the_run_has_drawn(tmp_path: Path, run_dir: Path) -> None:
    drawn = swung(tmp_path / "drawn") / "plots" / "turning_points.png"
    assert redraw(run_dir, ["png"]) == [run_dir / "plots" / "turning_points.png"]
    assert (run_dir / "plots" / "turning_points.png").read_bytes() == drawn.read_bytes()


def test_both_formats_by_default(run_dir: Path) -> None:
    written = redraw(run_dir)
    assert [path.name for path in written] == ["turning_points.png", "turning_points.pdf"]
    assert [path.read_bytes()[:4] for path in written] == [b"\x89PNG", b"%PDF"]
    assert sorted((run_dir / "plots").iterdir()) == sorted(written)


def test_a_table_that_was_not_saved_has_no_figure(run_dir: Path) -> None:
    (run_dir / "swings.csv").unlink()
    assert redraw(run_dir) == []
    assert not (run_dir / "plots").exists()


def test_a_sweep_has_the_figures_that_were_gathered(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, {"length": 1.0}, {"length": 2.0}, {"length": 4.0, "damping": -1.0})
    gather(sweep, ["png"])
    drawn = sweep / "plots" / "numbers_length.png"
    before = drawn.read_bytes()
    drawn.unlink()
    assert redraw(sweep, ["png"]) == [drawn]
    assert drawn.read_bytes() == before


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _text(name: str, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(text)

    return write


def _elsewhere(folder: Path) -> None:
    (folder / "plots").symlink_to(folder.parent)


@pytest.mark.parametrize(("damage", "message"), [
    (_without("config.yaml"), "is not the folder of a run: it has no config.yaml"),
    (_text("config.yaml", "a: [1"), "cannot read"),
    (_text("config.yaml", "only text"), "holds no configuration"),
    (_text("config.yaml", "study: {name: stranger}"), "is a run of the study stranger, which is not known here"),
    (_text("config.yaml", "format: 99"), "has the format 99"),
    (_text("swings.csv", "swing,time\n1,2\n"), "has no column side"),
    (_text("swings.csv", ""), "cannot read"),
    (_text("claims.csv", "claim\nfirst\n"), "has no column source"),
    (_text("parameters.safetensors", "nothing"), "cannot read"),
    (_text("plots", "a file where the folder should be"), "cannot write"),
    (_elsewhere, "leads to another place"),
])
def test_what_cannot_be_drawn_is_one_clear_line(run_dir: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(run_dir)
    before = sorted(run_dir.rglob("*"))
    with pytest.raises(OutputError) as caught:
        redraw(run_dir)
    assert sorted(run_dir.rglob("*")) == before
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is not the folder of a run"):
        redraw(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
