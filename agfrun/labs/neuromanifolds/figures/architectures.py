"""Architectures of one degree: the dimension of each beside what is expected, its parameters and its space."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

_MOST_ROWS, _MOST_PANELS = 40, 3
_ROW_INCHES, _FRAME_INCHES = 0.16, 0.95
_LOGARITHMIC_FROM = 20
# Column, label, marker, colour and size, drawn in this order: a dimension as expected sits within its ring,
# and one that fills its space within the diamond too.
MARKS = (
    ("parameters", "parameters", "|", "0.45", 6.0),
    ("ambient", "ambient space", "D", OKABE_ITO[4], 6.0),
    ("expected", "expected", "o", OKABE_ITO[1], 6.0),
    ("dimension", "dimension", "o", OKABE_ITO[0], 3.0),
)
_HOLLOW = ("expected", "ambient")


@styled()
def plot_architectures(table: pd.DataFrame) -> Figure:
    """Draw a line for each architecture, with marks at the dimension and what it compares to.

    Args:
        table: of `figures.sweep.measured_networks`, of one degree.
    """
    labels = list(dict.fromkeys(table["label"]))[:_MOST_ROWS * _MOST_PANELS]
    panels = math.ceil(len(labels) / _MOST_ROWS)
    rows = math.ceil(len(labels) / panels)
    figure = new_figure(TEXT_WIDTH if panels > 1 else COLUMN_WIDTH, _FRAME_INCHES + _ROW_INCHES * max(rows, 4))
    for place, axes in enumerate(figure.subplots(1, panels, squeeze=False, sharex=True).ravel()):
        part = labels[place * rows:(place + 1) * rows]
        _draw(axes, table[table["label"].isin(part)], part, rows)
        _set_axis(axes, table)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=4, alignment="left", title=_title(table, len(labels)),
                  title_fontsize=6.5, columnspacing=0.9, handlelength=1.0)
    settle(figure)
    return figure


def _title(table: pd.DataFrame, shown: int) -> str:
    degrees = table["degree"].dropna().unique()
    of_degree = f"degree {degrees[0]:g}" if len(degrees) else "dimensions"
    there = table["label"].nunique()
    return of_degree if shown == there else f"{of_degree}; the first {shown} of {there} architectures"


def _draw(axes: Axes, table: pd.DataFrame, labels: list[str], rows: int) -> None:
    places = [labels.index(label) for label in table["label"]]
    for place, expected, found in zip(places, table["expected"], table["dimension"], strict=True):
        axes.plot([found, expected], [place, place], color=OKABE_ITO[1], linewidth=1.4, zorder=1)
    for column, name, marker, colour, size in MARKS:
        axes.plot(table[column], places, marker=marker, markersize=size, color=colour, linestyle="none", label=name,
                  markerfacecolor="none" if column in _HOLLOW else colour, markeredgewidth=1.0, gid=column)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.grid(axis="y", color="0.92", linewidth=0.5)
    axes.tick_params(axis="y", length=0)


def _set_axis(axes: Axes, table: pd.DataFrame) -> None:
    axes.set_xlabel("dimensions")
    columns = table[[column for column, *_ in MARKS]]
    low, high = float(columns.min().min()), float(columns.max().max())
    if high > _LOGARITHMIC_FROM * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high < 1e4 * low else (1.0,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value < 1e6 else
                                                     f"$10^{{{math.log10(value):.0f}}}$"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, 1.05 * high)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
