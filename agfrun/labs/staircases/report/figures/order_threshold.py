"""The share of initializations in AGF's order against their scale, and where it is known to be large enough."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, new_figure, settle, styled

_VERDICTS = {"right": (OKABE_ITO[2], "o"), "undecided": ("0.5", "s"), "wrong": (OKABE_ITO[1], "v")}


@styled()
def plot_order_threshold(scales: pd.DataFrame, share: float) -> Figure:
    """Draw what the study `order_threshold` found: the last look at each scale, with its interval.

    Args:
        scales: the table of that name.
        share: share that is asked for, a dashed line; the largest scale that is right is a dotted one.
    """
    figure = new_figure(COLUMN_WIDTH, 2.4)
    axes = figure.subplots()
    last = scales.sort_values("seeds").groupby("log10_scale").tail(1).sort_values("log10_scale")
    axes.axhline(share, color="0.3", linestyle="--", linewidth=0.7, gid="asked")
    for verdict, (colour, marker) in _VERDICTS.items():
        rows = last[last["verdict"] == verdict]
        if not len(rows):
            continue
        measured = rows["share"].astype(float)
        # Around a share of which some seeds are unknown the interval is still the one that decides.
        reach = np.clip([measured - rows["low"], rows["high"] - measured], 0.0, None)
        axes.errorbar(rows["log10_scale"], measured, yerr=reach, linestyle="", marker=marker, markersize=4,
                      color=colour, elinewidth=0.9, capsize=2, label=verdict, gid=verdict)
    right = last.loc[last["verdict"] == "right", "log10_scale"]
    if len(right):
        axes.axvline(float(right.max()), color=_VERDICTS["right"][0], linestyle=":", linewidth=1.0, gid="threshold")
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlabel("log10 of the initialization scale")
    axes.set_ylabel("share in AGF's order")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=3)
    settle(figure)
    return figure
