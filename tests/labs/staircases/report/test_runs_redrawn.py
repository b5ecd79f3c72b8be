from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from agfrun import OutputError, redraw
from agfrun.files.writing import write_safetensors, write_text

FIGURES = ["staircase", "features", "neurons", "modular_addition_weights", "modular_addition_predictions"]


def test_saved_files_suffice_and_give_the_same_bytes_in_another_process(run_dir: Path) -> None:
    """Neither torch nor Hydra nor pyplot is imported: only the folder's files are read."""
    written = redraw(run_dir, formats=("png",))
    assert written == [run_dir / "plots" / f"{name}.png" for name in FIGURES]
    assert sorted((run_dir / "plots").iterdir()) == sorted(written)
    first = {path: path.read_bytes() for path in written}
    code = (
        "import sys; from pathlib import Path; from agfrun import redraw; "
        f"redraw(Path({str(run_dir)!r}), formats=('png',)); "
        "print({'torch', 'hydra', 'omegaconf', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    # Matplotlib before 3.11 asks a newer pyparsing for methods by their old names.
    warnings = ["-W", "error", "-W", "ignore::DeprecationWarning"]
    done = subprocess.run([sys.executable, *warnings, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "set()", "")
    assert {path: path.read_bytes() for path in written} == first


def test_an_interrupted_run_is_drawn_as_far_as_it_went(run_dir: Path) -> None:
    for name in ("features.csv", "neurons.csv", "events.csv", "comparison.csv", "parameters.safetensors"):
        (run_dir / name).unlink()
    assert [path.name for path in redraw(run_dir, formats=("png",))] == ["staircase.png"]


def test_another_model_has_no_figures_of_modular_addition(run_dir: Path) -> None:
    _arrays(neurons__initial=np.ones((2, 36)))(run_dir)
    _without("neurons.csv")(run_dir)
    assert [path.stem for path in redraw(run_dir, formats=("png",))] == FIGURES[:2]


def test_states_that_left_the_finite_numbers_are_not_drawn(run_dir: Path) -> None:
    path = run_dir / "parameters.safetensors"
    arrays = safetensors.numpy.load_file(path)
    for name in arrays:
        if name not in ("template", "neurons/initial"):
            arrays[name] = np.full_like(arrays[name], np.nan)
    write_safetensors(path, arrays)
    _without("neurons.csv")(run_dir)
    assert [path.stem for path in redraw(run_dir, formats=("png",))] == FIGURES[:2]


def _without(*names: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def _text(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: write_text(folder / name, text)


def _arrays(**arrays: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: write_safetensors(
        folder / "parameters.safetensors", {name.replace("__", "/"): value for name, value in arrays.items()}
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("loss.csv"), "is not the folder of a run: it has no loss.csv"),
        (_text("loss.csv", "time,loss\n1,2\n"), "has no column source, step"),
        (_text("neurons.csv", ""), "cannot read"),
        (
            _arrays(template=np.ones(12), neurons__initial=np.ones((2, 36)), neurons__final=np.ones((2, 35))),
            "neurons/final has shape (2, 35), not (H, 36)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_line(
    run_dir: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(run_dir)
    before = sorted(run_dir.rglob("*"))
    with pytest.raises(OutputError) as caught:
        redraw(run_dir)
    assert sorted(run_dir.rglob("*")) == before
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
