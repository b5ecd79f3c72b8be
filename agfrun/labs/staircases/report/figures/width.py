"""The staircase smoothing with width: loss curves by width, and a measure of sharpness against it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from agfrun.labs.staircases.report.figures.context import (
    TIME_LABEL,
    of_prediction,
    of_source,
    prediction_name,
    set_log_axis,
    typical_run,
)
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, new_figure, settle, styled

FloatArray = npt.NDArray[np.float64]

_MEASURE = "drop_duration"
_GRID = 600
_CURVES_NAMED = 8


@styled()
def plot_width(runs: pd.DataFrame, curves: pd.DataFrame, trends: pd.DataFrame) -> Figure:
    """Draw what the study `width` found.

    Above: the loss of training, one colour a width; the line is the seed nearest to all others, the band their
    range. Below: the duration of drops against width, a dot each run, the line their median; open squares are
    the prediction's, where it was made and its drops take time.

    Args:
        runs, curves, trends: the tables of the same names; `trends` may be empty.
    """
    figure = new_figure(COLUMN_WIDTH, 4.6)
    above, below = figure.subplots(2, 1)
    trained = of_source(curves, "training")
    _draw_losses(above, trained)
    _draw_durations(below, runs, trends)
    settle(figure)
    return figure


def _draw_losses(axes: Axes, curves: pd.DataFrame) -> None:
    widths = sorted(curves["width"].unique())
    colours = sequential_colours(len(widths))
    limits = _time_limits(curves)
    grid = np.geomspace(*limits, _GRID)
    for width, colour in zip(widths, colours, strict=True):
        losses = _on_grid(curves[curves["width"] == width], grid)
        axes.plot(grid, typical_run(losses), color=colour, gid=f"training:{width}")
        if len(losses) > 1:
            axes.fill_between(grid, np.nanmin(losses, axis=0), np.nanmax(losses, axis=0), color=colour, alpha=0.25,
                              linewidth=0)
    set_log_axis(axes, "x", limits)
    axes.set_ylim(0.0, 1.05)
    axes.set_xlabel(TIME_LABEL)
    axes.set_ylabel("loss / initial loss")
    named = sorted({round(place) for place in np.linspace(0, len(widths) - 1, min(len(widths), _CURVES_NAMED))})
    axes.legend(handles=[Line2D([], [], color=colours[place], label=f"{widths[place]}") for place in named],
                title="width", title_fontsize=6.5, loc="lower left", bbox_to_anchor=(0.0, 1.0), alignment="left",
                ncol=_CURVES_NAMED // 2)


def _on_grid(curves: pd.DataFrame, grid: FloatArray) -> FloatArray:
    """Losses of the seeds on common times, (S, T); a run that has ended stays where it is."""
    return np.array([np.interp(grid, curve["time"], curve["loss_share"]) for _, curve in curves.groupby("seed")])


def _time_limits(curves: pd.DataFrame) -> tuple[float, float]:
    """From a little before the loss first falls to the end of the longest run."""
    end = float(curves["time"].max())
    fallen = curves[(curves["loss_share"] < 0.95) & (curves["time"] > 0)]
    first = float(fallen["time"].min()) if len(fallen) else end
    return min(first / 2, end / 10), end


def _draw_durations(axes: Axes, runs: pd.DataFrame, trends: pd.DataFrame) -> None:
    shown = runs[np.isfinite(runs[_MEASURE].astype(float)) & (runs[_MEASURE] > 0)]
    trained = of_source(shown, "training")
    colour = OKABE_ITO[0]
    axes.plot(trained["width"], trained[_MEASURE], linestyle="", marker="o", markersize=3.5, color=colour,
              gid="training")
    median = trained.groupby("width")[_MEASURE].median()
    axes.plot(median.index, median, color=colour, label="training", gid="median")
    predicted = of_prediction(shown)
    if len(predicted):
        axes.plot(predicted["width"], predicted[_MEASURE], linestyle="", marker="s", markersize=4,
                  markerfacecolor="none", color="0.3", markeredgewidth=0.7, label=prediction_name(shown), gid="agf")
    _set_axes(axes, shown)
    axes.set_ylabel("duration of drops, ln(end / start)")
    axes.set_xlabel("width")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=2, title=_trend(trends), title_fontsize=6.5,
                alignment="left")


def _set_axes(axes: Axes, shown: pd.DataFrame) -> None:
    widths = sorted(shown["width"].unique())
    if widths:
        set_log_axis(axes, "x", (min(widths) / 1.15, max(widths) * 1.15))
        axes.xaxis.set_major_locator(FixedLocator(widths))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        set_log_axis(axes, "y", (float(shown[_MEASURE].min()) / 1.4, float(shown[_MEASURE].max()) * 1.4))


def _trend(trends: pd.DataFrame) -> str:
    found = trends[trends["measure"] == _MEASURE]
    if not len(found):
        return ""
    row = found.iloc[0]
    return f"rank correlation with width {row['kendall_tau']:+.2f} (p = {row['p_value']:.2g})"
