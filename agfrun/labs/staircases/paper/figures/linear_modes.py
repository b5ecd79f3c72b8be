"""Fully connected linear networks: singular values, losses and the errors of both predictions, on two data sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.labs.staircases.paper.figures.cases import PaperTables, curves
from agfrun.labs.staircases.paper.figures.panels import (
    DASHES,
    TIME_RESIDUAL,
    acquired,
    add_legend,
    draw_band,
    draw_loss,
    draw_residuals,
    letter,
)
from agfrun.labs.staircases.report.figures.context import FigureContext, of_prediction, of_source, set_log_axis
from agfrun.report.figures.labels import label_right_margin, nudge_apart
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

_CONJECTURE = OKABE_ITO[1]
_SMALLEST_SHARE = 1e-3


@styled()
def plot_linear_modes(tables: PaperTables) -> Figure:
    """Draw, for each data set, the singular values of A W, the loss, and the errors of times.

    Solid: training of the first seed (band: range over seeds), coloured by mode; dashed: AGF; thin orange: the
    saddles of conjecture 4.1. Below, dots are AGF's errors, crosses the conjecture's.
    """
    cases = tables.cases
    figure = new_figure(TEXT_WIDTH, 5.6)
    panels = figure.subplots(3, len(cases), squeeze=False, height_ratios=(1.4, 1.2, 1.0))
    margins = []
    for place, case in enumerate(cases):
        context = tables.context(case)
        values, loss, errors = panels[:, place]
        _draw_singular_values(values, tables, case, context)
        margins.append((loss, label_right_margin(loss, draw_loss(loss, tables, case, context, 1e-5))))
        _draw_conjectured_loss(loss, tables, case)
        rows = acquired(tables, case)
        draw_residuals(errors, rows, context, "time_error", TIME_RESIDUAL)
        _draw_errors_of_conjecture(errors, rows, context)
        for row, axes in enumerate((values, loss, errors)):
            letter(axes, "abcdef"[len(cases) * row + place], case if row == 0 else "")
    add_legend(figure, tables.seeds(cases[0]), [("conjecture 4.1", Line2D([], [], color=_CONJECTURE, linewidth=0.9))])
    settle(figure)
    for axes, texts in margins:
        nudge_apart(axes, texts)
    return figure


def _draw_singular_values(axes: Axes, tables: PaperTables, case: str, context: FigureContext) -> None:
    of_case = tables.of("observables", case)
    of_case = of_case[of_case["quantity"] == "singular value"]
    first = of_case[of_case["seed"] == of_case["seed"].iloc[0]]
    context.set_time_axis(axes)
    largest = float(of_source(first, "training")["value"].max())
    set_log_axis(axes, "y", (_SMALLEST_SHARE * largest, 2 * largest))
    axes.set_ylabel("singular values of A W")
    for index, rows in first.groupby("index"):
        colour = context.colour(str(index))
        training, prediction = of_source(rows, "training"), of_prediction(rows)
        draw_band(axes, curves(of_case[of_case["index"] == index], "training", "value"), context.time_limits, colour)
        axes.plot(training["time"], training["value"], color=colour, linewidth=1.6)
        axes.plot(prediction["time"], prediction["value"], color="black", linewidth=0.8, linestyle=DASHES)
    for _, rows in tables.of("conjecture", case).groupby("index"):
        axes.step(np.append(rows["time"], context.time_limits[1]), np.append(rows["value"], rows["value"].iloc[-1]),
                  where="post", color=_CONJECTURE, linewidth=0.7, zorder=1.5)


def _draw_conjectured_loss(axes: Axes, tables: PaperTables, case: str) -> None:
    theory = of_source(tables.first("loss", case), "theory")
    axes.plot(theory["time"], theory["loss"], color=_CONJECTURE, linewidth=0.8, zorder=1.5)


def _draw_errors_of_conjecture(axes: Axes, rows: pd.DataFrame, context: FigureContext) -> None:
    """The median over seeds of the conjectured over the measured time less 1, off the axis where it is far off."""
    features = [feature for feature in context.colours if (rows["feature"] == feature).any()]
    for place, feature in enumerate(features):
        of_feature = rows[rows["feature"] == feature]
        errors = 100 * (of_feature["time_theory"] / of_feature["time_training"] - 1)
        if np.isfinite(errors).any():
            axes.plot(place, float(errors.median()), marker="x", markersize=4, color=_CONJECTURE)
    shown = np.array([line.get_ydata() for line in axes.get_lines() if line.get_marker() == "x"], dtype=float)
    high = 1.25 * max(float(np.abs(shown).max(initial=0.0)), axes.get_ylim()[1] / 1.25)
    axes.set_ylim(-high, high)
