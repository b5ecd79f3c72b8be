"""The claims of papers at a glance: a row each, its verdict, and how much of its tolerance it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

# Symbol, colour and filling of each verdict: they differ in shape and in lightness as well as in colour.
VERDICTS: dict[str, dict[str, Any]] = {
    "holds": {"marker": "o", "color": OKABE_ITO[2], "markerfacecolor": OKABE_ITO[2]},
    "fails": {"marker": "X", "color": OKABE_ITO[1], "markerfacecolor": OKABE_ITO[1]},
    "undecided": {"marker": "D", "color": "0.45", "markerfacecolor": "white"},
}
SMALLEST, LARGEST = 1e-6, 1e3
ROW_HEIGHT = 0.135
EXACT = "exact"


@styled()
def plot_claims(table: pd.DataFrame) -> Figure:
    """Draw paper_claims.csv: one row a claim, grouped by laboratory and subject.

    The axis is the deviation in units of the tolerance (1 is just allowed; for a lower bound the bound over what was
    measured); statements without one, such as orders, stand in a column of their own, undecided ones too.
    """
    rows = table.reset_index(drop=True)
    group = rows.groupby(["laboratory", "subject"], sort=False).ngroup().to_numpy()
    starts = np.diff(group, prepend=-1) != 0
    figure = new_figure(TEXT_WIDTH, 0.9 + ROW_HEIGHT * (len(rows) + int(starts.sum())))
    beside, axes = figure.subplots(1, 2, sharey=True, width_ratios=(1, 9))
    places = (np.arange(len(rows)) + starts.cumsum()).tolist()  # from the top down, with a gap above each group
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        _draw(beside, axes, place, row)
    _set_axes(beside, axes, rows, places)
    _name_groups(axes, rows, places, starts)
    figure.legend(handles=[Line2D([], [], linestyle="", markersize=4.5, label=f"{name} ({count})", **VERDICTS[name])
                           for name in VERDICTS if (count := int((rows["verdict"] == name).sum()))],
                  loc="outside upper right", ncol=3)
    settle(figure)
    return figure


def _draw(beside: Axes, axes: Axes, place: float, row: pd.Series) -> None:
    style, deviation = VERDICTS[str(row["verdict"])], pd.to_numeric(row["deviation"], errors="coerce")
    axes.axhline(place, color="0.92", linewidth=0.5, zorder=0)
    beside.axhline(place, color="0.92", linewidth=0.5, zorder=0)
    gid = f"claim:{row['claim']}"
    if np.isnan(deviation):
        beside.plot([0], [place], linestyle="", markersize=4.5, gid=gid, **style)
        return
    shown = float(np.clip(deviation, SMALLEST, LARGEST))
    axes.plot([1.0, shown], [place, place], color=style["color"], linewidth=0.6, alpha=0.5)
    axes.plot([shown], [place], linestyle="", markersize=4.5, gid=gid, **style)


def _set_axes(beside: Axes, axes: Axes, rows: pd.DataFrame, places: list[float]) -> None:
    axes.set(xscale="log", xlim=(SMALLEST / 2, LARGEST * 2))
    axes.set_xticks([10.0**k for k in range(-6, 4)],
                    [f"$\\leq 10^{{{k}}}$" if k == -6 else f"$\\geq 10^{{{k}}}$" if k == 3 else f"$10^{{{k}}}$"
                     for k in range(-6, 4)])
    axes.minorticks_off()
    axes.axvline(1.0, color="black", linewidth=0.8, linestyle="--", zorder=1)
    axes.set_xlabel("deviation in units of the tolerance, or bound over measurement")
    beside.set(xlim=(-1, 1), ylim=(max(places) + 1, -1.7))
    beside.set_xticks([0], [EXACT])
    labels = [str(row["claim"]).replace("_", " ") + ("  (ours)" if row["standing"] == "ours" else "")
              for _, row in rows.iterrows()]
    beside.set_yticks(places, labels, fontsize=5.5)
    beside.tick_params(axis="y", length=0)
    axes.tick_params(axis="y", length=0, labelleft=False)


def _name_groups(axes: Axes, rows: pd.DataFrame, places: list[float], starts: npt.NDArray[np.bool_]) -> None:
    several = rows["laboratory"].nunique() > 1
    for place in np.flatnonzero(starts):
        laboratory, subject = rows["laboratory"].iloc[place], rows["subject"].iloc[place]
        name = f"{laboratory}: {subject}" if several else str(subject)
        axes.text(SMALLEST, places[place] - 0.9, name.replace("_", " "), fontsize=6.5, fontweight="bold", va="center")
