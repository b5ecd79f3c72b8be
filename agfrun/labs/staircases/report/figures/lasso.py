"""A diagonal network's coefficients over time above the Lasso path over 1/lambda."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.staircases.report.figures.context import (
    FigureContext,
    of_prediction,
    of_source,
    prediction_name,
    set_log_axis,
)
from agfrun.report.figures.labels import Label, label_right_margin, nudge_apart
from agfrun.report.figures.style import COLUMN_WIDTH, NO_FEATURE_GREY, new_figure, settle, styled

FloatArray = npt.NDArray[np.float64]

# Coefficients smaller than this part of the largest are drawn in grey and not named.
_SMALL = 0.04
_POINTS = 600
_DASHES = (0, (4, 1.6))


@styled()
def plot_lasso_path(
    context: FigureContext, features: pd.DataFrame, events: pd.DataFrame, penalties: FloatArray,
    coefficients: FloatArray,
) -> Figure:
    """Draw training and AGF over time, and the Lasso path over 1/lambda below, in the same colours.

    The two axes are aligned at the first coefficient that AGF selects. Until AGF's first collapse the others
    then stand above one another too, if all neurons start alike.

    Args:
        context: words, colours and time axis of the run.
        features: the table `features.csv`.
        events: the table `events.csv`.
        penalties: breakpoints of the path, decreasing, (K,).
        coefficients: the Lasso's coefficients there, (K, d).
    """
    labels = list(context.colours)[: coefficients.shape[1]]
    lasso = dict(zip(labels, coefficients.T, strict=False))
    final = _final_values(features)
    named = _large(final, lasso)
    figure = new_figure(COLUMN_WIDTH, 4.0)
    upper, lower = figure.subplots(2, 1, sharey=True)
    _draw_time(upper, context, features, named)
    limits = _penalty_limits(context, events, penalties)
    _draw_path(lower, context, penalties, lasso, named, limits)
    _set_value_axis(upper, features, coefficients)
    lower.set_title(f"Lasso{_agreement(events, penalties, lasso)}")
    if upper.get_legend_handles_labels()[0]:
        legend = figure.legend(*upper.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        # The line styles tell the sources apart; the colours belong to the coefficients.
        for handle in legend.get_lines():
            handle.set_color("0.2")
    reached = {label: float(_at(1 / limits[1], penalties, path)) for label, path in lasso.items()}
    marked = [(upper, final), (lower, reached)]
    texts = [(axes, label_right_margin(axes, [
        Label(1.0, values[label], context.wording.label(label), context.colour(label))
        for label in named if label in values
    ])) for axes, values in marked]
    settle(figure)
    for axes, margin in texts:
        nudge_apart(axes, margin)
    return figure


def _draw_time(axes: Axes, context: FigureContext, features: pd.DataFrame, named: Collection[str]) -> None:
    context.set_time_axis(axes)
    axes.set_ylabel(context.wording.value)
    axes.axhline(0.0, color="0.8", linewidth=0.6, zorder=0.4)
    for source, legend, rows, style in (
        ("training", "training", of_source(features, "training"), {"linewidth": 1.8}),
        ("agf", prediction_name(features), of_prediction(features),
         {"linewidth": 0.8, "linestyle": _DASHES, "color": "black", "zorder": 2.5}),
    ):
        for place, (feature, curve) in enumerate(rows.groupby("feature", sort=False)):
            look: dict[str, Any] = {**_look(context, str(feature), named), **style}
            axes.plot(curve["time"], curve["value"], label=legend if place == 0 else None, gid=f"{source}:{feature}",
                      **look)


def _draw_path(
    axes: Axes, context: FigureContext, penalties: FloatArray, lasso: dict[str, FloatArray], named: Collection[str],
    limits: tuple[float, float],
) -> None:
    set_log_axis(axes, "x", limits)
    axes.set_xlabel(r"$1\,/\,\lambda$")
    axes.set_ylabel(context.wording.value)
    axes.axhline(0.0, color="0.8", linewidth=0.6, zorder=0.4)
    inner = 1 / penalties[penalties > 0]
    at = np.unique(np.concatenate([np.geomspace(*limits, _POINTS), inner[(inner > limits[0]) & (inner < limits[1])]]))
    for label, values in lasso.items():
        path = _at(1 / at, penalties, values)
        axes.plot(at, path, linewidth=1.4, gid=f"lasso:{label}", **_look(context, label, named))


def _at(penalty: FloatArray | float, penalties: FloatArray, values: FloatArray) -> FloatArray:
    """A coefficient at a penalty: linear between the breakpoints, zero before the first."""
    return np.asarray(np.interp(-np.asarray(penalty), -penalties, values))


def _look(context: FigureContext, label: str, named: Collection[str]) -> dict[str, Any]:
    if label in named:
        return {"color": context.colour(label), "zorder": 2.0}
    return {"color": NO_FEATURE_GREY, "zorder": 1.5}


def _penalty_limits(
    context: FigureContext, events: pd.DataFrame, penalties: FloatArray
) -> tuple[float, float]:
    """Ends of the 1/lambda axis: the time axis over its unit, which the first selection gives."""
    first = _first_selections(events)
    if first and penalties[0] > 0:
        unit = min(first.values()) * float(penalties[0])
        return context.time_limits[0] / unit, context.time_limits[1] / unit
    inner = 1 / penalties[penalties > 0]
    return (inner[0] / 4, 1.05 * inner[-1] * 4) if len(inner) else (0.1, 10.0)


def _first_selections(events: pd.DataFrame) -> dict[str, float]:
    """Time of each coefficient's first activation in AGF, in order."""
    rows = of_prediction(events)
    rows = rows[(rows["kind"] == "activation") & (rows["time"] > 0)].sort_values("time", kind="stable")
    return {str(feature): float(time) for feature, time in rows.groupby("feature", sort=False)["time"].min().items()}


def _agreement(events: pd.DataFrame, penalties: FloatArray, lasso: dict[str, FloatArray]) -> str:
    """Kendall's rank correlation of the two orders of first selection, as an addition to a title."""
    from scipy.stats import kendalltau

    times = _first_selections(events)
    starts = {label: float(penalties[np.flatnonzero(path)[0] - 1]) for label, path in lasso.items() if path.any()}
    shared = [label for label in times if label in starts]
    if len(shared) < 2:
        return ""
    correlation = kendalltau([times[label] for label in shared], [-starts[label] for label in shared]).statistic
    return f" (its order against AGF's: rank correlation {correlation:.2f})" if math.isfinite(correlation) else ""


def _final_values(features: pd.DataFrame) -> dict[str, float]:
    """Last finite value of each coefficient, of training if there is any."""
    finite = features[np.isfinite(features["value"]) & (features["source"] != "theory")]
    rows = of_source(finite, "training")
    rows = rows if len(rows) else finite
    return {str(feature): float(curve["value"].iloc[-1]) for feature, curve in rows.groupby("feature", sort=False)}


def _large(final: dict[str, float], lasso: dict[str, FloatArray]) -> list[str]:
    """Labels of the coefficients that are not small, at the end of training or anywhere on the path, in their order."""
    sizes = {label: abs(value) for label, value in final.items()}
    for label, path in lasso.items():
        sizes[label] = max(sizes.get(label, 0.0), float(np.abs(path).max()))
    largest = max(sizes.values(), default=0.0)
    return [label for label, size in sizes.items() if size > _SMALL * largest and size > 0]


def _set_value_axis(axes: Axes, features: pd.DataFrame, coefficients: FloatArray) -> None:
    # Training's own path is not counted: a diverging one must not flatten the others.
    predicted = of_prediction(features)["value"]
    shown = np.concatenate([[0.0], coefficients.ravel(), predicted[np.isfinite(predicted)]])
    low, high = float(shown.min()), float(shown.max())
    margin = 0.06 * (high - low)
    axes.set_ylim(low - margin, high + margin) if math.isfinite(margin) and margin > 0 else axes.set_ylim(-1, 1)
