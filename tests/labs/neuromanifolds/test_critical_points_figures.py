"""Figures of critical points: what they show, with few points and with many, and that nothing is cut off."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from agfrun.labs.neuromanifolds.figures.critical_points import plot_critical_values, plot_real_counts, plot_surface


def points(count: int, spurious: bool = True) -> pd.DataFrame:
    index = [i % 4 for i in range(count)]
    return pd.DataFrame({
        "point": range(count), "index": index, "kind": ["minimum" if i == 0 else "saddle" for i in index],
        "loss": 100.0 + np.arange(count), "pure": [not (spurious and i % 5 == 1) for i in range(count)],
        "first": np.linspace(-80, 80, count), "second": np.linspace(80, -80, count)})


def surface(flat: bool) -> pd.DataFrame:
    angles = np.linspace(-89, 89, 25)
    first, second = (part.ravel() for part in np.meshgrid(angles, [0.0] if flat else angles))
    return pd.DataFrame({"first": first, "second": second, "loss": 130 + 30 * np.cos(np.deg2rad(2 * first + second))})


def inside(figure: Figure) -> bool:
    """Whether all that is drawn lies within the figure."""
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return box.x0 >= -0.01 and box.x1 <= width + 0.01 and box.y0 >= -0.01 and box.y1 <= height + 0.01


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("count", [1, 30])
def test_points_lie_where_their_weights_and_losses_are(flat: bool, count: int) -> None:
    table = points(count)
    figure = plot_surface(surface(flat), table)
    marks = [line for line in figure.axes[0].lines if line.get_gid()]
    drawn = {(x, y) for line in marks for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    assert drawn == set(zip(table["first"], table["loss" if flat else "second"], strict=True))
    hollow = sum(len(line.get_xdata()) for line in marks if str(line.get_gid()).endswith(":spurious"))
    assert hollow == (~table["pure"].astype(bool)).sum()
    assert inside(figure)


@pytest.mark.parametrize("datasets", [1, 30])
def test_bars_are_as_high_as_there_are_data_sets(datasets: int) -> None:
    real = [4 + 2 * (i % 3) for i in range(datasets)]
    table = pd.DataFrame({"dataset": range(datasets), "real": real, "minima": [n // 2 for n in real],
                          "saddles": [n - n // 2 for n in real]})
    figure = plot_real_counts(table)
    heights: dict[float, float] = {}
    for patch in figure.axes[0].patches:
        middle = round(patch.get_x() + patch.get_width() / 2, 6)
        heights[middle] = heights.get(middle, 0) + patch.get_height()
    assert heights == pytest.approx({float(n): real.count(n) for n in set(real)})
    assert inside(figure)


def test_no_real_point_at_all_is_a_bar_at_zero() -> None:
    table = pd.DataFrame({"dataset": [0], "real": [0], "minima": [0], "saddles": [0]})
    assert sum(patch.get_height() for patch in plot_real_counts(table).axes[0].patches) == pytest.approx(1)


@pytest.mark.parametrize("count", [1, 30])
def test_critical_values_beside_where_training_ends(count: int) -> None:
    table = points(count)
    descents = pd.DataFrame({"start": range(6), "loss": [100.0, 100, 100, 150, 145, 140], "point": [0, 0, 0, None,
                             None, None], "end": ["point", "point", "point", "zero", "subnetwork", "none"]})
    figure = plot_critical_values(table, descents)
    left, right = figure.axes
    assert sum(len(line.get_xdata()) for line in left.lines if line.get_gid()) == count
    assert {patch.get_gid(): patch.get_width() for patch in right.patches} == {"reached": 3, "zero": 1}
    assert {line.get_gid() for line in right.lines if line.get_gid()} == {"subnetwork", "none"}
    assert inside(figure)
    assert len(plot_critical_values(table, None).axes) == 1
