"""One architecture over the degree of its activation: the space grows until the parameters are what is short."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agfrun.labs.neuromanifolds.figures.counts import COUNTED, MEASURED, THEORY
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, new_figure, settle, styled

# The ambient space leaves the axes where it would make the rest too small to tell apart.
_HIGHEST = 1.25


@styled()
def plot_degrees(table: pd.DataFrame) -> Figure:
    """Draw dimension, closed form, expected and ambient dimension and parameters against the degree.

    Args:
        table: of `figures.sweep.measured_networks`, of one architecture.
    """
    table = table.sort_values("degree")
    degrees = table["degree"].to_numpy(dtype=float)
    figure = new_figure(COLUMN_WIDTH, 2.6)
    axes = figure.subplots()
    axes.axhline(float(table["parameters"].iloc[0]), color=COUNTED, linewidth=1.0, label="parameters")
    axes.plot(degrees, table["ambient"], color=COUNTED, linestyle="--", marker="D", markersize=3, label="ambient space")
    axes.plot(degrees, table["expected"], color=OKABE_ITO[1], marker="o", markersize=7, markerfacecolor="none",
              linewidth=0.8, label="expected")
    known = table["closed_form"].to_numpy(dtype=float)
    if np.isfinite(known).any():
        axes.plot(degrees, known, color=THEORY, marker="x", markersize=5, linestyle="none", zorder=4,
                  label="closed form")
    axes.plot(degrees, table["dimension"], color=MEASURED, marker="o", markersize=3.5, linewidth=0.8, label="dimension")
    axes.set_ylim(0, _HIGHEST * float(table["parameters"].iloc[0]))
    axes.set_xlim(degrees.min() - 0.3, degrees.max() + 0.3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.set(xlabel="degree of the activation", ylabel="dimensions")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3, title=table["label"].iloc[0],
                  title_fontsize=7.5, alignment="left")
    settle(figure)
    return figure
