from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from wordings import MODADD

from agfrun.files.tables import rows_table
from agfrun.labs.staircases.report.figures.context import figure_context
from agfrun.labs.staircases.report.figures.observables import plot_observables
from agfrun.labs.staircases.run import tables


def _table() -> pd.DataFrame:
    times = np.array([1.0, 10.0, 100.0])
    return rows_table(tables.OBSERVABLES, [
        {"source": source, "time": time, "quantity": quantity, "index": index, "value": index * place}
        for source in ("training", "agf") for quantity, count in (("singular value", 3), ("alignment", 1))
        for place, time in enumerate(times) for index in range(1, count + 1)
    ])


@pytest.fixture
def figure(run: Any) -> Figure:
    context = figure_context(*MODADD, run.loss, run.features, run.event_table)
    return plot_observables(context, _table())


def test_a_panel_for_each_quantity(figure: Figure) -> None:
    assert [axes.get_ylabel() for axes in figure.axes] == ["singular value", "alignment"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "gradient-flow time"]


def test_curves_are_the_table(figure: Figure) -> None:
    lines = {str(line.get_gid()): line for line in figure.axes[0].get_lines()}
    assert sorted(lines) == sorted(f"{source}:{index}" for source in ("training", "agf") for index in (1, 2, 3))
    np.testing.assert_array_equal(lines["training:2"].get_xydata(), [[1, 0], [10, 2], [100, 4]])
    assert lines["agf:3"].get_linestyle() == "--"
    assert len({lines[f"training:{index}"].get_color() for index in (1, 2, 3)}) == 3


def test_the_legend_tells_the_sources_apart(figure: Figure) -> None:
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "AGF"]
