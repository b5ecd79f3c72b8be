"""Errors of every prediction's times against the initialization scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.staircases.report.figures.context import RUNG_COLOURS
from agfrun.labs.staircases.sources import AGF, DECOUPLED, LADDER, NAMES, OWN_SIZE, THEORY
from agfrun.report.figures.style import COLUMN_WIDTH, new_figure, settle, styled

_MARKS = {THEORY: ("D", ":"), OWN_SIZE: ("o", "-"), AGF: ("s", "--"), DECOUPLED: ("^", "-.")}
# Errors below are drawn there.
SMALLEST_ERROR = 1e-9


@styled()
def plot_agreement(rungs: pd.DataFrame) -> Figure:
    """Draw what the study `agreement` found: the worst time error of each run, and their median, by prediction.

    Args:
        rungs: the table of that name.
    """
    figure = new_figure(COLUMN_WIDTH, 2.6)
    axes = figure.subplots()
    for source in LADDER:
        own = rungs[(rungs["source"] == source) & rungs["worst_time_error"].notna()]
        if not len(own):
            continue
        colour, (marker, line) = RUNG_COLOURS[source], _MARKS[source]
        errors = np.maximum(own["worst_time_error"].astype(float), SMALLEST_ERROR)
        axes.plot(own["log10_scale"], errors, marker=marker, markersize=3, linestyle="", alpha=0.3, color=colour,
                  markeredgewidth=0)
        middle = errors.groupby(own["log10_scale"].astype(float)).median().sort_index()
        axes.plot(middle.index, middle.to_numpy(), marker=marker, markersize=4, linestyle=line, color=colour,
                  label=NAMES[source], gid=source)
    axes.set_yscale("log")
    axes.set_xticks(sorted(set(rungs["log10_scale"].astype(float))))
    axes.set_xlabel("log10 of the initialization scale")
    axes.set_ylabel("worst relative error of a time")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=2)
    settle(figure)
    return figure
