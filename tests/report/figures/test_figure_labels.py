from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes

from agfrun import new_figure, settle
from agfrun.report.figures.labels import Label, label_points, label_right_margin, nudge_apart, spread

POSITIONS = st.lists(st.floats(0, 100), min_size=1, max_size=12)


@settings(deadline=None)
@given(POSITIONS, st.floats(0.1, 30))
def test_spread_positions_are_apart_and_inside(positions: list[float], gap: float) -> None:
    placed = spread(positions, gap, 0, 100)
    possible = min(gap, 100 / max(1, len(positions) - 1))
    assert placed.min() >= -1e-9
    assert placed.max() <= 100 + 1e-9
    assert (np.diff(np.sort(placed)) >= possible - 1e-9).all()
    order = np.argsort(positions, kind="stable")
    assert (np.diff(placed[order]) >= 0).all()


@settings(deadline=None)
@given(POSITIONS, st.floats(0.1, 30))
def test_spread_leaves_what_is_apart_already(positions: list[float], gap: float) -> None:
    placed = spread(positions, gap, 0, 100)
    np.testing.assert_allclose(spread(placed, gap * (1 - 1e-9), 0, 100), placed, atol=1e-6)


def test_spread_moves_neighbours_by_the_same_amount() -> None:
    np.testing.assert_allclose(spread([50, 50], 10, 0, 100), [45, 55])
    np.testing.assert_allclose(spread([52, 50, 90], 10, 0, 100), [56, 46, 90])
    np.testing.assert_allclose(spread([0, 1], 10, 0, 100), [0, 10])
    assert len(spread([], 10, 0, 100)) == 0


def _axes() -> Axes:
    axes = new_figure(3.4, 2.4).add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return axes


def test_margin_labels_lie_beside_the_axes_and_do_not_overlap() -> None:
    axes = _axes()
    # The last lies far outside of the axis: its label stays at the axis' end.
    heights = (0.0, 0.5, 0.51, 0.52, 30.0)
    texts = label_right_margin(axes, [Label(1.0, y, f"feature {y}", "k") for y in heights])
    settle(axes.figure)
    nudge_apart(axes, texts)
    boxes = [text.get_window_extent() for text in texts]
    assert all(box.x0 >= axes.get_window_extent().x1 for box in boxes)
    assert all(box.x1 <= axes.figure.bbox.x1 for box in boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    # Top to bottom they stand as the values do.
    assert np.argsort([box.y0 for box in boxes]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("slope", [-1, 1])
def test_point_labels_hide_neither_the_curve_nor_one_another(slope: int) -> None:
    axes = _axes()
    grid = np.linspace(0, 1, 50)
    axes.plot(grid, 0.5 + slope * (grid - 0.5))
    settle(axes.figure)
    texts = label_points(axes, [Label(x, 0.5 + slope * (x - 0.5), "drop", "k") for x in (0.45, 0.5, 0.55)])
    boxes = [text.get_window_extent() for text in texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    curve = axes.transData.transform(np.column_stack([grid, 0.5 + slope * (grid - 0.5)]))
    for box in boxes:
        assert not any(box.contains(*point) for point in curve)
        assert axes.get_window_extent().contains(box.x0, box.y0)
        assert axes.get_window_extent().contains(box.x1, box.y1)
