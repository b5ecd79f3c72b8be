from __future__ import annotations

import itertools

import matplotlib
import matplotlib.colors
import numpy as np
import pytest

from agfrun import new_figure, styled
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
