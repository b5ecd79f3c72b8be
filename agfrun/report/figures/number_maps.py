"""The numbers of a study over two swept keys at once: a map for each."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from agfrun.report.figures.axes import word_of
from agfrun.report.figures.numbers import drawn_numbers, values_of
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled
from agfrun.report.saved_sweep import SavedSweep, ordered_values
from agfrun.study.table import Number

FloatArray = npt.NDArray[np.float64]

_MOST_NUMBERS = 60
_MOST_MAPS = 4
_COLUMNS = 2
# Below this spread all values get colours of one linear scale.
_SPREAD = 10


@styled()
def plot_number_maps(saved: SavedSweep, across: str, up: str) -> Figure | None:
    """Draw the share of runs (flags) or the median (numbers) over two keys, a map for each number.

    Returns:
        The figure; None where no run has a number to draw.
    """
    numbers = drawn_numbers(saved)[:_MOST_MAPS]
    if not numbers:
        return None
    columns, rows = ordered_values(saved.runs[across]), ordered_values(saved.runs[up])
    across_page = min(_COLUMNS, len(numbers))
    down = math.ceil(len(numbers) / across_page)
    height = min(6.0, 1.5 + 0.28 * max(len(rows), 4))
    figure = new_figure(TEXT_WIDTH if across_page > 1 else 0.6 * TEXT_WIDTH, min(8.5, height * down))
    panels = figure.subplots(down, across_page, squeeze=False).ravel()
    for axes, number in zip(panels, numbers, strict=False):
        values = _grid(saved, number, across, up, columns, rows)
        title = number.meaning if number.kind == "flag" else f"median {number.meaning}"
        _draw(figure, axes, values, title, _norm(values, number))
        axes.set_xticks(range(len(columns)), [word_of(value) for value in columns], rotation=0)
        axes.set_yticks(range(len(rows)), [word_of(value) for value in rows])
        axes.set_xlabel(saved.name_of(across))
    for axes in panels[::across_page]:
        axes.set_ylabel(saved.name_of(up))
    for axes in panels[len(numbers):]:
        axes.set_visible(False)
    settle(figure)
    return figure


def _norm(values: FloatArray, number: Number) -> Normalize:
    if number.kind == "flag":
        return Normalize(0, 1)
    known = values[np.isfinite(values)]
    positive = known[known > 0]
    if number.logarithmic and len(positive) and positive.max() > _SPREAD * positive.min():
        return LogNorm(positive.min(), positive.max())
    low = min(0.0, float(known.min())) if len(known) else 0.0
    return Normalize(low, max(float(known.max()), low + 1e-300) if len(known) else 1)


def _grid(saved: SavedSweep, number: Number, across: str, up: str, columns: list[object], rows: list[object]
          ) -> FloatArray:
    runs = saved.runs
    middle = np.mean if number.kind == "flag" else np.median
    found = values_of(runs, number)
    grid = np.full((len(rows), len(columns)), np.nan)
    for (row, column), _ in np.ndenumerate(grid):
        part = found[((runs[across] == columns[column]) & (runs[up] == rows[row])).to_numpy()]
        part = part[np.isfinite(part)]
        if len(part):
            grid[row, column] = middle(part)
    return grid


def _draw(figure: Figure, axes: Axes, values: FloatArray, title: str, norm: Normalize) -> None:
    # A light end that still tells itself from an empty cell.
    picture = axes.imshow(np.ma.masked_invalid(values), origin="lower", aspect="auto", cmap="cividis", norm=norm)
    axes.set_facecolor("0.92")
    axes.set_title(title)
    figure.colorbar(picture, ax=axes, pad=0.02)
    if values.size <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                dark = norm(value) < 0.55
                axes.text(column, row, f"{value:.3g}" if float(value).is_integer() else f"{value:.2g}", ha="center",
                          va="center", fontsize=6, color="white" if dark else "black")
