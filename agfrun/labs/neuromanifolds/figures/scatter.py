"""All networks of a sweep: dimension against parameters, and against the ambient space."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

_MARKERS = ("o", "s", "^", "D", "v", "P")
_MOST_DEGREES = len(_MARKERS)
# Networks of several degrees often share a point: the later ones are smaller and lie within.
_SIZES = (6.2, 5.2, 4.4, 3.6, 3.0, 2.6)


@styled()
def plot_scatter(table: pd.DataFrame) -> Figure:
    """Draw a point for each network, by degree, in two panels of equal heights.

    On the line of the first panel no weight is redundant: what lies below it are the dimensions of the fibres. On the
    line of the second the functions fill their space. A ring is a network that falls short of the expected dimension.

    Args:
        table: of `figures.sweep.measured_networks`.
    """
    figure = new_figure(TEXT_WIDTH, 2.9)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, column, label, line in ((left, "parameters", "parameters", "dimension = parameters"),
                                      (right, "ambient", "ambient dimension", "dimension = ambient: filling")):
        _draw(axes, table[table[column].notna()], column)
        _set_axes(axes, label, line, table, column)
    left.set_ylabel("dimension")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=_MOST_DEGREES + 2,
                  title="degree of the activation", title_fontsize=6.5, alignment="left")
    settle(figure)
    return figure


def _draw(axes: Axes, table: pd.DataFrame, column: str) -> None:
    degrees = sorted(table["degree"].dropna().unique())
    for place, degree in enumerate(degrees[:_MOST_DEGREES]):
        part = table[table["degree"] == degree]
        if place == _MOST_DEGREES - 1 < len(degrees) - 1:
            part, name = table[table["degree"] >= degree], f"{degree:g} and more"
        else:
            name = f"{degree:g}"
        axes.plot(part[column].astype(float), part["dimension"].astype(float), linestyle="none",
                  marker=_MARKERS[place], markersize=_SIZES[place], color=OKABE_ITO[place], markeredgewidth=0,
                  label=name, gid=f"{column}:{name}")
    rest = table[table["degree"].isna()]
    if len(rest):
        axes.plot(rest[column].astype(float), rest["dimension"].astype(float), linestyle="none", marker="o",
                  markersize=3.2, color="0.4", label="none")
    short = table[table["defect"] > 0]
    if len(short):
        axes.plot(short[column].astype(float), short["dimension"].astype(float), linestyle="none", marker="o",
                  markersize=8.5, markerfacecolor="none", markeredgecolor="black", markeredgewidth=0.7,
                  label="below expected", gid=f"{column}:short")


def _set_axes(axes: Axes, label: str, line: str, table: pd.DataFrame, column: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel=label)
    low, high = 0.75 * float(table["dimension"].min()), 1.5 * float(table["dimension"].max())
    ends = np.array([low, high])
    axes.plot(ends, ends, color="0.6", linewidth=0.8, zorder=0)
    axes.set_ylim(low, high)
    axes.set_xlim(0.75 * float(table[column].min()), 1.4 * float(max(table[column].max(), table["dimension"].max())))
    axes.set_title(line, color="0.35", fontsize=6.5)
    for axis in (axes.xaxis, axes.yaxis):
        reach = float(np.log10(axis.get_view_interval()[1] / axis.get_view_interval()[0]))
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if reach < 2.2 else (1.0,), numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value < 1e4 else
                                               f"$10^{{{np.log10(value):.0f}}}$"))
        axis.set_minor_formatter(NullFormatter())
