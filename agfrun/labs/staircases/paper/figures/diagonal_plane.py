"""A diagonal linear network with two coefficients: its neurons, utilities, landscape and loss."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.staircases.paper.figures.cases import FloatArray, PaperTables
from agfrun.labs.staircases.paper.figures.diagonal_scales import CLOCK_LABEL
from agfrun.labs.staircases.paper.figures.panels import AGF_HANDLE, DASHES, add_scale_legend, letter
from agfrun.labs.staircases.report.figures.context import of_prediction, of_source, set_log_axis
from agfrun.labs.staircases.sources import main_of
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled

_LONGEST = 5.0
_DEEPEST = 1e-3


@styled()
def plot_diagonal_plane(tables: PaperTables) -> Figure:
    """Draw neurons in polar coordinates (a, b), accumulated utility and angle (c - f), landscape (g) and loss (h).

    A neuron (u, v) has the angle atan(v / u), read off its norm n and its coefficient beta = u v by
    sin(2 angle) = 2 beta / n^2. Utilities are in units of the threshold, time in units of log(1/scale); dashed is AGF
    from the smallest scale.
    """
    figure = new_figure(TEXT_WIDTH, 6.0)
    grid = figure.add_gridspec(3, 4, height_ratios=(1.25, 0.9, 0.9))
    colours = dict(zip(tables.cases, sequential_colours(len(tables.cases)), strict=True))
    for place in (0, 1):
        polar = figure.add_subplot(grid[0, 2 * place : 2 * place + 2], projection="polar")
        _draw_polar(polar, tables, colours, place)
        letter(polar, "ab"[place], rf"neuron {place + 1}: angle and $\log_{{10}}$ norm")
        utility = figure.add_subplot(grid[1, place])
        angle = figure.add_subplot(grid[2, place], sharex=utility)
        _draw_races(utility, angle, tables, colours, place)
        letter(utility, "cd"[place], f"neuron {place + 1}")
        letter(angle, "ef"[place])
        if place == 0:
            utility.set_ylabel("accumulated utility\n/ threshold")
            angle.set_ylabel("angle (degrees)")
    landscape, loss = figure.add_subplot(grid[1:, 2]), figure.add_subplot(grid[1:, 3])
    _draw_landscape(landscape, tables, colours)
    _draw_loss(loss, tables, colours)
    letter(landscape, "g", "loss landscape")
    letter(loss, "h", "loss")
    add_scale_legend(figure, colours, [("AGF", AGF_HANDLE)])
    settle(figure)
    return figure


def _path(tables: PaperTables, case: str, source: str, neuron: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times on the accelerated clock, log10 of the norm, and angle in radians of one neuron."""
    features = of_source(tables.first("features", case), source)
    labels = list(features["feature"].unique())
    coefficient = features["value"][features["feature"] == labels[neuron]].to_numpy(float)
    rows = of_source(tables.first("neurons", case), source)
    rows = rows[rows["neuron"] == neuron]
    log_norm = rows["log10_norm"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sine = np.sign(coefficient) * 10 ** (np.log10(np.abs(2 * coefficient)) - 2 * log_norm)
    angle = 0.5 * np.arcsin(np.clip(np.nan_to_num(sine), -1, 1))
    return rows["time"].to_numpy(float) / tables.log_inverse_scale(case), log_norm, angle


def _draw_polar(axes: Axes, tables: PaperTables, colours: dict[str, str], neuron: int) -> None:
    # The smallest scale starts a decade from the middle, so that its turns can be seen.
    lowest = min(_path(tables, case, "training", neuron)[1].min() for case in colours) - 1
    for case, colour in colours.items():
        _, radius, angle = _path(tables, case, "training", neuron)
        axes.plot(angle, radius - lowest, color=colour, linewidth=1.2)
    axes.set(thetamin=-60, thetamax=60)
    axes.set_xticks(np.deg2rad([-45, 0, 45]), ["-45°", "0°", "45°"])
    marks = np.arange(math.ceil(lowest), 1, 2)
    axes.set_yticks(marks - lowest, [f"{mark:g}" for mark in marks])
    axes.set_ylim(0, 0.6 - lowest)
    axes.grid(color="0.88", linewidth=0.5)


def _draw_races(utility: Axes, angle: Axes, tables: PaperTables, colours: dict[str, str], neuron: int) -> None:
    for case, colour in colours.items():
        times, log_norm, turned = _path(tables, case, "training", neuron)
        utility.plot(times, (log_norm - log_norm[0]) / -log_norm[0] if log_norm[0] < 0 else np.nan * times,
                     color=colour, linewidth=1.2)
        angle.plot(times, np.rad2deg(turned), color=colour, linewidth=1.2)
    smallest = tables.cases[-1]
    times, log_norm, _ = _path(tables, smallest, main_of(tables.first("features", smallest)["source"]), neuron)
    utility.plot(times, (log_norm - log_norm[0]) / -log_norm[0], color="black", linewidth=0.9, linestyle=DASHES)
    utility.set(xlim=(0, _LONGEST), ylim=(-0.1, 1.3))
    utility.tick_params(labelbottom=False)
    angle.set(xlabel=CLOCK_LABEL, ylim=(-55, 55), yticks=(-45, 0, 45))
    utility.axhline(1.0, color="0.7", linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=0.5)


def _draw_landscape(axes: Axes, tables: PaperTables, colours: dict[str, str]) -> None:
    smallest = tables.cases[-1]
    surface = tables.of("landscape", smallest).pivot(index="coefficient_2", columns="coefficient_1", values="loss")
    levels = np.geomspace(max(surface.to_numpy().min(), 1e-3), surface.to_numpy().max(), 14)
    axes.contour(surface.columns, surface.index, surface.to_numpy(), levels=levels, colors="0.82", linewidths=0.5)
    for case, colour in colours.items():
        axes.plot(*_coefficients(tables.first("features", case), "training"), color=colour, linewidth=1.3)
    corners = _saddles(tables, smallest)
    axes.plot(*corners.T, linestyle="none", marker="o", markersize=3.6, color="black", markeredgecolor="white",
              markeredgewidth=0.5, zorder=4)
    for place, (x, y) in enumerate(corners):
        axes.annotate(rf"$\beta^{{({place})}}$", (x, y), xytext=(4, 3), textcoords="offset points")
    axes.set(xlabel=r"$\beta_1$", ylabel=r"$\beta_2$", xlim=(surface.columns.min(), surface.columns.max()),
             ylim=(surface.index.min(), surface.index.max()))


def _coefficients(features: pd.DataFrame, source: str) -> FloatArray:
    rows = of_source(features, source)
    return np.stack([curve["value"].to_numpy(float) for _, curve in rows.groupby("feature", sort=False)])


def _saddles(tables: PaperTables, case: str) -> FloatArray:
    """Where AGF rests for a time: its start and its coefficients after each of its events, (K + 1, 2)."""
    features = tables.first("features", case)
    path = _coefficients(features, main_of(features["source"])).T
    times = of_prediction(features).groupby("feature", sort=False)["time"].apply(list).iloc[0]
    rests = [path[0]]
    for place in range(1, len(path)):
        rested = times[place] > times[place - 1] and np.allclose(path[place], path[place - 1])
        if rested and not np.allclose(path[place], rests[-1], rtol=1e-3, atol=1e-3):
            rests.append(path[place])
    return np.array(rests)


def _draw_loss(axes: Axes, tables: PaperTables, colours: dict[str, str]) -> None:
    for case, colour in colours.items():
        rows = of_source(tables.first("loss", case), "training")
        axes.plot(rows["time"] / tables.log_inverse_scale(case), rows["loss"], color=colour, linewidth=1.3)
    smallest = tables.cases[-1]
    rows = of_prediction(tables.first("loss", smallest))
    axes.plot(rows["time"] / tables.log_inverse_scale(smallest), rows["loss"], color="black", linewidth=0.9,
              linestyle=DASHES)
    initial = float(rows["loss"].iloc[0])
    set_log_axis(axes, "y", (_DEEPEST * initial, 1.6 * initial))
    axes.set(xlabel=CLOCK_LABEL, xlim=(0, _LONGEST))
