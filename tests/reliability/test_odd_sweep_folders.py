"""Sweeps with configurations of the user's own in a folder that is called anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import error_of, run

ODD = "odd (2) ü[=,#'&~"


@pytest.mark.parametrize("launcher", ["serial", pytest.param("local", marks=pytest.mark.slow)])
def test_a_sweep_finds_them_and_goes_on(launcher: str, tmp_path: Path) -> None:
    here = tmp_path / ODD
    (here / "mine" / "experiment").mkdir(parents=True)
    (here / "mine" / "experiment" / "small.yaml").write_text(
        "# @package _global_\ndefaults: [{override /model: diagonal_linear}]\ntrain: {horizon: 1}\nplots: false\n"
        "report: false\n")
    asked = ["-m", "--config-dir", "mine", "experiment=small", f"hydra/launcher={launcher}", "hydra.sweep.dir=swept"]
    ended = run([*asked, "seed=1,2"], here)
    assert ended.status == 0, ended.errors
    assert len(list((here / "swept").glob("*/done.json"))) == 2
    # The line that is told stands as it is: the folder's name is quoted for Hydra.
    told = error_of(run([*asked, "seed=1,2"], here)).partition("continue it with ")[2].partition(", choose")[0]
    again = run(["-m", "--config-dir", str(here / "mine"), told, f"hydra/launcher={launcher}"], here)
    assert again.status == 0, again.errors
