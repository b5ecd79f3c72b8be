"""A search: its objective over the trials, and against each key that varied."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

_COLUMNS = 3
_WIDE_RANGE = 30.0


@styled()
def plot_search(trials: pd.DataFrame, keys: Sequence[str], logarithmic: Collection[str], objective: str,
                minimized: bool) -> Figure:
    """Draw what the study `search` found.

    First the objective of every trial with the best so far as a line, then it against each key. The best trial is
    filled in red everywhere; trials that failed are crosses at the foot.

    Args:
        trials: the table of that name.
        keys: its columns that varied.
        logarithmic: those of them on a logarithmic axis.
        objective: name of the objective.
        minimized: whether less is better.
    """
    rows = math.ceil((1 + len(keys)) / _COLUMNS)
    columns = min(_COLUMNS, 1 + len(keys))
    figure = new_figure(TEXT_WIDTH * columns / _COLUMNS + (0.8 if columns == 1 else 0.0), 2.1 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    best = trials["objective"].idxmin() if minimized else trials["objective"].idxmax()
    for axes, key in zip(panels, ["trial", *keys], strict=False):
        _draw(axes, trials, key, int(best), key in logarithmic)
    so_far = trials["objective"].cummin() if minimized else trials["objective"].cummax()
    panels[0].step(trials["trial"], so_far.ffill(), where="post", color="0.3", linewidth=0.8, gid="best_so_far")
    _scale(panels[0], trials["objective"])
    for axes in panels[:: columns]:
        axes.set_ylabel(objective.replace("_", " "))
    for axes in panels[1 + len(keys):]:
        axes.remove()
    settle(figure)
    return figure


def _draw(axes: Axes, trials: pd.DataFrame, key: str, best: int, logarithmic: bool) -> None:
    values = trials[key] if pd.api.types.is_numeric_dtype(trials[key]) else trials[key].astype(str)
    known = trials["objective"].notna()
    axes.plot(values[known], trials["objective"][known], linestyle="", marker="o", markersize=3.5,
              markerfacecolor="none", color=OKABE_ITO[0], gid="trials")
    axes.plot([values[best]], [trials["objective"][best]], linestyle="", marker="o", markersize=4.5,
              color=OKABE_ITO[1], gid="best")
    axes.plot(values[~known], np.full(int((~known).sum()), 0.02), linestyle="", marker="x", markersize=3.5, color="0.4",
              transform=axes.get_xaxis_transform(), gid="failed")
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlabel(key)


def _scale(axes: Axes, objective: pd.Series) -> None:
    """Logarithmic where the values are positive and differ by more than an order of magnitude or so."""
    if objective.min() > 0 and objective.max() / objective.min() > _WIDE_RANGE:
        axes.set_yscale("log")
