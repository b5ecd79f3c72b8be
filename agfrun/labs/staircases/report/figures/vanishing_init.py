"""Training approaching AGF: losses on the accelerated clock, and the distances with their fitted powers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.labs.staircases.report.figures.context import of_source, set_log_axis
from agfrun.labs.staircases.sources import AGF, DECOUPLED, NAMES, THEORY, main_of
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, new_figure, settle, styled

FloatArray = npt.NDArray[np.float64]

QUANTITIES = ("loss", "features", "time")
_MARKERS = {"loss": "o", "features": "s", "time": "^"}
_COLOURS = dict(zip(QUANTITIES, OKABE_ITO[:3], strict=True))
_REFERENCE_NAMES = {source: NAMES[source] for source in (AGF, DECOUPLED, THEORY)}
_CLOCK_LABELS = {"t / log(1/scale)": "time / log(1/scale)", "t * scale": "time × scale"}
_RATE_LABELS = {"t / log(1/scale)": "1 / log(1/scale)", "t * scale": "scale"}
# A staircase's last level of zero has no place on a logarithmic axis.
_DEEPEST_LOSS = 1e-6
_CURVES_NAMED = 8


@styled()
def plot_vanishing_init(
    runs: pd.DataFrame, curves: pd.DataFrame, distances: pd.DataFrame, rates: pd.DataFrame
) -> Figure:
    """Draw what the study `vanishing_init` found.

    Above: the loss of training on the accelerated clock, one colour a scale, with the reference (the closed form
    if there is one, else AGF at the smallest scale) dashed black; of several seeds the first is shown. Below:
    the distances over the clock's rate, with their fitted powers; filled to AGF, open to the closed form.

    Args:
        runs, curves, distances, rates: the tables of the same names; all but `curves` may be empty.
    """
    figure = new_figure(COLUMN_WIDTH, 4.6)
    above, below = figure.subplots(2, 1)
    clock = str(runs["clock"].iloc[0]) if len(runs) else "t"
    _draw_losses(above, curves[curves["seed"] == curves["seed"].min()])
    above.set_xlabel(_CLOCK_LABELS.get(clock, clock.replace("*", "×")))
    _draw_distances(below, distances, rates)
    below.set_xlabel(_RATE_LABELS.get(clock, clock.removeprefix("t * ")))
    settle(figure)
    return figure


def _draw_losses(axes: Axes, curves: pd.DataFrame) -> None:
    scales = sorted(curves["log10_scale"].unique(), reverse=True)
    colours = sequential_colours(len(scales))
    for scale, colour in zip(scales, colours, strict=True):
        curve = of_source(curves[curves["log10_scale"] == scale], "training")
        axes.plot(curve["clock_time"], curve["loss_share"], color=colour, gid=f"training:{scale:g}")
    reference, closest = _reference(curves)
    axes.plot(closest["clock_time"], closest["loss_share"], color="black", linewidth=0.9, linestyle=(0, (4, 1.6)),
              gid=f"reference:{reference}")
    set_log_axis(axes, "x", _time_limits(curves))
    set_log_axis(axes, "y", _loss_limits(curves))
    axes.set_ylabel("loss / initial loss")
    named = sorted({round(place) for place in np.linspace(0, len(scales) - 1, min(len(scales), _CURVES_NAMED))})
    handles = [Line2D([], [], color=colours[place], label=_power_of_ten(scales[place])) for place in named]
    handles.append(Line2D([], [], color="black", linewidth=0.9, linestyle=(0, (4, 1.6)),
                          label=_REFERENCE_NAMES[reference]))
    axes.legend(handles=handles, title="scale", title_fontsize=6.5, loc="lower left", alignment="left")


def _reference(curves: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The reference to draw and its rows: at the smallest scale, where it is nearest to the limit."""
    smallest = curves[curves["log10_scale"] == curves["log10_scale"].min()]
    name = THEORY if (smallest["source"] == THEORY).any() else main_of(smallest["source"])
    return name, of_source(smallest, name)


def _time_limits(curves: pd.DataFrame) -> tuple[float, float]:
    """From a little before the loss first falls, at any scale, to the end of the window."""
    fallen = curves[(curves["loss_share"] < 0.95) & (curves["clock_time"] > 0)]
    end = float(curves["clock_time"].max())
    first = float(fallen["clock_time"].min()) if len(fallen) else end / 10
    return min(first / 2, end / 10), end


def _loss_limits(curves: pd.DataFrame) -> tuple[float, float]:
    references = curves[(curves["source"] != "training") & (curves["loss_share"] > _DEEPEST_LOSS)]
    low = float(references["loss_share"].min()) if len(references) else _DEEPEST_LOSS
    return max(low / 6, _DEEPEST_LOSS), 1.6


def _draw_distances(axes: Axes, distances: pd.DataFrame, rates: pd.DataFrame) -> None:
    shown = distances[distances["resolved"].astype(bool) & distances["quantity"].isin(QUANTITIES)]
    pooled = rates[rates["feature"].isna()]
    for quantity in QUANTITIES:
        for reference in _REFERENCE_NAMES:
            points = shown[(shown["quantity"] == quantity) & (shown["reference"] == reference)]
            size, filling = (3.5, _COLOURS[quantity]) if reference != THEORY else (6.0, "none")
            axes.plot(points["clock_rate"], points["distance"], linestyle="", marker=_MARKERS[quantity],
                      markersize=size, color=_COLOURS[quantity], markerfacecolor=filling, markeredgewidth=0.6,
                      gid=f"{reference}:{quantity}")
        _draw_power(axes, pooled[(pooled["quantity"] == quantity) & (pooled["reference"] != THEORY)])
    if len(shown):
        set_log_axis(axes, "x", _padded(shown["clock_rate"]))
        set_log_axis(axes, "y", _padded(shown["distance"]))
    axes.set_ylabel("distance of training")
    title = f"to {_REFERENCE_NAMES[main_of(shown['reference'])]}"
    title += f", and exponent ({rates['confidence'].iloc[0]:.0%} interval)" if len(pooled) else ""
    handles = [_handle(quantity, pooled) for quantity in QUANTITIES if (shown["quantity"] == quantity).any()]
    if (shown["reference"] == THEORY).any():
        handles.append(Line2D([], [], linestyle="", marker="o", markersize=6, markerfacecolor="none", color="0.3",
                              markeredgewidth=0.6, label="open: to closed form"))
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=2, title=title, title_fontsize=6.5,
                alignment="left")


def _draw_power(axes: Axes, rates: pd.DataFrame) -> None:
    for row in rates.to_dict("records"):
        ends = np.array([row["smallest_clock_rate"], row["largest_clock_rate"]])
        axes.plot(ends, row["prefactor"] * ends ** row["exponent"], color=_COLOURS[row["quantity"]], linewidth=0.9,
                  zorder=1.5, gid=f"fit:{row['quantity']}")


def _handle(quantity: str, rates: pd.DataFrame) -> Line2D:
    fitted = rates[(rates["quantity"] == quantity) & (rates["reference"] != THEORY)]
    said = quantity
    if len(fitted):
        row = fitted.iloc[0]
        said = "mean time" if quantity == "time" else quantity
        said += f": {row['exponent']:.2f} ± {0.5 * (row['high'] - row['low']):.2f}"
    return Line2D([], [], color=_COLOURS[quantity], linewidth=0.9 if len(fitted) else 0, marker=_MARKERS[quantity],
                  markersize=3.5, label=said)


def _power_of_ten(exponent: float) -> str:
    return f"$10^{{{exponent:g}}}$"


def _padded(values: pd.Series) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = math.exp(0.08 * math.log(high / low)) if high > low else 2.0
    return low / room, high * room
