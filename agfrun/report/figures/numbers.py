"""The numbers of a study against one swept key: medians over the runs of a value, with bands."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agfrun.report.figures.axes import places_of, set_key_axis, word_of
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled
from agfrun.report.saved_sweep import SavedSweep, flags, is_logarithmic, is_numeric, ordered_values
from agfrun.study.intervals import wilson_interval
from agfrun.study.table import Number

_BAND = (10, 90)
# Bars of several lines stand beside one another, by this part of the axis.
_BESIDE = 0.012
_MOST_LINES = 6
_COLUMNS = 3
_PANEL_HEIGHT = 2.5
_MOST_PANELS = 9

FloatArray = npt.NDArray[np.float64]


def drawn_numbers(saved: SavedSweep) -> list[Number]:
    """The numbers of the study that some run of the sweep has, and that are drawn."""
    return [number for number in saved.study.numbers
            if number.in_figures and number.name in saved.runs and np.isfinite(values_of(saved.runs, number)).any()]


def values_of(runs: pd.DataFrame, number: Number) -> FloatArray:
    """The values of a number, NaN where a run has none; a flag is 1 or 0."""
    if number.kind == "flag":
        return flags(runs[number.name])
    return np.asarray(pd.to_numeric(runs[number.name], errors="coerce"), dtype=float)


@styled()
def plot_numbers(saved: SavedSweep, key: str, beside: str | None = None) -> Figure | None:
    """Draw the study's numbers against a key, a panel for each.

    Lines are medians over all runs of a value, bands reach from the 10th to the 90th percentile; flags are shown as
    shares of the runs, with 95% Wilson intervals as bars.

    Args:
        saved: the sweep.
        key: on the horizontal axis.
        beside: a further key, a line for each of its values.

    Returns:
        The figure; None where no run has a number to draw.
    """
    numbers = drawn_numbers(saved)[:_MOST_PANELS]
    if not numbers:
        return None
    columns = min(_COLUMNS, len(numbers))
    rows = math.ceil(len(numbers) / columns)
    width = TEXT_WIDTH * (1.0 if columns == _COLUMNS else 0.75 if columns == 2 else 0.5)
    figure = new_figure(width, _PANEL_HEIGHT * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    values = ordered_values(saved.runs[key])
    lines = _lines(saved.runs, beside)
    for axes, number in zip(panels, numbers, strict=False):
        for place, (label, part, colour) in enumerate(lines):
            shift = _BESIDE * (place - (len(lines) - 1) / 2)
            draw = _draw_share if number.kind == "flag" else _draw_median
            draw(axes, part, number, key, values, colour, label, shift)
        _set_value_axis(axes, number)
        set_key_axis(axes, saved.name_of(key), values)
    for axes in panels[len(numbers):]:
        axes.set_visible(False)
    if beside is not None:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, title=saved.name_of(beside), title_fontsize=6.5, loc="outside upper left",
                      ncols=_MOST_LINES, alignment="left")
    settle(figure)
    return figure


def _set_value_axis(axes: Axes, number: Number) -> None:
    axes.set_ylabel(number.meaning)
    drawn = [float(y) for line in axes.get_lines() for y in np.asarray(line.get_ydata(), dtype=float)]
    if number.kind == "flag":
        axes.set_ylim(-0.04, 1.04)
    elif number.logarithmic and drawn and min(drawn) > 0:
        axes.set_yscale("log")
    elif number.kind == "integer":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _lines(runs: pd.DataFrame, beside: str | None) -> list[tuple[str, pd.DataFrame, str]]:
    if beside is None:
        return [("", runs, OKABE_ITO[0])]
    values = ordered_values(runs[beside])
    kept = [values[place] for place in sorted({round(p) for p in np.linspace(0, len(values) - 1,
                                                                              min(len(values), _MOST_LINES))})]
    colours = sequential_colours(len(kept)) if is_numeric(values) else list(OKABE_ITO)
    return [(word_of(value), runs[runs[beside] == value], colour)
            for value, colour in zip(kept, colours, strict=False)]


def _draw_share(axes: Axes, runs: pd.DataFrame, number: Number, key: str, values: list[object], colour: str,
                label: str, shift: float) -> None:
    places, shares, low, high = [], [], [], []
    for place, value in zip(places_of(values), values, strict=True):
        agreeing = values_of(runs[runs[key] == value], number)
        agreeing = agreeing[np.isfinite(agreeing)]
        if len(agreeing):
            interval = wilson_interval(int(agreeing.sum()), len(agreeing))
            places.append(place)
            shares.append(agreeing.mean())
            low.append(max(0.0, shares[-1] - interval[0]))
            high.append(max(0.0, interval[1] - shares[-1]))
    if places:
        axes.errorbar(_moved(places, values, shift), shares, yerr=[low, high], color=colour, marker="o", markersize=3,
                      linewidth=1.0 if is_numeric(values) else 0.0, elinewidth=0.7, capsize=1.5, label=label,
                      gid=f"{number.name}:{label}")


def _moved(places: list[float], values: list[object], shift: float) -> list[float]:
    """Places moved by a part of the axis."""
    everywhere = places_of(values)
    low, high = everywhere.min(), everywhere.max()
    if is_logarithmic(values):
        return [place * (high / low) ** shift for place in places]
    return [place + shift * (high - low) for place in places]


def _draw_median(axes: Axes, runs: pd.DataFrame, number: Number, key: str, values: list[object], colour: str,
                 label: str, shift: float) -> None:
    found = values_of(runs, number)
    known = np.isfinite(found) & ((found > 0) | (not number.logarithmic))
    of_value = {value: found[known & (runs[key] == value).to_numpy()] for value in values}
    shown = [(place, of_value[value]) for place, value in zip(places_of(values), values, strict=True)
             if len(of_value[value])]
    if not shown:
        return
    places = [place for place, _ in shown]
    axes.plot(places, [np.median(numbers) for _, numbers in shown], color=colour, marker="o", markersize=3,
              linewidth=1.0 if is_numeric(values) else 0.0, label=label, gid=f"{number.name}:median")
    low, high = zip(*(np.percentile(numbers, _BAND) for _, numbers in shown), strict=True)
    if not is_numeric(values):
        axes.vlines(places, low, high, color=colour, linewidth=0.7)
    elif max(len(numbers) for _, numbers in shown) > 1:
        axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
