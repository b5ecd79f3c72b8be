"""The staircases of many runs: training beside the prediction, one row for each initialization scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from agfrun.labs.staircases.report.figures.context import (
    TIME_LABEL,
    of_prediction,
    of_source,
    prediction_name,
    set_log_axis,
    typical_run,
)
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

FloatArray = npt.NDArray[np.float64]

_GRID = 800
_BAND = (10, 90)
_SMALLEST_LOSS = 1e-4
_MOST_LINES = 100
_ROW_HEIGHT = 1.55
_SIDES = ("training", "prediction")


@styled()
def plot_staircases(runs: pd.DataFrame, loss: pd.DataFrame, homogeneity_degree: int | None) -> Figure:
    """Draw every run's loss over time, training on the left and the prediction on the right, a row for each scale.

    Thin lines are runs, the thick one of them is nearest to all others, and the band reaches from the 10th to the
    90th percentile at equal times; that of the prediction lies over training too. Several scales share one time
    axis, in units of the time that a neuron takes to grow from its scale: log(1 / scale) at degree 2,
    scale^(2 - degree) beyond.

    Args:
        runs: the runs in their column `run`, with the column `log10_init_scale`.
        loss: the gathered table `loss.csv`.
        homogeneity_degree: degree of one neuron in its parameters; None leaves time as it is.
    """
    logs = sorted(runs["log10_init_scale"].unique(), reverse=True)
    shares = _in_units(runs, loss, homogeneity_degree if len(logs) > 1 else None)
    figure = new_figure(TEXT_WIDTH, 0.75 + _ROW_HEIGHT * max(len(logs), 1.3))
    panels = figure.subplots(max(len(logs), 1), 2, sharex=True, sharey=True, squeeze=False)
    horizontal, vertical = _limits(shares)
    grid = np.geomspace(*horizontal, _GRID)
    colours = sequential_colours(len(logs)) if len(logs) > 1 else OKABE_ITO[: len(logs)]
    for row, log, colour in zip(panels, logs, colours, strict=True):
        own = shares[shares["log10_init_scale"] == log]
        curves = {side: on_grid(rows, grid) for side, rows in zip(
            _SIDES, (of_source(own, "training"), of_prediction(own)), strict=True)}
        for axes, side in zip(row, _SIDES, strict=True):
            _draw(axes, grid, curves[side], colour if side == "training" else "black", side)
            set_log_axis(axes, "x", horizontal)
            set_log_axis(axes, "y", vertical)
        if len(curves["prediction"]):
            row[0].plot(grid, typical_run(curves["prediction"]), color="black", linewidth=0.9,
                        linestyle=(0, (4, 1.6)), gid="prediction:typical")
        row[0].set_ylabel("loss / initial loss")
        row[1].text(0.98, 0.95, _scale_label(log, own["run"].nunique()), transform=row[1].transAxes, ha="right",
                    va="top")
    for axes, name in zip(panels[0], ("training", prediction_name(loss)), strict=True):
        axes.set_title(name)
    for axes in panels[-1]:
        axes.set_xlabel(_time_label(homogeneity_degree if len(logs) > 1 else None))
    _add_legend(figure, prediction_name(loss))
    settle(figure)
    return figure


def on_grid(loss: pd.DataFrame, grid: FloatArray) -> FloatArray:
    """Loss of each run at common times, (runs, T); one that has ended stays where it is."""
    return np.array([np.interp(grid, curve["time"], curve["share"]) for _, curve in loss.groupby("run")])


def time_unit(log10_scale: FloatArray, homogeneity_degree: int | None) -> FloatArray:
    """The time in which a neuron of the scale grows, up to a factor that is the same for all scales."""
    if homogeneity_degree is None:
        return np.ones_like(log10_scale)
    if homogeneity_degree == 2:
        return np.asarray(-log10_scale * np.log(10))
    return np.asarray(10 ** (log10_scale * (2 - homogeneity_degree)))


def _in_units(runs: pd.DataFrame, loss: pd.DataFrame, degree: int | None) -> pd.DataFrame:
    """The losses of training and the prediction as parts of the initial loss, over time in units."""
    shown = pd.concat([of_source(loss, "training"), of_prediction(loss)])
    shown = shown.drop(columns="log10_init_scale", errors="ignore")
    shown = shown.merge(runs[["run", "log10_init_scale"]], on="run")
    shown["time"] /= time_unit(shown["log10_init_scale"].to_numpy(dtype=float), degree)
    shown["share"] = shown["loss"] / shown.groupby(["run", "source"])["loss"].transform("first")
    return shown[np.isfinite(shown["share"])]


def _limits(shares: pd.DataFrame) -> tuple[tuple[float, float], tuple[float, float]]:
    """Time from a little before the first drop to the last end; loss down to where it is learned."""
    trained = of_source(shares, "training")
    trained = trained if len(trained) else shares
    end = float(trained["time"].max()) if len(trained) else 1.0
    fallen = shares[(shares["share"] < 0.95) & (shares["time"] > 0)]
    first = float(fallen["time"].min()) if len(fallen) else end
    positive = shares["share"][shares["share"] > 0]
    floor = max(_SMALLEST_LOSS, float(positive.min()) / 2) if len(positive) else _SMALLEST_LOSS
    end = end if end > 0 else 1.0
    return (min(first / 2, end / 10), end), (min(floor, 0.5), 1.6)


def _draw(axes: Axes, grid: FloatArray, curves: FloatArray, colour: str, source: str) -> None:
    if not len(curves):
        return
    for curve in curves[:_MOST_LINES]:
        axes.plot(grid, curve, color=colour, linewidth=0.4, alpha=max(0.12, min(0.6, 4 / len(curves))))
    if len(curves) > 1:
        low, high = np.percentile(curves, _BAND, axis=0)
        axes.fill_between(grid, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(grid, typical_run(curves), color=colour, linewidth=1.4, gid=f"{source}:typical")


def _scale_label(log10_scale: float, runs: int) -> str:
    scale = f"{10**log10_scale:.3g}" if log10_scale > -300 else f"1e{log10_scale:g}"
    return f"initialization scale {scale}, {runs} run{'s' if runs > 1 else ''}"


def _time_label(degree: int | None) -> str:
    if degree is None:
        return TIME_LABEL
    if degree == 2:
        return f"{TIME_LABEL} / log(1 / scale)"
    return f"{TIME_LABEL} x scale" + (f"$^{degree - 2}$" if degree > 3 else "")


def _add_legend(figure: Figure, name: str) -> None:
    figure.legend(
        [Line2D([], [], color="0.3", linewidth=0.4), Line2D([], [], color="0.3", linewidth=1.4),
         Patch(color="0.3", alpha=0.18, linewidth=0), Line2D([], [], color="black", linewidth=0.9,
                                                             linestyle=(0, (4, 1.6)))],
        ["runs", "typical run", f"{_BAND[0]}-{_BAND[1]}%", f"typical run, {name}"], loc="outside upper left", ncols=4)
