"""Figures of the benchmarks: colour-blind safe (Okabe and Ito), readable in grey by marker and hatch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a8a8a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")


def panels(count: int, title: str, width: float = 5.2, height: float = 4.2, columns: int = 3
           ) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels in rows of at most `columns`."""
    columns = min(columns, max(count, 1))
    rows = -(-max(count, 1) // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in axes[count:]:
        unused.set_axis_off()
    figure.suptitle(title)
    return figure, axes[:count]


def style(position: int) -> dict[str, Any]:
    """Colour and marker of the `position`-th competitor."""
    return {"color": COLOURS[position % len(COLOURS)], "marker": MARKERS[position % len(MARKERS)]}


def grouped_bars(axis: Axes, table: pd.DataFrame, group: str, competitor: str, value: str) -> None:
    """Bars of `value`, one group for each value of `group`, one colour for each competitor."""
    groups, names = list(table[group].unique()), list(table[competitor].unique())
    width = 0.85 / max(len(names), 1)
    for position, name in enumerate(names):
        rows = table[table[competitor] == name].set_index(group)
        heights = [float(rows[value].get(key, np.nan)) for key in groups]
        places = np.arange(len(groups)) + (position - (len(names) - 1) / 2) * width
        axis.bar(places, heights, width, label=name, color=COLOURS[position % len(COLOURS)],
                 hatch=HATCHES[position % len(HATCHES)], edgecolor="white", linewidth=0.3)
    axis.set_xticks(np.arange(len(groups)), [str(key).replace("_", "\n") for key in groups])
    if names:
        axis.legend(fontsize="x-small")
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)


def lines(axis: Axes, table: pd.DataFrame, x: str, y: str, competitor: str, order: Sequence[str] | None = None
          ) -> None:
    """Lines with markers, one for each competitor; `order` fixes who has which colour."""
    names = order if order is not None else list(table[competitor].unique())
    for position, name in enumerate(names):
        rows = table[table[competitor] == name].sort_values(x)
        if len(rows):
            axis.plot(rows[x], rows[y], label=name, linewidth=1.4, markersize=5, **style(position))
    axis.grid(alpha=0.3)
