"""How well prediction and training agree, against one swept key."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.staircases.ensemble.statistics import wilson_interval
from agfrun.report.figures.axes import name_of, places_of, set_key_axis, word_of
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled
from agfrun.report.saved_sweep import (
    SavedSweep,
    flags,
    is_logarithmic,
    is_numeric,
    ordered_values,
)

_BAND = (10, 90)
# Bars of several lines stand beside one another, by this part of the axis.
_BESIDE = 0.012
_MOST_LINES = 6
_ERRORS = (("worst_time_error", "worst error of a drop's time"), ("worst_level_error", "worst error of a level"))


@styled()
def plot_agreement(saved: SavedSweep, key: str, beside: str | None = None) -> Figure | None:
    """Draw the share of runs in the predicted order, and the errors of times and levels, against a key.

    Lines are medians over all runs of a value, bands reach from the 10th to the 90th percentile; the bars of the
    share are 95% Wilson intervals.

    Args:
        saved: the sweep.
        key: on the horizontal axis.
        beside: a further key, a line for each of its values.

    Returns:
        The figure; None where no run says how well it agrees.
    """
    runs = saved.runs
    if "worst_time_error" not in runs or not len(runs):
        return None
    figure = new_figure(TEXT_WIDTH, 2.5)
    order, *errors = figure.subplots(1, 1 + len(_ERRORS))
    values = ordered_values(runs[key])
    lines = _lines(runs, beside)
    for place, (label, part, colour) in enumerate(lines):
        _draw_order(order, part, key, values, colour, label, _BESIDE * (place - (len(lines) - 1) / 2))
        for axes, (column, _) in zip(errors, _ERRORS, strict=True):
            _draw_error(axes, part, key, values, colour, column)
    order.set_ylim(-0.04, 1.04)
    order.set_ylabel("share in predicted order")
    for axes, (_, words) in zip(errors, _ERRORS, strict=True):
        axes.set_ylabel(words)
        if any(len(line.get_ydata()) for line in axes.get_lines()):
            axes.set_yscale("log")
    for axes in (order, *errors):
        set_key_axis(axes, key, values)
    if beside is not None:
        handles, labels = order.get_legend_handles_labels()
        figure.legend(handles, labels, title=name_of(beside), title_fontsize=6.5, loc="outside upper left",
                      ncols=_MOST_LINES, alignment="left")
    settle(figure)
    return figure


def _lines(runs: pd.DataFrame, beside: str | None) -> list[tuple[str, pd.DataFrame, str]]:
    if beside is None:
        return [("", runs, OKABE_ITO[0])]
    values = ordered_values(runs[beside])
    kept = [values[place] for place in sorted({round(p) for p in np.linspace(0, len(values) - 1,
                                                                              min(len(values), _MOST_LINES))})]
    colours = sequential_colours(len(kept)) if is_numeric(values) else list(OKABE_ITO)
    return [(word_of(value), runs[runs[beside] == value], colour)
            for value, colour in zip(kept, colours, strict=False)]


def _draw_order(axes: Axes, runs: pd.DataFrame, key: str, values: list[object], colour: str, label: str,
                shift: float) -> None:
    places, shares, low, high = [], [], [], []
    for place, value in zip(places_of(values), values, strict=True):
        agreeing = flags(runs.loc[runs[key] == value, "order_agrees"])
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
                      gid=f"order:{label}")


def _moved(places: list[float], values: list[object], shift: float) -> list[float]:
    """Places moved by a part of the axis."""
    everywhere = places_of(values)
    low, high = everywhere.min(), everywhere.max()
    if is_logarithmic(values):
        return [place * (high / low) ** shift for place in places]
    return [place + shift * (high - low) for place in places]


def _draw_error(axes: Axes, runs: pd.DataFrame, key: str, values: list[object], colour: str, column: str) -> None:
    known = runs[np.isfinite(runs[column].astype(float)) & (runs[column].astype(float) > 0)]
    grouped = {value: known.loc[known[key] == value, column].to_numpy(dtype=float) for value in values}
    shown = [(place, grouped[value]) for place, value in zip(places_of(values), values, strict=True)
             if len(grouped[value])]
    if not shown:
        return
    places = [place for place, _ in shown]
    axes.plot(places, [np.median(errors) for _, errors in shown], color=colour, marker="o", markersize=3,
              linewidth=1.0 if is_numeric(values) else 0.0, gid=f"{column}:median")
    if not is_numeric(values):
        low, high = zip(*(np.percentile(errors, _BAND) for _, errors in shown), strict=True)
        axes.vlines(places, low, high, color=colour, linewidth=0.7)
    elif max(len(errors) for _, errors in shown) > 1:
        low, high = zip(*(np.percentile(errors, _BAND) for _, errors in shown), strict=True)
        axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
