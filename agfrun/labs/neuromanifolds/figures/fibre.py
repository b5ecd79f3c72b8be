"""Where the parameters of a network go: to functions, to known symmetries, and to what nobody has named."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TRAINING_GREY, new_figure, settle, styled

_SHADES = (OKABE_ITO[4], OKABE_ITO[5], OKABE_ITO[3])


@styled()
def plot_fibre(row: pd.Series[Any], symmetries: pd.DataFrame) -> Figure:
    """Draw one bar of all parameters, cut into what they do.

    Args:
        row: of fibre.csv.
        symmetries: symmetries.csv.
    """
    parts = [("dimension of the functions", int(row["dimension"]), OKABE_ITO[0])]
    known = int(row["orbit_dimension"])
    groups = symmetries[symmetries["orbit_dimension"].astype(int) > 0]
    if len(groups) and int(groups["orbit_dimension"].sum()) == known:
        parts += [(str(name), int(length), colour) for name, length, colour in
                  zip(groups["name"], groups["orbit_dimension"], _SHADES * len(groups), strict=False)]
    elif known:
        parts.append(("known symmetries, which overlap", known, OKABE_ITO[4]))
    if int(row["unexplained"]) > 0:
        parts.append(("fibre without a known symmetry", int(row["unexplained"]), TRAINING_GREY))
    figure = new_figure(COLUMN_WIDTH, 0.85 + 0.17 * len(parts))
    axes = figure.subplots()
    start = 0
    for name, length, colour in parts:
        axes.barh(0, length, left=start, color=colour, height=0.6, label=name, gid=name)
        axes.annotate(str(length), (start + length / 2, 0), ha="center", va="center", fontsize=7,
                      color="white" if colour == OKABE_ITO[0] else "black")
        start += length
    axes.set(xlim=(0, start), ylim=(-0.4, 0.4), xlabel="parameters")
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=1, alignment="left")
    settle(figure)
    return figure
