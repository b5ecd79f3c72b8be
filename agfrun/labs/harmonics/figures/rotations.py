"""Filters of networks that are invariant to rotations of images."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from agfrun.labs.harmonics.figures.colours import complex_colours
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

MOST_FILTERS, A_ROW = 32, 16
_MARKERS = ("x", "^", "s", "o")


@styled()
def plot_filters(arrays: Mapping[str, npt.NDArray[np.float64]], filters: pd.DataFrame) -> Figure:
    """Draw filters as images before and after training, phase as hue, by angular frequency.

    Args:
        arrays: `before_real`, `before_imag`, `after_real`, `after_imag`, each (filters, pixels, pixels).
        filters: filters.csv.
    """
    shown = min(MOST_FILTERS, len(arrays["after_real"]))
    columns = min(A_ROW, shown)
    rows = ceil(shown / columns)
    figure = new_figure(TEXT_WIDTH, 2 * (0.3 + rows * (0.3 + TEXT_WIDTH / columns)))
    upper, lower = np.asarray(figure.subfigures(2, 1)).ravel()
    for part, name, kind, title in ((upper, "before", "before training", "before training"),
                                    (lower, "after", "rotations", "after training on rotations: angular frequency "
                                     "and the share of energy there")):
        part.suptitle(title, x=0.01, ha="left", fontsize=7.5)
        values = arrays[f"{name}_real"] + 1j * arrays[f"{name}_imag"]
        table = filters[filters["trained_on"] == kind].sort_values(["frequency", "share"]).head(shown)
        panels = np.atleast_1d(part.subplots(rows, columns, squeeze=False)).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, row in zip(panels, table.itertuples(), strict=False):
            axes.imshow(complex_colours(values[int(row.filter)]), interpolation="nearest")
            axes.set_title(f"{int(row.frequency)}: {float(row.share):.0%}", fontsize=5.5, loc="center", pad=2)
    settle(figure)
    return figure


@styled()
def plot_energies(filters: pd.DataFrame) -> Figure:
    """Draw the share of energy in the strongest angular frequency of every filter, by what it was trained on.

    Args:
        filters: filters.csv.
    """
    figure = new_figure(COLUMN_WIDTH, 2.6)
    axes = figure.add_subplot(xlabel="filter, by share", ylabel="energy in one angular frequency", ylim=(0, 1.04))
    for place, (kind, part) in enumerate(filters.groupby("trained_on", sort=False)):
        shares = np.sort(part["share"].to_numpy(float))
        axes.plot(np.arange(1, len(shares) + 1), shares, marker=_MARKERS[place % len(_MARKERS)], markersize=3,
                  linewidth=0.8, color=OKABE_ITO[place], label=str(kind))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    settle(figure)
    return figure
