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
from wordings import LABELS

from agfrun.files.tables import rows_table
from agfrun.labs.staircases.report.figures.context import FigureContext, figure_context
from agfrun.labs.staircases.report.figures.features import plot_features
from agfrun.labs.staircases.run import tables

AMPLITUDES = {"1": 10.0, "2": 5.0, "4": 2.5}


def _context(run: Any, features: pd.DataFrame, model: str) -> FigureContext:
    return figure_context(*LABELS[model], run.loss, features, run.event_table)


def _draw(run: Any, features: pd.DataFrame | None = None, model: str = "quadratic_modadd") -> Figure:
    features = run.features if features is None else features
    return plot_features(_context(run, features, model), features)


def _line(axes: Axes, gid: str) -> Any:
    (line,) = (line for line in axes.get_lines() if line.get_gid() == gid)
    return line


def _settled(values: dict[str, float], source: str = "training") -> pd.DataFrame:
    """Features that are zero at time 1 and have a value at time 100."""
    rows = [
        {"source": source, "time": time, "feature": feature, "value": value * (time > 1)}
        for time in (1.0, 100.0)
        for feature, value in values.items()
    ]
    return rows_table(tables.FEATURES, rows)


@pytest.fixture(scope="module")
def figure(pristine: Any) -> Figure:
    return _draw(pristine)


def test_curves_are_the_table_in_the_features_colours(pristine: Any, figure: Figure) -> None:
    (axes,) = figure.axes
    context = _context(pristine, pristine.features, "quadratic_modadd")
    for source, feature in itertools.product(("training", "agf"), AMPLITUDES):
        rows = pristine.features.query(f"source == '{source}' and feature == '{feature}'")
        line = _line(axes, f"{source}:{feature}")
        np.testing.assert_array_equal(line.get_xydata(), rows[["time", "value"]])
        colour = context.colours[feature] if source == "training" else "black"
        assert to_rgb(line.get_color()) == to_rgb(colour)
        assert line.get_linestyle() == ("-" if source == "training" else "--")


def test_theory_shows_final_sizes(figure: Figure) -> None:
    (axes,) = figure.axes
    for feature, amplitude in AMPLITUDES.items():
        assert set(_line(axes, f"theory:{feature}").get_ydata()) == {amplitude}


def test_labels_of_modular_addition(figure: Figure) -> None:
    (axes,) = figure.axes
    assert axes.get_ylabel() == "output amplitude"
    assert axes.get_xlabel() == "gradient-flow time"
    assert {text.get_text(): text.xy[1] for text in axes.texts} == {
        f"frequency {feature}": pytest.approx(amplitude) for feature, amplitude in AMPLITUDES.items()
    }


def test_labels_of_the_diagonal_network(run: Any) -> None:
    (axes,) = _draw(run, _settled({"1": -0.2, "2": 2.0}), "diagonal_linear").axes
    assert axes.get_ylabel() == "coefficient"
    assert [text.get_text() for text in axes.texts] == [r"$\beta_{1}$", r"$\beta_{2}$"]
    low, high = axes.get_ylim()
    assert low < -0.2 < 2.0 < high


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ({"1": 10.0, "2": 0.2}, "linear"),
        ({"1": 10.0, "2": -0.05}, "symlog"),
        # Not learned at all: no reason to give it half of the axis.
        ({"1": 10.0, "2": 1e-6}, "linear"),
        ({"1": 0.0}, "linear"),
    ],
)
def test_value_axis(run: Any, values: dict[str, float], scale: str) -> None:
    (axes,) = _draw(run, _settled(values)).axes
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert low < min(0.0, *values.values())
    assert high > max(0.0, *values.values())


def test_interrupted_training_is_named_where_the_prediction_ends(run: Any) -> None:
    training = run.trajectories[0]
    cut = {name: getattr(training, name)[:40] for name in (
        "times", "loss", "features", "log_norms", "accumulated_utility", "direction_feature", "active"
    )}
    run.trajectories[0] = dataclasses.replace(training, **cut)
    (axes,) = _draw(run).axes
    assert [text.xy[1] for text in axes.texts] == list(AMPLITUDES.values())
    assert axes.get_yscale() == "linear"


def test_divergence_does_not_flatten_the_features(run: Any) -> None:
    diverging = run.trajectories[0].features.copy()
    diverging[100:] = np.geomspace(1, 1e250, len(diverging) - 100)[:, None]
    diverging[-1] = np.nan
    times = run.trajectories[0].times.copy() / 10
    run.trajectories[0] = dataclasses.replace(run.trajectories[0], features=diverging, times=times)
    (axes,) = _draw(run).axes
    assert axes.get_ylim()[1] < 20


def test_ten_labels_do_not_overlap(run: Any) -> None:
    (axes,) = _draw(run, _settled({str(place): 0.6**place for place in range(10)})).axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 10
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_one_feature_without_prediction(run: Any) -> None:
    figure = _draw(run, _settled({"7": 1.0}))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["frequency 7"]
