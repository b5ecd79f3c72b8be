"""One network: its parameters, what is left of them without symmetries, the ambient space, theory and the dimension."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agfrun.files.tables import is_missing
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TRAINING_GREY, new_figure, settle, styled

_BAR = 0.62
_ROW_INCHES = 0.24
_FRAME_INCHES = 0.62
# The ambient space is cut off where it would make the other bars too short to tell apart.
_LONGEST = 1.3
MEASURED, THEORY, COUNTED = OKABE_ITO[0], OKABE_ITO[4], TRAINING_GREY


class Bar(NamedTuple):
    """One bar: what it is called, how long it is, what stands beside it, and its colour."""

    name: str
    value: int
    remark: str
    colour: str


@styled()
def plot_counts(row: pd.Series[Any]) -> Figure:
    """Draw a row of architectures.csv as bars, with a line at the dimension; what is not known has no bar."""
    bars = _bars(row)
    figure = new_figure(COLUMN_WIDTH, _FRAME_INCHES + _ROW_INCHES * len(bars))
    axes = figure.subplots()
    limit = _LONGEST * max(bar.value for bar in bars if bar.name != "ambient space")
    for place, bar in enumerate(bars):
        axes.barh(place, min(bar.value, limit), height=_BAR, color=bar.colour, gid=bar.name)
        _write(axes, place, bar, limit)
    axes.axvline(int(row["dimension"]), color="black", linewidth=0.7, linestyle=(0, (2, 2)), zorder=3)
    axes.set(xlim=(0, limit), ylim=(len(bars) - 0.5, -0.5), xlabel="dimensions")
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.set_title(title_of(row))
    settle(figure)
    return figure


def title_of(row: pd.Series[Any]) -> str:
    """The network in a few words: its sizes, degree and name."""
    degree = "" if is_missing(row["degree"]) else f", degree {int(row['degree'])}"
    return f"{row['architecture']}{degree} ({row['network']})"


def _bars(row: pd.Series[Any]) -> list[Bar]:
    parameters, found, defect = int(row["parameters"]), int(row["dimension"]), int(row["defect"])
    bars = [Bar("parameters", parameters, "", COUNTED),
            Bar("less symmetries", parameters - int(row["symmetries"]), "", COUNTED)]
    if not is_missing(row["ambient"]):
        bars.append(Bar("ambient space", int(row["ambient"]), "", COUNTED))
    bars.append(Bar("expected", int(row["expected"]), "", COUNTED))
    if not is_missing(row["closed_form"]):
        bars.append(Bar("closed form", int(row["closed_form"]), "", THEORY))
    remark = f"{defect} below expected" if defect else "fills the space" if str(row["filling"]) == "True" else ""
    return [*bars, Bar("dimension", found, remark, MEASURED)]


def _write(axes: Axes, place: int, bar: Bar, limit: float) -> None:
    """The number at the end of the bar: beside it where there is room, else within."""
    text = f"{bar.value:,}" if bar.value < 10**9 else f"{bar.value:.1e}".replace("e+", " · 10^")
    text += f", {bar.remark}" if bar.remark else ""
    if bar.value > limit:
        text += " →"
    room = (limit - bar.value) / limit * COLUMN_WIDTH * 0.7  # inches, of an axis that takes some 0.7 of the figure
    inside = room < 0.055 * len(text)
    axes.annotate(text, (min(bar.value, limit), place), xytext=(-3 if inside else 3, 0), textcoords="offset points",
                  ha="right" if inside else "left", va="center", fontsize=6.5,
                  color="white" if inside and bar.colour == MEASURED else "black")
