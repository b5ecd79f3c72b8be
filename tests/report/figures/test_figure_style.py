from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.colors
import numpy as np
import pytest
from tiny_runs import diagonal_config

from agfrun import AgfConfig, GradientFlowConfig, InitConfig, new_figure, run, styled
from agfrun.report.figures.style import OKABE_ITO, feature_colours, render


def _figure_bytes(file_format: str) -> bytes:
    with styled():
        figure = new_figure(3.4, 2.0)
        figure.add_subplot().plot([1, 2], [3, 4], label=r"$\beta_1$")
        figure.legend()
    return render(figure, file_format)


def test_colours_follow_the_palette_and_stay_apart() -> None:
    colours = feature_colours([str(place) for place in range(18)])
    assert list(colours.values())[:6] == [colour.lower() for colour in OKABE_ITO]
    values = [np.array(matplotlib.colors.to_rgb(colour)) for colour in colours.values()]
    assert min(np.abs(a - b).max() for a, b in itertools.combinations(values, 2)) > 0.1


@pytest.mark.parametrize("file_format", ["png", "pdf"])
def test_bytes_depend_neither_on_time_nor_on_the_users_settings(file_format: str) -> None:
    before = _figure_bytes(file_format)
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 20, "savefig.facecolor": "red"}):
        assert _figure_bytes(file_format) == before
        assert matplotlib.rcParams["font.size"] == 30


def test_pdf_embeds_truetype_fonts_and_names_no_date() -> None:
    content = _figure_bytes("pdf")
    assert b"/CIDFontType2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_png_has_200_dots_an_inch_and_no_text() -> None:
    content = _figure_bytes("png")
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == (680, 400)
    assert b"tEXt" not in content
    assert b"tIME" not in content


RC = """backend: nosuchbackend
font.size: 40
font.family: Nonexistent
text.usetex: True
nosuchkey: 3
axes.prop_cycle: 17
savefig.dpi: 10
"""


def test_figures_are_the_same_under_other_settings_without_a_cache_and_in_another_process(tmp_path: Path) -> None:
    """Settings of the user's own, nowhere to keep a font cache, and another order of hashes change no byte."""
    config = diagonal_config(init=InitConfig("deterministic", 1e-16), train=GradientFlowConfig(horizon=20.0),
                             agf=AgfConfig(max_events=2), plots=True)
    run(config, output_dir=tmp_path / "run")
    (tmp_path / "matplotlibrc").write_text(RC)
    drawn = []
    for number, settings in (("1", {}), ("2", {"MPLCONFIGDIR": "/dev/null/none"})):
        command = [sys.executable, "-m", "agfrun", "plot", "run"]
        environment = {**os.environ, "PYTHONHASHSEED": number, **settings}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        drawn.append({path.name: path.read_bytes() for path in (tmp_path / "run" / "plots").iterdir()})
    assert len(drawn[0]) == 8
    assert drawn[0] == drawn[1]
