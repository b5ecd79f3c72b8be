"""Panels that several figures of the paper have: losses, features, and prediction against measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from agfrun.labs.staircases.paper.figures.cases import FloatArray, PaperTables, curves
from agfrun.labs.staircases.report.figures.context import (
    FigureContext,
    of_prediction,
    of_source,
    prediction_name,
    set_log_axis,
)
from agfrun.labs.staircases.report.figures.staircase import loss_limits, theory_levels
from agfrun.labs.staircases.sources import AGF, NAMES
from agfrun.report.figures.labels import Label
from agfrun.report.figures.style import TRAINING_GREY

DASHES = (0, (4, 1.6))
BAND_ALPHA = 0.22
_GRID = 400
# Parts of the initial loss below this are not shown.
DEEPEST = 1e-3


def letter(axes: Axes, name: str, title: str = "") -> None:
    """Name a panel (a), (b), ..."""
    axes.set_title(f"({name}) {title}".rstrip())


def draw_loss(axes: Axes, tables: PaperTables, case: str, context: FigureContext, deepest: float = DEEPEST
              ) -> list[Label]:
    """Loss of training (grey; band: lowest to highest over the seeds), AGF (dashed) and theory's levels.

    Returns:
        labels of the levels, for the right margin.
    """
    loss, events = tables.first("loss", case), tables.first("events", case)
    initial = float(of_source(loss, "training")["loss"].iloc[0])
    levels = theory_levels(loss, events)
    floor, ceiling = loss_limits(loss, levels)
    floor = max(floor, deepest * initial)
    levels = levels[levels > 1.5 * floor]
    context.set_time_axis(axes)
    set_log_axis(axes, "y", (floor, ceiling))
    axes.set_ylabel("loss")
    for level in levels:
        axes.axhline(level, color="0.8", linewidth=0.6, zorder=0.5)
    draw_band(axes, curves(tables.of("loss", case), "training", "loss"), context.time_limits, TRAINING_GREY)
    training, prediction = of_source(loss, "training"), of_prediction(loss)
    axes.plot(training["time"], training["loss"], color=TRAINING_GREY, linewidth=2.2)
    axes.plot(prediction["time"], prediction["loss"], color="black", linewidth=1.0, linestyle=DASHES)
    return [Label(1.0, float(level), f"{level:.3g}", "0.35") for level in levels]


def draw_features(axes: Axes, tables: PaperTables, case: str, context: FigureContext) -> list[Label]:
    """Size of every feature: training in its colour (band over the seeds), AGF dashed, theory's final sizes dotted.

    Returns:
        labels of the features at their final sizes, for the right margin.
    """
    context.set_time_axis(axes)
    axes.set_ylabel(context.wording.value)
    of_case, first = tables.of("features", case), tables.first("features", case)
    labels = []
    for feature in context.colours:
        rows, colour = first[first["feature"] == feature], context.colour(feature)
        of_seeds = curves(of_case[of_case["feature"] == feature], "training", "value")
        training, prediction = of_source(rows, "training"), of_prediction(rows)
        if not len(training):
            continue
        draw_band(axes, of_seeds, context.time_limits, colour)
        axes.plot(training["time"], training["value"], color=colour, linewidth=1.8)
        axes.plot(prediction["time"], prediction["value"], color="black", linewidth=0.8, linestyle=DASHES)
        final = float(training["value"].iloc[-1])
        axes.axhline(final, color=colour, linewidth=0.6, linestyle=(0, (1, 1.5)), zorder=0.5)
        labels.append(Label(1.0, final, context.wording.label(feature), colour))
    return labels


def draw_band(axes: Axes, lines: Sequence[tuple[FloatArray, FloatArray]], limits: tuple[float, float], colour: str
              ) -> None:
    """Lowest to highest of several curves at each time of a logarithmic axis; nothing of a single one."""
    if len(lines) < 2:
        return
    grid = np.geomspace(*limits, _GRID)
    values = np.stack([np.interp(grid, *line) for line in lines])
    axes.fill_between(grid, values.min(0), values.max(0), color=colour, alpha=BAND_ALPHA, linewidth=0, zorder=0.6)


def draw_lower_bounds(axes: Axes, tables: PaperTables, case: str, context: FigureContext, heights: dict[str, float]
                      ) -> None:
    """An arrow to later times from the lower bound of each feature, at its height."""
    for row in lower_bounds(tables, case).itertuples():
        axes.errorbar(row.lower_bound, heights[row.feature], xerr=0.5 * row.lower_bound, xlolims=True, fmt="|",
                      markersize=6, capsize=1.8, elinewidth=0.9, color=context.colour(row.feature), zorder=3)


def lower_bounds(tables: PaperTables, case: str) -> pd.DataFrame:
    """Columns `feature` and `lower_bound`: those that the study has saved, else those of the comparison."""
    if len(saved := tables.first("lower_bounds", case)):
        return saved[["feature", "lower_bound"]]
    rows = of_prediction(tables.first("comparison", case))
    return rows[(rows["kind"] == "acquisition") & np.isfinite(rows["lower_bound"])][["feature", "lower_bound"]]


def acquired(tables: PaperTables, case: str) -> pd.DataFrame:
    """Rows of the comparison for features, of all seeds, with the errors of prediction as columns.

    `time_error` is predicted over measured time less 1; `level_error` is predicted less measured loss on the
    plateau that follows, over the initial loss.
    """
    rows = of_prediction(tables.of("comparison", case))
    rows = rows[rows["kind"] == "acquisition"]
    initial = float(of_source(tables.first("loss", case), "training")["loss"].iloc[0])
    return rows.assign(time_error=rows["time_ratio"] - 1,
                       level_error=(rows["level_predicted"] - rows["level_training"]) / initial)


def predictions_named(tables: PaperTables) -> str:
    """What the dashed lines of a figure are, over all its cases."""
    names = {prediction_name(tables.first("loss", case)) for case in tables.cases}
    return names.pop() if len(names) == 1 else "prediction"


def draw_residuals(axes: Axes, rows: pd.DataFrame, context: FigureContext, column: str, label: str) -> None:
    """Prediction less measurement in percent: a dot a seed for each feature, with a bar at the median."""
    features = [feature for feature in context.colours if (rows["feature"] == feature).any()]
    axes.axhline(0.0, color="0.6", linewidth=0.7, zorder=0.5)
    largest = 0.0
    for place, feature in enumerate(features):
        values = 100 * rows[column][rows["feature"] == feature].to_numpy(float)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        largest = max(largest, float(np.abs(values).max()))
        spread = 0.12 * np.linspace(-1, 1, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(place + spread, values, linestyle="none", marker="o", markersize=2.6, markeredgewidth=0,
                  color=context.colour(feature), alpha=0.75)
        axes.plot([place - 0.28, place + 0.28], [np.median(values)] * 2, color=context.colour(feature), linewidth=1.4)
    axes.set_xticks(range(len(features)), features)
    axes.set_xlim(-0.6, max(len(features), 1) - 0.4)
    axes.set_ylim(*(np.array([-1.25, 1.25]) * max(largest, 1e-6)))
    axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    axes.set(xlabel=context.wording.feature, ylabel=label)


TIME_RESIDUAL = "time: prediction /\nmeasurement $-$ 1 (%)"
LEVEL_RESIDUAL = "level: prediction $-$\nmeasurement (% of initial)"


def add_legend(figure: Figure, seeds: int, further: Sequence[tuple[str, Line2D]] = (),
               prediction: str = NAMES[AGF]) -> None:
    """The line styles that all figures share, and further ones; `prediction` is what the dashed line is."""
    entries = [("training", Line2D([], [], color="0.35", linewidth=1.8)),
               (prediction, AGF_HANDLE), *further]
    if seeds > 1:
        entries.append((f"range over {seeds} seeds", Patch(color="0.35", alpha=BAND_ALPHA, linewidth=0)))  # type: ignore[arg-type]
    figure.legend([handle for _, handle in entries], [name for name, _ in entries], loc="outside upper left",
                  ncols=len(entries))


def add_scale_legend(figure: Figure, colours: Mapping[str, str], further: Sequence[tuple[str, Line2D]]) -> None:
    """The colours of cases that are called `scale X`, named once, and further line styles."""
    entries = [(case if place == 0 else case.removeprefix("scale "), Line2D([], [], color=colour, linewidth=1.3))
               for place, (case, colour) in enumerate(colours.items())]
    entries += further
    figure.legend([handle for _, handle in entries], [name for name, _ in entries], loc="outside upper left",
                  ncols=len(entries), columnspacing=0.9, handlelength=1.2)


AGF_HANDLE = Line2D([], [], color="black", linewidth=1.0, linestyle=DASHES)
BOUND_HANDLE = Line2D([], [], linestyle="none", marker=r"$\mapsto$", markersize=8.0, markeredgewidth=0, color="0.3")
FINAL_HANDLE = Line2D([], [], color="0.3", linewidth=0.7, linestyle=(0, (1, 1.5)))
