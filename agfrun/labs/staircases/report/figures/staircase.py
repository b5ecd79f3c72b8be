"""The staircase: the loss of training with the prediction and the theory laid over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.report.figures.context import (
    RUNG_COLOURS,
    FigureContext,
    of_prediction,
    of_source,
    set_log_axis,
)
from agfrun.labs.staircases.sources import AGF, DECOUPLED, NAMES, OWN_SIZE, THEORY, TRAINING
from agfrun.report.figures.labels import Label, label_points, label_right_margin, nudge_apart
from agfrun.report.figures.style import COLUMN_WIDTH, TRAINING_GREY, new_figure, settle, styled
from agfrun.report.html.numbers import percent

FloatArray = npt.NDArray[np.float64]

# A loss of zero has no place on a logarithmic axis: it ends this far below the last level above zero.
_DEPTH_BELOW_LAST_LEVEL = 12.0
_LONGEST_NAMES = 4
_TIME = "theory time"
_LOWER_BOUND = "lower bound"
_GAVE_UP_RED = "#d55e00"
_LEGEND_WIDTH = 4
# Told apart by dashes and weight as well as by colour, so that grey print and any eye can follow them.
_LOOKS: dict[str, dict[str, Any]] = {
    AGF: {"color": RUNG_COLOURS[AGF], "linewidth": 1.0, "linestyle": (0, (4, 1.6)), "zorder": 2.4},
    DECOUPLED: {"color": RUNG_COLOURS[DECOUPLED], "linewidth": 1.3, "linestyle": (0, (1, 1.3)), "zorder": 2.5},
    OWN_SIZE: {"color": RUNG_COLOURS[OWN_SIZE], "linewidth": 0.9, "linestyle": "solid", "zorder": 2.3},
}
_LEVEL = "theory level"


@styled()
def plot_staircase(
    context: FigureContext, loss: pd.DataFrame, events: pd.DataFrame, comparison: pd.DataFrame,
    endings: pd.DataFrame | None = None, ladder: pd.DataFrame | None = None,
) -> Figure:
    """Draw loss over time, both logarithmic: training solid grey, AGF dashed black.

    Other predictions of the ladder have lines of their own; the legend then tells the worst error of a time of each.

    Theory's levels between features are thin lines with their values in the right margin (levels
    within a feature dotted), its times diamonds on the drops and its lower bounds arrows pointing
    to later times; the drops of training carry the feature that is acquired.

    Args:
        context: words, colours and time axis of the run.
        loss: the table `loss.csv`.
        events: the table `events.csv`.
        comparison: the table `comparison.csv`, for the lower bounds.
        endings: the table `endings.csv`: where training diverged or stalled, a cross says so.
        ladder: the table `ladder.csv`.
    """
    figure = new_figure(COLUMN_WIDTH, 2.6)
    axes = figure.add_subplot()
    levels = theory_levels(loss, events)
    floor, ceiling = loss_limits(loss, levels)
    context.set_time_axis(axes)
    set_log_axis(axes, "y", (floor, ceiling))
    axes.set_ylabel("loss")
    _draw_levels(axes, loss, levels)
    names = _draw_curves(axes, loss, ladder)
    _draw_theory_times(axes, context, events, floor)
    _draw_lower_bounds(axes, context, events, comparison, floor)
    _draw_giving_up(axes, endings, floor)
    _add_legend(figure, axes, names)
    shown = levels[(levels > floor) & (levels < ceiling)]
    texts = label_right_margin(axes, [Label(1.0, level, f"{level:.5g}", "0.35") for level in shown])
    settle(figure)
    nudge_apart(axes, texts)
    label_points(axes, _drop_labels(context, loss, events, floor))
    return figure


def theory_levels(loss: pd.DataFrame, events: pd.DataFrame) -> FloatArray:
    """Theory's levels before and after whole features, falling; all of its losses where it has no drops.

    Of the drops of single neurons that learn one feature, the last gives the level after the feature.
    """
    drops = _drops(of_source(events, "theory"))
    if (drops["kind"] == "acquisition").any():
        drops = _acquisitions(drops)
    last = drops["feature"] != drops["feature"].shift(-1)
    levels = pd.concat([drops["loss_before"].head(1), drops["loss_after"][last.fillna(True)]])
    if not len(drops):
        levels = of_source(loss, "theory")["loss"]
    return np.unique(levels[np.isfinite(levels)].to_numpy())[::-1]


def _drops(events: pd.DataFrame) -> pd.DataFrame:
    return events[events["kind"].isin(["activation", "acquisition"])]


def _acquisitions(events: pd.DataFrame) -> pd.DataFrame:
    return events[events["kind"] == "acquisition"]


def loss_limits(loss: pd.DataFrame, levels: FloatArray) -> tuple[float, float]:
    """Ends of the logarithmic loss axis: from below the last level above zero to above the initial loss."""
    curves = loss["loss"][~loss["source"].isin((THEORY, OWN_SIZE))]
    curves = curves[np.isfinite(curves) & (curves > 0)]
    starts = loss[loss["source"] != "theory"].groupby("source")["loss"].first()
    # The initial loss, not the largest: a diverging run must not flatten the staircase.
    tops = np.concatenate([starts[np.isfinite(starts) & (starts > 0)], levels[:1]])
    top = float(tops.max()) if len(tops) else 1.0
    positive = levels[levels > 1e-9 * top]
    floor = float(positive.min()) / _DEPTH_BELOW_LAST_LEVEL if len(positive) else 1e-4 * top
    if len(curves):
        floor = max(floor, min(float(curves.min()), 0.5 * top) / 2)
    return min(floor, 0.5 * top), 1.6 * top


def _draw_levels(axes: Axes, loss: pd.DataFrame, levels: FloatArray) -> None:
    for place, level in enumerate(levels[levels > 0]):
        axes.axhline(
            level, color="0.8", linewidth=0.6, zorder=0.5, label=_LEVEL if place == 0 else None
        )
    between = of_source(loss, "theory")["loss"].unique()
    for level in between[between > 0]:
        if not np.isclose(level, levels, rtol=1e-9, atol=0).any():
            axes.axhline(level, color="0.8", linewidth=0.5, linestyle=(0, (1, 3)), zorder=0.4)


def _draw_curves(axes: Axes, loss: pd.DataFrame, ladder: pd.DataFrame | None) -> list[str]:
    """Training and every prediction; the names of the lines in the order of the legend."""
    training = of_source(loss, TRAINING)
    names = []
    if len(training):
        axes.plot(training["time"], training["loss"], color=TRAINING_GREY, linewidth=2.4, label="training")
        names.append("training")
    present = [source for source in _LOOKS if (loss["source"] == source).any()]
    for source in present:
        curve = of_source(loss, source)
        name = _with_error(source, ladder) if len(present) > 1 else NAMES[source]
        axes.plot(curve["time"], curve["loss"], label=name, gid=f"loss:{source}", **_LOOKS[source])
        names.append(name)
    return names


def _with_error(source: str, ladder: pd.DataFrame | None) -> str:
    """Name of a prediction, and the worst error of its times where it is known."""
    if ladder is None:
        return NAMES[source]
    errors = ladder["worst_time_error"][ladder["source"] == source].dropna()
    return f"{NAMES[source]}: {percent(float(errors.iloc[0]))}" if len(errors) else NAMES[source]


def _draw_giving_up(axes: Axes, endings: pd.DataFrame | None, floor: float) -> None:
    """A cross where training diverged or stalled, at the upper end of the axis if the loss is above it."""
    if endings is None:
        return
    for end in endings[endings["status"].isin(GAVE_UP)].itertuples():
        top = axes.get_ylim()[1] / 1.3
        loss = min(max(end.loss, floor), top) if np.isfinite(end.loss) else top
        axes.plot(end.time, loss, linestyle="none", marker="X", markersize=6, markerfacecolor=_GAVE_UP_RED,
                  markeredgecolor="white", markeredgewidth=0.6, zorder=4, clip_on=False,
                  label=f"{end.source} {end.status}")


def _draw_theory_times(axes: Axes, context: FigureContext, events: pd.DataFrame, floor: float) -> None:
    drops = _drops(of_source(events, "theory"))
    for place, drop in enumerate(drops[np.isfinite(drops["time"])].itertuples()):
        axes.plot(
            drop.time, _middle(drop.loss_before, drop.loss_after, floor), linestyle="none", marker="D",
            markersize=2.9, markeredgecolor="white", markeredgewidth=0.3, color=context.colour(drop.feature),
            zorder=3, label=_TIME if place == 0 else None,
        )


def _draw_lower_bounds(
    axes: Axes, context: FigureContext, events: pd.DataFrame, comparison: pd.DataFrame, floor: float
) -> None:
    bounded = _acquisitions(of_prediction(comparison))
    bounded = bounded[np.isfinite(bounded["lower_bound"])]
    for place, row in enumerate(bounded.itertuples()):
        height = _drop_height(events, row.feature, floor)
        axes.errorbar(
            row.lower_bound, height, xerr=0.45 * row.lower_bound, xlolims=True, fmt="|", markersize=5,
            capsize=1.6, elinewidth=0.8, color=context.colour(row.feature), zorder=3,
            label=_LOWER_BOUND if place == 0 else None,
        )


def _add_legend(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    entries = dict(zip(labels, handles, strict=True))
    for label, marker, size in ((_TIME, "D", 2.9), (_LOWER_BOUND, r"$\mapsto$", 8.0)):
        if label in entries:
            entries[label] = Line2D(
                [], [], linestyle="none", marker=marker, markersize=size, markeredgewidth=0, color="0.3"
            )
    further = (_LEVEL, _TIME, _LOWER_BOUND, *(f"training {status}" for status in GAVE_UP))
    ordered = [*names, *(label for label in further if label in entries)]
    if ordered:
        told = any(": " in name for name in names)
        figure.legend(
            [entries[label] for label in ordered], ordered, loc="outside upper left",
            ncols=len(ordered) if len(ordered) <= _LEGEND_WIDTH else 3, handlelength=1.6, columnspacing=0.9,
            title="in percent: worst error of a time" if told else None, title_fontsize=6.5, alignment="left",
        )


def _drop_height(events: pd.DataFrame, feature: str, floor: float) -> float:
    """Middle of the whole drop of a feature, according to theory, else to the prediction, else to training."""
    for rows in (of_source(events, THEORY), of_prediction(events), of_source(events, TRAINING)):
        drops = _drops(rows)
        drops = drops[drops["feature"] == feature]
        if len(drops):
            return _middle(drops["loss_before"].max(), drops["loss_after"].min(), floor)
    return floor


def _middle(before: float, after: float, floor: float) -> float:
    """Geometric mean of the levels around a drop, within what the axis shows."""
    before = max(before, floor) if np.isfinite(before) else floor
    after = max(after, floor) if np.isfinite(after) else floor
    return float(np.sqrt(before * after))


def _drop_labels(
    context: FigureContext, loss: pd.DataFrame, events: pd.DataFrame, floor: float
) -> list[Label]:
    """One label for each acquisition that training shows (or the prediction, where training shows none)."""
    sides = ((of_source(loss, TRAINING), of_source(events, TRAINING)), (of_prediction(loss), of_prediction(events)))
    for curve, rows in sides:
        drops = _acquisitions(rows)
        if len(curve) and len(drops):
            break
    else:
        return []
    many = drops["feature"].nunique() > _LONGEST_NAMES and context.wording.symbol is None
    return [
        Label(
            drop.time,
            _middle(drop.loss_before, drop.loss_after, floor),
            str(drop.feature) if many and place else context.wording.label(str(drop.feature)),
            context.colour(drop.feature),
        )
        for place, drop in enumerate(drops.itertuples())
        if np.isfinite(drop.time)
    ]
