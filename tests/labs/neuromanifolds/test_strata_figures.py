"""Figures of strata and fibres: what they show, with few rows and with many, and that nothing is cut off."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from agfrun.labs.neuromanifolds.figures.fibre import plot_fibre
from agfrun.labs.neuromanifolds.figures.strata import plot_exposedness, plot_ranks


def strata(layers: int, kinds: tuple[str, ...] = ("in&out", "out", "in", "duplicate")) -> pd.DataFrame:
    rows = [{"layer": layer, "kind": kind, "dimension": 10, "rank": 7, "stratum_dimension": 5, "union_rank": 19,
             "exposed_dimension": 54 - (kind == "in"), "span": 54,
             "verdict": "not exposed" if kind == "in" else "exposed"}
            for layer in range(1, layers + 1) for kind in kinds]
    return pd.DataFrame(rows)


def inside(figure: Figure) -> bool:
    """Whether all that is drawn lies within the figure."""
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return box.x0 >= -0.01 and box.x1 <= width + 0.01 and box.y0 >= -0.01 and box.y1 <= height + 0.01


@pytest.mark.parametrize("layers", [1, 8])
def test_ranks(layers: int) -> None:
    table = strata(layers)
    figure = plot_ranks(table)
    axes = figure.axes[0]
    widths = {patch.get_gid(): patch.get_width() for patch in axes.patches}
    assert widths == {"stratum_dimension": 5, "rank": 7, "union_rank": 19}
    assert len(axes.patches) == 3 * len(table)
    assert [line.get_xdata()[0] for line in axes.lines] == [10]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["in&out, layer 1", "out, layer 1"]
    assert inside(figure)


@pytest.mark.parametrize("layers", [1, 8])
def test_exposedness_is_a_table_of_cells(layers: int) -> None:
    figure = plot_exposedness(strata(layers))
    axes = figure.axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["54 of 54", "54 of 54", "53 of 54", "54 of 54"] * layers
    colours = [patch.get_facecolor() for patch in axes.patches]
    assert colours[0] == colours[1] == colours[3] != colours[2]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["in&out", "out", "in", "duplicate"]
    assert inside(figure)


@pytest.mark.parametrize(("lengths", "orbit", "shown"), [
    ((4, 1), 5, [16, 4, 1]), ((4, 3), 5, [16, 5]), ((), 0, [16]), ((4,), 4, [16, 4, 1])])
def test_the_parameters_of_a_network_are_shared_out(lengths: tuple[int, ...], orbit: int, shown: list[int]) -> None:
    symmetries = pd.DataFrame({"name": [f"changes of basis of queries and keys {i}" for i in range(len(lengths))],
                               "orbit_dimension": list(lengths)})
    row = pd.Series({"dimension": 16, "orbit_dimension": orbit, "unexplained": sum(shown) - 16 - orbit})
    figure = plot_fibre(row, symmetries)
    assert [patch.get_width() for patch in figure.axes[0].patches] == shown
    assert [text.get_text() for text in figure.axes[0].texts] == list(map(str, shown))
    assert inside(figure)
