"""Drop times against the initialization scale: measured, predicted, and the law they tend to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.labs.staircases.report.figures.context import TIME_LABEL, of_prediction, prediction_name
from agfrun.labs.staircases.report.figures.staircases import time_unit
from agfrun.report.figures.axes import places_of, set_key_axis, word_of
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled
from agfrun.report.saved_sweep import SavedSweep, ordered_values

_BAND = (10, 90)
_MOST_DROPS = 12
_PANELS = 6
_PANEL_HEIGHT = 2.35


@styled()
def plot_drop_times(saved: SavedSweep, comparison: pd.DataFrame, key: str, degree: int | None) -> Figure | None:
    """Draw the times of the drops that most runs have, in the order of the prediction, against the scale.

    Points are medians of training over the seeds, bands reach from the 10th to the 90th percentile, dashed lines
    are the prediction's medians. Dotted: what the last prediction becomes with the scale alone, proportional to
    log(1 / scale) at homogeneity degree 2 and to scale^(2 - degree) beyond. A panel for each value of a further key.

    Args:
        saved: the sweep.
        comparison: its gathered table.
        key: `init.scale` or `init.log10_scale`.
        degree: homogeneity degree of a neuron, None if unknown.

    Returns:
        The figure; None where no run has drops to show.
    """
    rows = _drops(saved, comparison)
    others = [other for other in saved.keys if other != key]
    panels = _panels(saved, rows, others)
    if not panels:
        return None
    columns = min(3, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure = new_figure(TEXT_WIDTH if columns > 1 else 0.62 * TEXT_WIDTH, 0.7 + _PANEL_HEIGHT * lines)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    drops = int(min(_MOST_DROPS, rows.groupby("run")["event"].max().median()))
    colours = sequential_colours(drops) if drops > 1 else ["#0072B2"]
    values = ordered_values(rows[key])
    for axes, (title, part) in zip(grid, panels, strict=False):
        _draw(axes, part, key, colours, degree)
        set_key_axis(axes, saved.name_of(key), values)
        axes.set_yscale("log")
        axes.set_title(title)
    for axes in grid[len(panels):]:
        axes.set_visible(False)
    for axes in grid[::columns]:
        axes.set_ylabel(TIME_LABEL)
    handles, words = _legend(colours, degree, prediction_name(rows))
    figure.legend(handles, words, loc="outside upper left", ncols=4 if columns > 1 else 2)
    settle(figure)
    return figure


def _drops(saved: SavedSweep, table: pd.DataFrame) -> pd.DataFrame:
    if not len(table) or "kind" not in table:
        return pd.DataFrame()
    table = of_prediction(table)
    drops = table[(table["kind"] == "acquisition") & table["run"].isin(saved.runs["run"])].copy()
    drops = drops[np.isfinite(drops["time_predicted"]) & (drops["time_predicted"] > 0)]
    # The number of an event counts activations too: here the drops are counted.
    drops["event"] = drops.groupby("run")["time_predicted"].rank(method="first").astype(int) if len(drops) else []
    return drops


def _panels(saved: SavedSweep, rows: pd.DataFrame, others: list[str]) -> list[tuple[str, pd.DataFrame]]:
    if not len(rows):
        return []
    if not others:
        return [("", rows)]
    def title(values: Sequence[object]) -> str:
        return ", ".join(f"{saved.name_of(key)} {word_of(value)}" for key, value in zip(others, values, strict=True))

    groups = [(title(values), part) for values, part in rows.groupby(others)]
    kept = sorted({round(place) for place in np.linspace(0, len(groups) - 1, min(_PANELS, len(groups)))})
    return [groups[place] for place in kept]


def _draw(axes: Axes, rows: pd.DataFrame, key: str, colours: list[str], degree: int | None) -> None:
    for drop, colour in enumerate(colours, start=1):
        own = rows[rows["event"] == drop]
        measured = own[np.isfinite(own["time_training"]) & (own["time_training"] > 0)].groupby(key)["time_training"]
        if measured.ngroups:
            middle = measured.median()
            axes.plot(middle.index, middle, linestyle="", marker="o", markersize=3.2, color=colour,
                      gid=f"training:{drop}")
            if measured.size().max() > 1:
                axes.fill_between(middle.index, measured.quantile(_BAND[0] / 100), measured.quantile(_BAND[1] / 100),
                                  color=colour, alpha=0.2, linewidth=0)
        predicted = own.groupby(key)["time_predicted"].median()
        axes.plot(predicted.index, predicted, color=colour, linewidth=0.9, linestyle=(0, (4, 1.6)), gid=f"agf:{drop}")
    _draw_law(axes, rows, key, len(colours), degree)


def _draw_law(axes: Axes, rows: pd.DataFrame, key: str, drops: int, degree: int | None) -> None:
    """The law through the prediction of the last drop at the smallest scale."""
    last = rows[rows["event"] == drops].groupby(key)["time_predicted"].median()
    if degree is None or len(last) < 2:
        return
    places = places_of(last.index.tolist())
    unit = time_unit(np.log10(places) if key == "init.scale" else places, degree)
    smallest = int(np.argmin(places))
    law = unit * last.iloc[smallest] / unit[smallest]
    axes.plot(places, law, color="0.35", linewidth=0.8, linestyle=":", gid="law", zorder=1)


def _legend(colours: list[str], degree: int | None, predicted: str) -> tuple[list[Line2D], list[str]]:
    first, last = colours[0], colours[-1]
    handles = [Line2D([], [], linestyle="", marker="o", markersize=3.2, color=first),
               Line2D([], [], color=first, linewidth=0.9, linestyle=(0, (4, 1.6)))]
    words = ["training, first drop" if len(colours) > 1 else "training, median over seeds", predicted]
    if len(colours) > 1:
        handles.insert(1, Line2D([], [], linestyle="", marker="o", markersize=3.2, color=last))
        words.insert(1, f"drop {len(colours)}")
    if degree is not None:
        handles.append(Line2D([], [], color="0.35", linewidth=0.8, linestyle=":"))
        power = "" if degree == 3 else f"$^{{{degree - 2}}}$"
        words.append("~ log(1 / scale)" if degree == 2 else f"~ 1 / scale{power}")
    return handles, words
