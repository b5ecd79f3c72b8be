from __future__ import annotations

import base64
import html
import re
from pathlib import Path

import pytest
from tiny_runs import ON_EITHER

from agfrun import Result, redraw
from agfrun.files.writing import write_csv
from agfrun.labs.staircases.run.tables import TABLES
from agfrun.report.figures.style import render


@ON_EITHER
def test_tables_are_those_of_the_folder(result: Result, tmp_path: Path) -> None:
    assert result.output_dir is not None
    tables = result.tables()
    assert {f"{name}.csv" for name in tables} == {path.name for path in result.output_dir.glob("*.csv")}
    # In the order in which they are declared, claims last; a network without observables has no table of them.
    assert list(tables) == [name for name in (*(schema.name for schema in TABLES), "claims") if name in tables]
    for name, table in tables.items():
        write_csv(tmp_path / f"{name}.csv", table)
        assert (tmp_path / f"{name}.csv").read_bytes() == (result.output_dir / f"{name}.csv").read_bytes()


@ON_EITHER
@pytest.mark.slow
def test_figures_are_those_of_the_folder(result: Result) -> None:
    assert result.output_dir is not None
    files = {path.stem: path.read_bytes() for path in redraw(result.output_dir, ["png"])}
    figures = result.figures()
    assert {"staircase", "neurons"} <= figures.keys() == files.keys()
    for name, figure in figures.items():
        assert render(figure, "png") == files[name]


@ON_EITHER
def test_a_notebook_shows_the_staircase_and_the_text(result: Result) -> None:
    shown = result._repr_html_()
    picture = re.fullmatch(r'<img alt="[^"]*" src="data:image/png;base64,([^"]*)"><pre>(.*)</pre>', shown, re.DOTALL)
    assert picture is not None
    assert base64.b64decode(picture[1]) == render(result.figures()["staircase"], "png")
    assert html.unescape(picture[2]) == result.summary()
    assert "<" not in picture[2]


@ON_EITHER
def test_a_result_in_a_line(result: Result) -> None:
    assert re.fullmatch(r"<Result of model=\w+ seed=\d+: .* drops? .*>", repr(result))
    assert str(result.output_dir) in repr(result)
    assert len(repr(result)) < 300
