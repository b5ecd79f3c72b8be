"""Agreement over two swept keys at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from agfrun.report.figures.axes import name_of, word_of
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled
from agfrun.report.saved_sweep import SavedSweep, flags, ordered_values

FloatArray = npt.NDArray[np.float64]

_MOST_NUMBERS = 60


@styled()
def plot_heat_map(saved: SavedSweep, across: str, up: str) -> Figure | None:
    """Draw the share of runs in the predicted order, and the median of their worst time errors, over two keys.

    Returns:
        The figure; None where no run says how well it agrees.
    """
    runs = saved.runs
    if "worst_time_error" not in runs or not len(runs):
        return None
    columns, rows = ordered_values(runs[across]), ordered_values(runs[up])
    figure = new_figure(TEXT_WIDTH, min(6.0, 1.5 + 0.28 * max(len(rows), 4)))
    left, right = figure.subplots(1, 2)
    order = _grid(runs, across, up, columns, rows, lambda part: _mean(flags(part["order_agrees"])))
    error = _grid(runs, across, up, columns, rows, lambda part: _median(part["worst_time_error"]))
    _draw(figure, left, order, "share of runs in the predicted order", Normalize(0, 1), "{:.2g}")
    positive = error[np.isfinite(error) & (error > 0)]
    spread = len(positive) and positive.max() > 10 * positive.min()
    norm = LogNorm(positive.min(), positive.max()) if spread else Normalize(0, positive.max() if len(positive) else 1)
    _draw(figure, right, error, "median worst error of a drop's time", norm, "{:.2g}")
    for axes in (left, right):
        axes.set_xticks(range(len(columns)), [word_of(value) for value in columns], rotation=0)
        axes.set_yticks(range(len(rows)), [word_of(value) for value in rows])
        axes.set_xlabel(name_of(across))
    left.set_ylabel(name_of(up))
    settle(figure)
    return figure


def _grid(runs: pd.DataFrame, across: str, up: str, columns: list[object], rows: list[object],
          measure: Callable[[pd.DataFrame], float]) -> FloatArray:
    return np.array([[measure(runs[(runs[across] == column) & (runs[up] == row)]) for column in columns]
                     for row in rows])


def _draw(figure: Figure, axes: Axes, values: FloatArray, title: str, norm: Normalize, words: str) -> None:
    # A light end that still tells itself from an empty cell.
    picture = axes.imshow(np.ma.masked_invalid(values), origin="lower", aspect="auto", cmap="cividis", norm=norm)
    axes.set_facecolor("0.92")
    axes.set_title(title)
    figure.colorbar(picture, ax=axes, pad=0.02)
    if values.size <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                dark = norm(value) < 0.55
                axes.text(column, row, words.format(value), ha="center", va="center", fontsize=6,
                          color="white" if dark else "black")


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _median(column: pd.Series) -> float:
    known = column.to_numpy(dtype=float)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else np.nan
