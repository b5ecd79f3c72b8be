"""How wrong irreps and inputs may be: tables against errors, and against noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TEXT_WIDTH, feature_colours, new_figure, settle, styled


@styled()
def plot_bound(perturbation: pd.DataFrame) -> Figure:
    """Draw the share of right entries and tables against the irreps' error, the proved radius as a line.

    Args:
        perturbation: perturbation.csv.
    """
    figure = new_figure(COLUMN_WIDTH, 2.6)
    axes = figure.add_subplot(xlabel="error of each irrep matrix, in units of the proved radius", ylim=(-0.03, 1.05))
    by_factor = perturbation.groupby("factor")["accuracy"]
    factors = np.array(sorted(perturbation["factor"].unique()))
    axes.plot(factors, by_factor.mean(), marker="o", markersize=3.5, color=OKABE_ITO[0], label="entries right")
    axes.plot(factors, by_factor.agg(lambda values: float((values == 1).mean())), marker="s", markersize=3.5,
              linestyle="--", color=OKABE_ITO[1], label="whole tables right")
    axes.axvline(1, color="0.4", linewidth=0.9, linestyle=":", label="proved radius")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlim(0, 1.05 * float(factors.max()))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    settle(figure)
    return figure


@styled()
def plot_recovery(recovery: pd.DataFrame) -> Figure:
    """Draw the share of right entries against noise by the number of pairs: networks, and matching beside them.

    Args:
        recovery: recovery.csv.
    """
    figure = new_figure(TEXT_WIDTH, 2.8)
    network, matching = figure.subplots(1, 2, sharey=True)
    keys = [None, *sorted(recovery["samples"].dropna().astype(int).unique())]
    colours = feature_colours([str(key) for key in keys])
    for key in keys:
        part = recovery[recovery["samples"].isna() if key is None else recovery["samples"] == key]
        label = "all inputs" if key is None else f"{key} pairs"
        for axes, column in ((network, "accuracy"), (matching, "matching_accuracy")):
            means = part.dropna(subset=[column]).groupby("noise")[column].mean()
            if len(means):
                # The line of all inputs is wide: others may lie on it.
                axes.plot(means.index, means, marker="o", markersize=3.5, color=colours[str(key)], label=label,
                          linewidth=3.5 if key is None else 1.2)
    for axes, title in ((network, "read from the network"), (matching, "by matching the entries of pairs")):
        axes.set(title=title, xlabel="noise of the inputs, relative to them", ylim=(-0.03, 1.05))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    network.set_ylabel("entries of the table right")
    figure.legend(*network.get_legend_handles_labels(), loc="outside upper left", ncols=5)
    settle(figure)
    return figure
