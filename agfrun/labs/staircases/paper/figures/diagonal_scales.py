"""A diagonal linear network from large to small initializations: the staircase appears."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.staircases.paper.figures.cases import PaperTables
from agfrun.labs.staircases.paper.figures.panels import (
    AGF_HANDLE,
    DASHES,
    FINAL_HANDLE,
    acquired,
    add_scale_legend,
    letter,
)
from agfrun.labs.staircases.report.figures.context import FigureContext, of_prediction, of_source, set_log_axis
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.labels import Label, label_right_margin, nudge_apart
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled

CLOCK_LABEL = "time / log(1/scale)"
_LIMITS = (1e-2, 12.0)
_DEEPEST = 1e-3
_FAINTEST = 0.15
_SLOPE_LENGTH = 8.0


@styled()
def plot_diagonal_scales(tables: PaperTables) -> Figure:
    """Draw, on the clock time / log(1/scale): losses (a), coefficients (b), and the errors of times (c).

    The darker the smaller the scale. Dashed black: the limit of a vanishing scale, AGF by theorem 3.1. Dotted: least
    squares.
    """
    figure = new_figure(TEXT_WIDTH, 4.6)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1.0))
    coefficients = figure.add_subplot(grid[:, 0])
    loss, errors = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    colours = dict(zip(tables.cases, sequential_colours(len(tables.cases)), strict=True))
    context = tables.context(tables.cases[-1])
    _draw_losses(loss, tables, colours)
    texts = label_right_margin(coefficients, _draw_coefficients(coefficients, tables, context))
    _draw_errors(errors, tables, context)
    for axes, name, title in ((coefficients, "a", "coefficients"), (loss, "b", "loss"), (errors, "c", "AGF's times")):
        letter(axes, name, title)
    add_scale_legend(figure, colours, [("limit (AGF)", AGF_HANDLE), ("least squares", FINAL_HANDLE)])
    settle(figure)
    nudge_apart(coefficients, texts)
    return figure


def _draw_losses(axes: Axes, tables: PaperTables, colours: dict[str, str]) -> None:
    initial = 0.0
    for case, colour in colours.items():
        rows = of_source(tables.first("loss", case), "training")
        axes.plot(rows["time"] / tables.log_inverse_scale(case), rows["loss"], color=colour, linewidth=1.3)
        initial = max(initial, float(rows["loss"].iloc[0]))
    smallest = tables.cases[-1]
    limit = of_source(tables.first("loss", smallest), "theory")
    axes.plot(limit["time"] / tables.log_inverse_scale(smallest), limit["loss"], color="black", linewidth=1.0,
              linestyle=DASHES)
    _set_clock_axis(axes)
    set_log_axis(axes, "y", (_DEEPEST * initial, 1.6 * initial))
    axes.set_ylabel("loss")


def _draw_coefficients(axes: Axes, tables: PaperTables, context: FigureContext) -> list[Label]:
    cases, labels = tables.cases, []
    shades = np.linspace(_FAINTEST, 1.0, len(cases))
    final = tables["least_squares"]
    final = final[final["case"] == cases[-1]].set_index("feature")["value"]
    for case, shade in zip(cases, shades, strict=True):
        rows = of_source(tables.first("features", case), "training")
        for feature, curve in rows.groupby("feature", sort=False):
            axes.plot(curve["time"] / tables.log_inverse_scale(case), curve["value"], color=context.colour(feature),
                      alpha=shade, linewidth=1.3)
    predicted = of_prediction(tables.first("features", cases[-1]))
    for feature, curve in predicted.groupby("feature", sort=False):
        axes.plot(curve["time"] / tables.log_inverse_scale(cases[-1]), curve["value"], color="black", linewidth=0.8,
                  linestyle=DASHES)
        value = float(final[feature])
        axes.axhline(value, color=context.colour(feature), linewidth=0.6, linestyle=(0, (1, 1.5)), zorder=0.5)
        labels.append(Label(1.0, value, context.wording.label(feature), context.colour(feature)))
    _set_clock_axis(axes)
    low, high = min(0.0, float(final.min())), max(0.0, float(final.max()))
    axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    axes.set_ylabel(context.wording.value)
    return labels


def _draw_errors(axes: Axes, tables: PaperTables, context: FigureContext) -> None:
    """|predicted / measured time - 1| of each coefficient against 1 / log(1/scale), the law of theorem 3.1's proof."""
    points: dict[str, list[tuple[float, float]]] = {}
    for case in tables.cases:
        rows = acquired(tables, case)
        for feature, error in zip(rows["feature"], rows["time_error"].abs(), strict=True):
            if np.isfinite(error) and error > 0:
                points.setdefault(str(feature), []).append((1 / tables.log_inverse_scale(case), 100 * error))
    for feature, found in points.items():
        axes.plot(*np.array(found).T, color=context.colour(feature), marker="o", markersize=3, linewidth=0.9)
    if smallest := [min(found) for found in points.values()]:
        rate, error = max(smallest, key=lambda point: point[1])
        ends = rate * np.array([1.0, _SLOPE_LENGTH])
        axes.plot(ends, 1.5 * error / rate * ends, color="0.5", linewidth=0.8, linestyle=(0, (5, 2)), zorder=0.5)
        axes.annotate("slope 1", (ends[1], 1.5 * error * _SLOPE_LENGTH), xytext=(-4, 0), textcoords="offset points",
                      color="0.4", ha="right")
        axes.set(xscale="log", yscale="log")
    axes.set(xlabel="1 / log(1/scale)", ylabel="error of time (%)")


def _set_clock_axis(axes: Axes) -> None:
    set_log_axis(axes, "x", _LIMITS)
    axes.set_xlabel(CLOCK_LABEL)
