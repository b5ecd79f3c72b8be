from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from wordings import LABELS

from agfrun.files.tables import rows_table
from agfrun.labs.staircases.report.figures.context import FigureContext, figure_context
from agfrun.labs.staircases.report.figures.neurons import plot_neurons, utility_to_threshold
from agfrun.labs.staircases.run import tables


def _context(run: Any, model: str = "quadratic_modadd") -> FigureContext:
    return figure_context(*LABELS[model], run.loss, run.features, run.event_table)


def _draw(run: Any, neurons: pd.DataFrame | None = None, model: str = "quadratic_modadd") -> Figure:
    return plot_neurons(_context(run, model), run.neurons if neurons is None else neurons)


def _pieces(axes: Axes, feature: str) -> list[np.ndarray]:
    return [
        segment
        for collection in axes.collections
        if isinstance(collection, LineCollection) and collection.get_gid() == f"neurons:{feature}"
        for segment in collection.get_segments()
    ]


@pytest.fixture(scope="module")
def figure(pristine: Any) -> Figure:
    return _draw(pristine)


def test_norms_are_the_table(pristine: Any, figure: Figure) -> None:
    for axes, source in zip(figure.axes[:2], ("training", "agf"), strict=True):
        rows = pristine.neurons.query(f"source == '{source}' and neuron == 1")
        (piece,) = _pieces(axes, "2")
        np.testing.assert_array_equal(piece, rows[["time", "norm"]])


def test_a_line_changes_colour_where_the_neuron_turns(pristine: Any, figure: Figure) -> None:
    axes = figure.axes[0]
    rows = pristine.neurons.query("source == 'training' and neuron == 2")
    turn = int((rows["direction_feature"] == "1").sum())
    _, before = _pieces(axes, "1")
    (after,) = _pieces(axes, "4")
    np.testing.assert_array_equal(before, rows[["time", "norm"]].iloc[: turn + 1])
    np.testing.assert_array_equal(after, rows[["time", "norm"]].iloc[turn:])
    colours = {c.get_gid(): to_rgb(c.get_color()[0]) for c in axes.collections}
    for feature in ("1", "2", "4"):
        assert colours[f"neurons:{feature}"] == to_rgb(_context(pristine).colours[feature])


def test_all_neurons_race_to_one(figure: Figure) -> None:
    for axes in figure.axes[2:]:
        highest = [piece[:, 1].max() for feature in ("1", "2", "4") for piece in _pieces(axes, feature)]
        assert sorted(highest)[-3:] == pytest.approx([1, 1, 1], rel=1e-12)
        (threshold,) = (line for line in axes.get_lines() if line.get_gid() == "threshold")
        assert set(threshold.get_ydata()) == {1.0}


def test_panels_say_what_they_show(figure: Figure) -> None:
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["training", "AGF", "", ""]
    assert figure.axes[0].get_ylabel() == "neuron norm"
    assert figure.axes[0].get_yscale() == "log"
    assert "accumulated utility" in figure.axes[2].get_ylabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "frequency 1", "frequency 2", "frequency 4", "threshold"
    ]


@pytest.mark.parametrize("degree", [2, 3, 4])
@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_utility_is_one_when_the_norm_reaches_the_threshold(degree: int, threshold: float) -> None:
    """Integrate d||theta||/dt = kappa ||theta||^(kappa-1) U at constant U, in closed form."""
    rows = []
    for neuron, initial in enumerate((1e-3, 0.02)):
        for share in (0.0, 0.25, 1.0):
            if degree == 2:
                utility = share * np.log(threshold / initial)
                norm = initial * np.exp(utility)
            else:
                power = 2 - degree
                utility = share * (initial**power - threshold**power) / (degree - 2)
                norm = (initial**power - (degree - 2) * utility) ** (1 / power)
            rows.append({
                "source": "agf", "neuron": neuron, "norm": norm, "log10_norm": np.log10(norm),
                "accumulated_utility": utility, "time": share
            })
    frame = rows_table(tables.NEURONS, rows)
    assert frame["norm"].iloc[[2, 5]].tolist() == pytest.approx([threshold] * 2)
    relative = utility_to_threshold(frame, degree, threshold)
    np.testing.assert_allclose(relative, [0.0, 0.25, 1.0] * 2, atol=1e-12)


def test_unknown_degree_leaves_the_utility(run: Any) -> None:
    figure = _draw(run, model="other")
    rows = run.neurons[(run.neurons["source"] == "agf") & (run.neurons["neuron"] == 1)]
    (piece,) = _pieces(figure.axes[3], "2")
    np.testing.assert_array_equal(piece, rows[["time", "accumulated_utility"]])


def test_neurons_without_direction_are_grey_and_named(run: Any) -> None:
    neurons = run.neurons
    neurons.loc[neurons["neuron"] == 0, "direction_feature"] = pd.NA
    figure = _draw(run, neurons)
    assert "none" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(_pieces(figure.axes[0], "")) == 1


def test_many_neurons_are_thin_and_a_picture(run: Any) -> None:
    one = run.neurons[run.neurons["neuron"] == 0]
    many = pd.concat([one.assign(neuron=place) for place in range(300)], ignore_index=True)
    (collection,) = _draw(run, many).axes[0].collections
    assert len(collection.get_segments()) == 300
    assert collection.get_rasterized()
    assert collection.get_alpha() < 0.3


def test_a_diverging_neuron_does_not_flatten_the_race(run: Any) -> None:
    neurons = run.neurons
    last = neurons.index[neurons["source"] == "training"][-9:]
    neurons.loc[last, "norm"] = [1e3, 1e10, 1e30, 1e100, 1e200, 1e300, np.inf, np.inf, np.nan]
    neurons.loc[last, "accumulated_utility"] = 1e200
    figure = _draw(run, neurons)
    assert figure.axes[0].get_ylim()[1] < 1e3
    assert figure.axes[2].get_ylim()[1] < 2


def test_only_training(run: Any) -> None:
    neurons = run.neurons[run.neurons["source"] == "training"]
    assert not _draw(run, neurons).axes[1].collections
