"""All groups of a survey: how often training ends at irreps."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled


@styled()
def plot_survey(groups: pd.DataFrame) -> Figure:
    """Draw the share of restarts that are certified, and the seconds, of every group.

    Args:
        groups: groups.csv.
    """
    figure = new_figure(TEXT_WIDTH, 3.6)
    shares, seconds = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    places = np.arange(len(groups))
    share = (groups["certified"].astype(float) / groups["restarts"].astype(float)).to_numpy()
    commutative = groups["commutative"].to_numpy(bool)
    for chosen, colour, marker, label in ((commutative, OKABE_ITO[0], "o", "commutative"),
                                          (~commutative, OKABE_ITO[1], "s", "not commutative")):
        if chosen.any():
            shares.plot(places[chosen], share[chosen], linestyle="none", marker=marker, markersize=3.2, color=colour,
                        label=label)
            seconds.plot(places[chosen], groups["seconds"].to_numpy(float)[chosen], linestyle="none", marker=marker,
                         markersize=3.2, color=colour)
    wrong = ~groups["table_correct"].to_numpy(bool)
    if wrong.any():
        shares.plot(places[wrong], share[wrong], linestyle="none", marker="o", markersize=7, markerfacecolor="none",
                    color="black", label="table wrong")
    shares.set(ylabel="certified restarts", ylim=(-0.04, 1.06))
    shares.yaxis.set_major_formatter(PercentFormatter(1.0))
    seconds.set(yscale="log", ylabel="seconds", xlim=(-0.8, len(groups) - 0.2))
    seconds.set_xticks(places, groups["group"].tolist(), rotation=90, fontsize=min(7.0, 420 / len(groups)))
    for axes in (shares, seconds):
        for edge in np.flatnonzero(np.diff(groups["order"].to_numpy(int))):
            axes.axvline(edge + 0.5, color="0.85", linewidth=0.5, zorder=0)
    figure.legend(*shares.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    settle(figure)
    return figure
