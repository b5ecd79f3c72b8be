"""Dimensions of three families against depth: formula and measurement, and the share of parameters that counts."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from agfrun.labs.neuromanifolds.figures.counts import COUNTED
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

_COLOURS = (OKABE_ITO[0], OKABE_ITO[1], OKABE_ITO[2])
_MARKERS = ("o", "s", "^")
# Hollow and of unequal size, so that equal values show all their marks.
_SIZES = (7.0, 4.5, 4.5)


@styled()
def plot_depths(table: pd.DataFrame) -> Figure:
    """Draw dimension (left) and dimension over parameters (right) against the number of layers.

    Args:
        table: depths.csv.
    """
    figure = new_figure(TEXT_WIDTH, 2.7)
    left, right = figure.subplots(1, 2)
    handles = []
    for (family, part), colour, marker, size in zip(table.groupby("family", sort=False), _COLOURS, _MARKERS, _SIZES,
                                                    strict=False):
        known = part[part["closed_form"].notna()]
        left.plot(part["layers"], part["parameters"], color=colour, linestyle=":", linewidth=0.9)
        left.plot(known["layers"], known["closed_form"].astype(float), color=colour, linewidth=1.1)
        left.plot(part["layers"], part["dimension"], color=colour, marker=marker, markersize=4, linestyle="none")
        right.plot(part["layers"], part["dimension"] / part["parameters"], color=colour, marker=marker, markersize=size,
                   markerfacecolor="none", linewidth=0.8)
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.1,
                              label=str(family).replace("_", " ")))
    handles += [Line2D([], [], color=COUNTED, marker="o", markersize=4, linestyle="none", label="measured"),
                Line2D([], [], color=COUNTED, linewidth=1.1, label="closed form"),
                Line2D([], [], color=COUNTED, linestyle=":", linewidth=0.9, label="parameters")]
    left.set(xlabel="layers", ylabel="dimensions")
    right.set(xlabel="layers", ylabel="dimension / parameters")
    left.set_ylim(bottom=0)
    right.set_ylim(0, 1.05)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, alignment="left")
    settle(figure)
    return figure
