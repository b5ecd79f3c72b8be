"""Times at a tolerance and at ten times that."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.labs.staircases.report.figures.context import TIME_LABEL, set_log_axis
from agfrun.labs.staircases.sources import NAMES
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, new_figure, settle, styled

_STABLE, _SENSITIVE = "0.35", OKABE_ITO[1]
_ROW_HEIGHT = 0.16
_TALLEST = 7.0


@styled()
def plot_sensitivity(times: pd.DataFrame) -> Figure:
    """Draw what the study `sensitivity` found: a row an event, filled as configured, open at the looser tolerance.

    Args:
        times: the table of that name.
    """
    sources = list(dict.fromkeys(times["source"]))
    counts = [int((times["source"] == source).sum()) for source in sources]
    figure = new_figure(COLUMN_WIDTH, min(0.9 + 0.3 * len(sources) + _ROW_HEIGHT * sum(counts), _TALLEST))
    panels = figure.subplots(len(sources), 1, sharex=True, squeeze=False, height_ratios=[count + 1 for count in counts])
    for axes, source in zip(panels.ravel(), sources, strict=True):
        own = times[times["source"] == source].reset_index(drop=True)
        for row in own.itertuples():
            colour = _SENSITIVE if row.sensitive else _STABLE
            axes.plot([row.time, row.looser_time], [row.Index] * 2, color=colour, linewidth=0.8)
            axes.plot(row.looser_time, row.Index, marker="o", markersize=5.5, markerfacecolor="none", color=colour,
                      markeredgewidth=0.8, linestyle="")
            axes.plot(row.time, row.Index, marker="o", markersize=2.6, color=colour, linestyle="", gid=source)
        axes.set_yticks(np.arange(len(own)), [f"{row.kind} {row.feature}" for row in own.itertuples()])
        axes.set_ylim(len(own) - 0.4, -0.6)
        axes.set_title(NAMES[source])
    shown = np.concatenate([times["time"], times["looser_time"].dropna()]).astype(float)
    set_log_axis(panels[0, 0], "x", (float(shown.min()) / 1.3, float(shown.max()) * 1.3))
    panels[-1, 0].set_xlabel(TIME_LABEL)
    figure.legend(
        [Line2D([], [], linestyle="", marker="o", markersize=2.6, color=_STABLE),
         Line2D([], [], linestyle="", marker="o", markersize=5.5, markerfacecolor="none", color=_STABLE),
         Line2D([], [], color=_SENSITIVE)],
        ["as configured", "tolerances x 10", "sensitive"], loc="outside upper left", ncols=3)
    settle(figure)
    return figure
