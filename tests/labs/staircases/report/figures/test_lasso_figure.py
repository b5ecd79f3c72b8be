"""The Lasso path below a diagonal network's coefficients: what is drawn, where, in which colour."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from agfrun import styled
from agfrun.labs.staircases.report.figures.context import FigureContext
from agfrun.labs.staircases.report.figures.lasso import plot_lasso_path
from agfrun.labs.staircases.wording import Wording
from agfrun.report.figures.style import NO_FEATURE_GREY, feature_colours, render

PENALTIES = np.array([4.0, 2.0, 0.5, 0.0])
COEFFICIENTS = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, -2.0, 0.0], [3.5, -3.0, 0.001]])
FINAL = {"1": 3.5, "2": -3.0, "3": 0.001}


def features_table(final: dict[str, float] | None = None) -> pd.DataFrame:
    rows = [{"source": source, "time": time, "feature": feature, "value": value * (time > 10)}
            for source in ("training", "agf") for time in (1.0, 10.0, 100.0)
            for feature, value in (final or FINAL).items()]
    return pd.DataFrame(rows)


def events_table(times: dict[str, float]) -> pd.DataFrame:
    rows = [{"source": "agf", "kind": "activation", "time": time, "feature": feature}
            for feature, time in times.items()]
    return pd.DataFrame(rows, columns=["source", "kind", "time", "feature"])


def draw(times: dict[str, float], features: pd.DataFrame | None = None,
         penalties: np.ndarray = PENALTIES, coefficients: np.ndarray = COEFFICIENTS) -> tuple[Figure, Axes, Axes]:
    features = features_table() if features is None else features
    context = FigureContext(Wording("coefficient", "coefficient", r"$\beta_{{{}}}$"), 2,
                            feature_colours(["1", "2", "3"]), (1.0, 200.0))
    figure = plot_lasso_path(context, features, events_table(times), penalties, coefficients)
    upper, lower = figure.axes
    return figure, upper, lower


def curve(axes: Axes, gid: str) -> tuple[np.ndarray, np.ndarray, str]:
    (line,) = (line for line in axes.get_lines() if line.get_gid() == gid)
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), to_hex(line.get_color())


def test_path_is_drawn_over_the_inverse_penalty_through_its_breakpoints() -> None:
    _, _, lower = draw({"1": 5.0, "2": 10.0})
    x, y, _ = curve(lower, "lasso:1")
    for penalty, value in ((4.0, 0.0), (3.0, 1.0), (2.0, 2.0), (1.0, 8 / 3), (0.5, 3.0), (0.25, 3.25)):
        assert np.interp(1 / penalty, x, y) == pytest.approx(value, abs=0.02)
    assert 0.5 in x
    assert np.all(y[x < 0.25] == 0)


def test_a_coefficient_has_one_colour_in_both_panels_and_small_ones_are_grey() -> None:
    _, upper, lower = draw({"1": 5.0, "2": 10.0})
    for feature in "12":
        assert curve(upper, f"training:{feature}")[2] == curve(lower, f"lasso:{feature}")[2]
    assert curve(lower, "lasso:1")[2] != curve(lower, "lasso:2")[2]
    assert curve(upper, "training:3")[2] == curve(lower, "lasso:3")[2] == to_hex(NO_FEATURE_GREY)
    assert curve(upper, "agf:1")[2] == "#000000"
    named = {text.get_text() for axes in (upper, lower) for text in axes.texts}
    assert named == {r"$\beta_{1}$", r"$\beta_{2}$"}


def test_a_coefficient_that_is_gone_at_the_end_is_named_if_it_was_ever_large() -> None:
    gone = COEFFICIENTS.copy()
    gone[2, 2] = 1.0
    _, _, lower = draw({"1": 5.0}, coefficients=gone)
    assert curve(lower, "lasso:3")[2] != to_hex(NO_FEATURE_GREY)


def test_the_axes_are_aligned_at_the_first_selection() -> None:
    """AGF selects at time 5 what the Lasso selects at 1/4: the unit of time is 20."""
    _, upper, lower = draw({"1": 5.0, "2": 10.0})
    np.testing.assert_allclose(np.array(upper.get_xlim()) / 20, lower.get_xlim())
    places = [axes.transData.transform((x, 0))[0] for axes, x in ((upper, 5.0), (lower, 0.25))]
    assert places[0] == pytest.approx(places[1], abs=0.5)


@pytest.mark.parametrize(("times", "expected"), [
    ({"1": 5.0, "2": 10.0, "3": 40.0}, "1.00"),
    ({"3": 5.0, "2": 10.0, "1": 40.0}, "-1.00"),
    ({"1": 5.0, "3": 10.0, "2": 40.0}, "0.33"),
])
def test_title_says_how_the_orders_agree(times: dict[str, float], expected: str) -> None:
    _, _, lower = draw(times)
    assert lower.get_title(loc="left").endswith(f"rank correlation {expected})")


def test_without_selections_there_is_nothing_to_align_or_to_compare() -> None:
    _, _, lower = draw({})
    assert lower.get_title(loc="left") == "Lasso"
    assert lower.get_xlim()[0] < 0.25
    assert lower.get_xlim()[1] > 2.0


def test_nothing_to_learn_is_drawn_too() -> None:
    nothing = features_table({"1": 0.0, "2": 0.0, "3": 0.0})
    figure, upper, _ = draw({}, nothing, np.zeros(1), np.zeros((1, 3)))
    assert upper.get_ylim() == (-1.0, 1.0)
    assert render(figure, "png").startswith(b"\x89PNG")


def test_both_panels_share_the_value_axis_which_a_diverging_training_leaves_alone() -> None:
    features = features_table()
    features.loc[(features["source"] == "training") & (features["time"] > 50), "value"] = 1e9
    _, upper, lower = draw({"1": 5.0}, features)
    assert upper.get_ylim() == lower.get_ylim()
    assert upper.get_ylim()[1] < 5


def test_title_and_labels_fit_the_figure_and_bytes_repeat() -> None:
    figure, _, lower = draw({"3": 5.0, "2": 10.0, "1": 40.0})
    with styled():
        figure.draw_without_rendering()
        title = next(text for text in lower.get_children() if isinstance(text, Text) and "Lasso" in text.get_text())
        assert title.get_window_extent().x1 <= figure.bbox.x1
    assert render(figure, "png") == render(draw({"3": 5.0, "2": 10.0, "1": 40.0})[0], "png")
    assert lower.get_xlabel() == r"$1\,/\,\lambda$"
