"""The staircase of a training with a lane below it: which subnetwork each plateau is, its rank and its index."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from agfrun.labs.neuromanifolds.plateaus.table import (
    DEGENERATE_SADDLE,
    MINIMUM,
    STRICT_SADDLE,
    UNDECIDED,
)
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TRAINING_GREY, new_figure, settle, styled

COLOURS = {DEGENERATE_SADDLE: OKABE_ITO[4], STRICT_SADDLE: OKABE_ITO[5], MINIMUM: OKABE_ITO[2], UNDECIDED: "0.8"}
TRAINING = "training"
# Below this part of the first loss a critical value is zero; the axis ends so far below the last above it.
_NOTHING, _BELOW_LAST = 1e-9, 30.0
# Beyond its end on the logarithmic axis the last plateau is given this share of what is shown: it lasts.
_LASTING = 0.12
# Numbers are written into cells that are at least this share of the axis wide, for each of their characters.
_CHARACTER = 0.0155
# Times with fewer decades have labels between powers of ten.
_FEW_DECADES = 1e2
_LANES = ("active", "rank", "index")


@styled()
def plot_plateaus(loss: pd.DataFrame, plateaus: pd.DataFrame) -> Figure:
    """Draw the loss over time, critical values as lines, and a lane of cells coloured by the verdict.

    Rows of the lane are the active neurons, the rank of the derivative and the index: negative eigenvalues.

    Args:
        loss: loss.csv of the training.
        plateaus: plateaus.csv.
    """
    figure = new_figure(COLUMN_WIDTH, 3.3)
    upper, lane = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1.0))
    curve = loss[(loss["source"] == TRAINING) & (loss["time"] > 0)]
    levels = plateaus["loss"][plateaus["loss"] > _NOTHING * float(curve["loss"].iloc[0])]
    floor = float(levels.min() if len(levels) else curve["loss"].iloc[0]) / _BELOW_LAST
    for level in levels:
        upper.axhline(level, color="0.8", linewidth=0.6, zorder=0.5)
    upper.plot(curve["time"], curve["loss"], color=TRAINING_GREY, linewidth=2.0, gid="training")
    bottom, middles = floor / 1.4, _middles(plateaus, curve)
    is_zero = plateaus["loss"].to_numpy() < bottom
    dots = {"linestyle": "none", "color": "black", "markeredgewidth": 0, "zorder": 3}
    upper.plot(middles[~is_zero], plateaus["loss"][~is_zero], marker="o", markersize=3.4, gid="critical", **dots)
    if is_zero.any():  # an arrow on the axis: the value is below
        upper.plot(middles[is_zero], np.full(is_zero.sum(), bottom), marker="v", markersize=5, gid="zero",
                   clip_on=False, **dots)
    upper.set(xscale="log", yscale="log", ylabel="loss", ylim=(bottom, 2.2 * float(curve["loss"].max())))
    upper.yaxis.set_major_locator(LogLocator(numticks=6))
    upper.yaxis.set_minor_formatter(NullFormatter())
    lane.xaxis.set_minor_formatter(NullFormatter())
    _draw_lane(lane, plateaus, curve)
    lane.set_xlabel("gradient-flow time")
    present = [name for name in COLOURS if (plateaus["verdict"] == name).any()]
    handles = [Patch(facecolor=COLOURS[name], label=name) for name in present]
    figure.legend(handles=handles, loc="outside upper left", ncols=4, alignment="left", handlelength=1.0,
                  columnspacing=0.9)
    settle(figure)
    return figure


def _window(curve: pd.DataFrame, plateaus: pd.DataFrame) -> tuple[float, float]:
    """Times that are shown: the first drop has as much before it on the logarithmic axis as all that follows."""
    end = float(curve["time"].iloc[-1])
    first = float(plateaus["end"].iloc[0])
    low = max(float(curve["time"].iloc[0]), first / max(end / first, 4.0))
    return low, end * (end / low) ** _LASTING


def _spans(plateaus: pd.DataFrame, curve: pd.DataFrame) -> list[tuple[float, float]]:
    """Start and end of each plateau within the times that are shown."""
    low, high = _window(curve, plateaus)
    ends = [*plateaus["end"].iloc[:-1], high]
    return [(max(start, low), max(end, low)) for start, end in zip(plateaus["start"], ends, strict=True)]


def _middles(plateaus: pd.DataFrame, curve: pd.DataFrame) -> np.ndarray:
    return np.array([float(np.sqrt(start * end)) for start, end in _spans(plateaus, curve)])


def _draw_lane(axes: Axes, plateaus: pd.DataFrame, curve: pd.DataFrame) -> None:
    low, high = _window(curve, plateaus)
    axes.set_xlim(low, high)
    if high < _FEW_DECADES * low:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    width = np.log(high / low)
    for row, (start, end) in zip(plateaus.itertuples(), _spans(plateaus, curve), strict=True):
        axes.add_patch(Rectangle((start, -0.5), end - start, len(_LANES), facecolor=COLOURS[row.verdict],
                                 edgecolor="white", linewidth=0.8, gid=f"plateau {row.plateau}"))
        for place, text in enumerate((row.active, row.rank, row.negative)):
            if np.log(end / start) / width >= _CHARACTER * (len(str(text)) + 0.5):
                axes.text(np.sqrt(start * end), place, str(text), ha="center", va="center", fontsize=6)
    axes.set_yticks(range(len(_LANES)), _LANES)
    axes.set_ylim(len(_LANES) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
