from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from wordings import LABELS, MODADD

from agfrun.files.tables import empty_table, rows_table
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.report.figures.context import figure_context
from agfrun.labs.staircases.report.figures.staircase import plot_staircase, theory_levels
from agfrun.labs.staircases.run import tables

DROP_TIMES = [20.0, 150.0, 1500.0]


def _draw(run: Any, model: str = "quadratic_modadd", **changed: pd.DataFrame) -> Figure:
    frames = {"loss": run.loss, "events": run.event_table, "comparison": run.comparison} | changed
    context = figure_context(*LABELS[model], frames["loss"], run.features, frames["events"])
    return plot_staircase(context, **frames)


def _line(axes: Axes, label: str) -> Any:
    (line,) = (line for line in axes.get_lines() if line.get_label() == label)
    return line


def _texts(axes: Axes) -> dict[str, Any]:
    return {text.get_text(): text for text in axes.texts}


@pytest.fixture(scope="module")
def figure(pristine: Any) -> Figure:
    return _draw(pristine)


def test_curves_are_the_tables(pristine: Any, figure: Figure) -> None:
    (axes,) = figure.axes
    for label, source in (("training", "training"), ("AGF", "agf")):
        rows = pristine.loss[pristine.loss["source"] == source]
        np.testing.assert_array_equal(_line(axes, label).get_xydata(), rows[["time", "loss"]])
    assert _line(axes, "training").get_linestyle() == "-"
    assert _line(axes, "AGF").get_linestyle() == "--"
    assert _line(axes, "AGF").get_color() == "black"


def test_axes_are_logarithmic_from_before_the_first_drop_to_the_end(pristine: Any, figure: Figure) -> None:
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlabel() == "gradient-flow time"
    low, high = axes.get_xlim()
    assert DROP_TIMES[0] / 10 < low < DROP_TIMES[0] / 2
    assert 5000 <= high < 6000
    bottom, top = axes.get_ylim()
    levels = theory_levels(pristine.loss, pristine.event_table)
    assert levels[0] < top < 3 * levels[0]
    assert levels[-2] / 30 < bottom < levels[-2] / 2


def test_theory_levels_are_drawn_and_named(figure: Figure) -> None:
    (axes,) = figure.axes
    levels = np.array([100 + 25 + 6.25, 25 + 6.25, 6.25]) / 12
    drawn = {line.get_ydata()[0] for line in axes.get_lines() if len(set(line.get_ydata())) == 1}
    for level in levels:
        assert min(abs(level - other) for other in drawn) < 1e-12
        assert f"{level:.5g}" in _texts(axes)


def test_sublevels_are_drawn_without_names(run: Any) -> None:
    between = rows_table(tables.LOSS, [{"source": "theory", "loss": 7.0}])
    (axes,) = _draw(run, loss=pd.concat([run.loss, between])).axes
    assert any(list(line.get_ydata()) == [7.0, 7.0] for line in axes.get_lines())
    assert "7" not in _texts(axes)


def test_drops_carry_their_feature_in_its_colour(pristine: Any, figure: Figure) -> None:
    texts = _texts(figure.axes[0])
    context = figure_context(*MODADD, pristine.loss, pristine.features, pristine.event_table)
    for feature, time in zip(("1", "2", "4"), DROP_TIMES, strict=True):
        text = texts[f"frequency {feature}"]
        assert text.xy[0] == time
        assert text.get_color() == context.colours[feature]


def test_no_text_overlaps_another_or_leaves_the_figure(figure: Figure) -> None:
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    boxes += [text.get_window_extent() for text in figure.legends[0].get_texts()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    for box in boxes:
        assert figure.bbox.contains(box.x0, box.y0)
        assert figure.bbox.contains(box.x1, box.y1)
    assert not figure.legends[0].get_window_extent().overlaps(figure.axes[0].get_window_extent())


def test_lower_bounds_stand_at_their_times(figure: Figure) -> None:
    (axes,) = figure.axes
    bounds = [container[0] for container in axes.containers]
    assert [float(line.get_xdata()[0]) for line in bounds] == [time / 4 for time in DROP_TIMES]
    heights = [float(line.get_ydata()[0]) for line in bounds]
    assert heights == sorted(heights, reverse=True)


def test_theory_times_are_diamonds_on_the_drops(run: Any) -> None:
    run.events["theory"] = [Event("acquisition", 40.0, "2", None, 9.0, 4.0)]
    (axes,) = _draw(run).axes
    (diamond,) = (line for line in axes.get_lines() if line.get_marker() == "D")
    assert diamond.get_xydata().tolist() == [[40.0, 6.0]]
    context = figure_context(*MODADD, run.loss, run.features, run.event_table)
    assert to_rgb(diamond.get_color()) == to_rgb(context.colours["2"])


def test_the_full_legend_fits_the_figure(run: Any) -> None:
    run.events["theory"] = [Event("acquisition", 40.0, "2", None, 9.0, 4.0)]
    figure = _draw(run)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "training", "AGF", "theory level", "theory time", "lower bound"
    ]
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
    assert not box.overlaps(figure.axes[0].get_window_extent())


def test_drops_of_single_neurons_make_up_the_drops_of_features(run: Any) -> None:
    run.events["theory"] = [
        Event("activation", 18.0, "1", 0, 9.0, 8.0),
        Event("activation", 25.0, "1", 3, 8.0, 4.0),
        Event("collapse", 25.0, "4", 5, 4.0, 4.0),
        Event("activation", 140.0, "2", 1, 4.0, 1.0),
    ]
    assert theory_levels(run.loss, run.event_table).tolist() == [9.0, 4.0, 1.0]
    (axes,) = _draw(run).axes
    diamonds = [line.get_xydata().tolist()[0] for line in axes.get_lines() if line.get_marker() == "D"]
    assert diamonds == [[18.0, pytest.approx(72**0.5)], [25.0, pytest.approx(32**0.5)], [140.0, 2.0]]
    heights = [float(container[0].get_ydata()[0]) for container in axes.containers]
    assert heights[:2] == [6.0, 2.0]


def test_only_training(run: Any) -> None:
    run.trajectories = run.trajectories[:1]
    run.events = {"training": run.events["training"]}
    run.comparison_rows = []
    figure = _draw(run)
    (axes,) = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training"]
    assert len(axes.get_lines()) == 1


def test_many_features_are_named_shortly(run: Any) -> None:
    times = np.geomspace(10, 4000, 10)
    levels = np.append(np.geomspace(10, 0.1, 10), 0.0)
    run.events["training"] = [
        Event("acquisition", time, str(place), None, levels[place], levels[place + 1])
        for place, time in enumerate(times)
    ]
    (axes,) = _draw(run).axes
    texts = _texts(axes)
    assert {"frequency 0", *map(str, range(1, 10))} <= set(texts)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_divergence_does_not_flatten_the_staircase(run: Any) -> None:
    diverging = run.trajectories[0].loss.copy()
    diverging[60:] = np.geomspace(10, 1e300, len(diverging) - 60)
    diverging[-2:] = np.inf, np.nan
    run.trajectories[0] = dataclasses.replace(run.trajectories[0], loss=diverging)
    (axes,) = _draw(run).axes
    assert axes.get_ylim()[1] < 100


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_rows(run: Any, rows: int) -> None:
    (axes,) = _draw(
        run,
        loss=run.loss.head(rows),
        events=empty_table(tables.EVENTS),
        comparison=empty_table(tables.COMPARISON),
    ).axes
    assert axes.get_xlim()[0] > 0
    assert axes.get_ylim()[0] > 0
    if rows > 1:
        assert axes.get_ylim()[0] < run.loss["loss"].iloc[0] < axes.get_ylim()[1]
