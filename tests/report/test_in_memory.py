from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import ON_EITHER

from agfrun import Result, redraw
from agfrun.files.tables import SCHEMAS
from agfrun.files.writing import write_csv
from agfrun.report.figures.style import render


@ON_EITHER
def test_tables_are_those_of_the_folder(result: Result, tmp_path: Path) -> None:
    assert result.output_dir is not None
    tables = result.tables()
    assert [f"{name}.csv" for name in tables] == [schema.file for schema in SCHEMAS]
    for name, table in tables.items():
        written = result.output_dir / f"{name}.csv"
        write_csv(tmp_path / written.name, table)
        if written.exists():
            assert (tmp_path / written.name).read_bytes() == written.read_bytes()
        else:
            assert not len(table)


@ON_EITHER
@pytest.mark.slow
def test_figures_are_those_of_the_folder(result: Result) -> None:
    assert result.output_dir is not None
    files = {path.stem: path.read_bytes() for path in redraw(result.output_dir, ["png"])}
    figures = result.figures()
    assert {"staircase", "neurons"} <= figures.keys() == files.keys()
    for name, figure in figures.items():
        assert render(figure, "png") == files[name]
