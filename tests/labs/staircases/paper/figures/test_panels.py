from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from agfrun.labs.staircases.paper.figures.cases import PaperTables
from agfrun.labs.staircases.paper.figures.overview import plot_overview
from agfrun.labs.staircases.paper.figures.panels import acquired, draw_band, draw_residuals, lower_bounds
from agfrun.labs.staircases.report.figures.context import FigureContext
from agfrun.labs.staircases.wording import Wording


def tables(**further: pd.DataFrame) -> PaperTables:
    comparison = pd.DataFrame({
        "case": "a", "seed": [0, 0, 1], "kind": ["acquisition", "activation", "acquisition"], "feature": [1, 1, 1],
        "time_ratio": [1.1, 5.0, 0.8], "level_predicted": [2.0, 0.0, 2.0], "level_training": [1.0, 0.0, 2.5],
        "lower_bound": [3.0, np.nan, 4.0]})
    loss = pd.DataFrame({"case": "a", "seed": [0, 0, 1], "source": "training", "time": [0.0, 1.0, 0.0],
                         "loss": [10.0, 1.0, 10.0]})
    return PaperTables({"comparison": comparison, "loss": loss, **further})


def test_errors_are_predicted_less_measured_of_features_only() -> None:
    rows = acquired(tables(), "a")
    assert rows["time_error"].tolist() == pytest.approx([0.1, -0.2])
    assert rows["level_error"].tolist() == pytest.approx([0.1, -0.05])


def test_lower_bounds_that_the_study_saved_come_first() -> None:
    assert lower_bounds(tables(), "a").to_dict("list") == {"feature": ["1"], "lower_bound": [3.0]}
    saved = pd.DataFrame({"case": "a", "seed": 0, "feature": [1], "lower_bound": [7.0]})
    assert lower_bounds(tables(lower_bounds=saved), "a")["lower_bound"].tolist() == [7.0]


def test_a_band_reaches_from_the_lowest_to_the_highest_curve() -> None:
    axes = Figure().add_subplot()
    times = np.geomspace(1, 100, 50)
    draw_band(axes, [(times, np.sin(times)), (times, np.cos(times))], (1.0, 100.0), "k")
    (vertices,) = [path.vertices for path in axes.collections[0].get_paths()]
    between = np.abs(vertices[:, 0] - 1.0) < 1e-9
    assert vertices[between, 1].min() == pytest.approx(min(np.sin(1), np.cos(1)))
    assert vertices[between, 1].max() == pytest.approx(max(np.sin(1), np.cos(1)))
    draw_band(single := Figure().add_subplot(), [(times, times)], (1.0, 100.0), "k")
    assert not single.collections


def test_residuals_show_every_seed_and_the_median_in_percent() -> None:
    axes = Figure().add_subplot()
    context = FigureContext(Wording("mode"), 2, {"1": "#0072B2", "2": "#D55E00"}, (1.0, 10.0))
    rows = pd.DataFrame({"feature": ["1", "1", "1", "2"], "time_error": [0.01, 0.02, 0.06, np.nan]})
    draw_residuals(axes, rows, context, "time_error", "error")
    dots = next(line for line in axes.get_lines() if line.get_marker() == "o")
    assert sorted(dots.get_ydata()) == pytest.approx([1, 2, 6])
    assert axes.get_lines()[-1].get_ydata() == pytest.approx([2, 2])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "2"]


def test_labels_of_features_are_text_also_where_they_are_numbers() -> None:
    assert tables()["comparison"]["feature"].tolist() == ["1", "1", "1"]


def test_a_network_without_a_sketch_of_its_own_gets_the_generic_one() -> None:
    runs = pd.DataFrame({"case": ["mine"], "seed": 0, "status": "converged", "feature_word": "mode", "value_word": "v",
                         "symbol": np.nan, "homogeneity_degree": 2})
    loss = pd.DataFrame({"case": "mine", "seed": 0, "source": ["training"] * 3 + ["agf"] * 2,
                         "time": [0.0, 1, 2, 0, 2], "loss": [1.0, 0.5, 0.1, 1, 0.1]})
    events = pd.DataFrame({"case": "mine", "seed": 0, "source": ["training"], "kind": "acquisition", "feature": "1",
                           "time": 1.0, "loss_before": 1.0, "loss_after": 0.1})
    figure = plot_overview(PaperTables({"runs": runs, "loss": loss, "events": events}))
    assert "mine" in figure.axes[0].get_title()
