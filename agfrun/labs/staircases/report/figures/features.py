"""Features over time: how much of each feature the network's output holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.staircases.report.figures.context import FigureContext, of_prediction, of_source, prediction_name
from agfrun.report.figures.labels import Label, label_right_margin, nudge_apart
from agfrun.report.figures.style import COLUMN_WIDTH, new_figure, settle, styled

# Above this ratio of the largest to the smallest final value a linear axis hides the smallest.
_LARGEST_LINEAR_RATIO = 100.0
_LEAST_SHARE = 1e-3


@styled()
def plot_features(context: FigureContext, features: pd.DataFrame) -> Figure:
    """Draw each feature's size over time: training solid in its colour, AGF dashed black.

    Theory's final sizes are dotted lines; the features are named in the right margin.

    Args:
        context: words, colours and time axis of the run.
        features: the table `features.csv`.
    """
    figure = new_figure(COLUMN_WIDTH, 2.4)
    axes = figure.add_subplot()
    context.set_time_axis(axes)
    axes.set_ylabel(context.wording.value)
    _draw_training(axes, context, of_source(features, "training"))
    _draw_prediction(axes, of_prediction(features), prediction_name(features))
    _draw_theory(axes, context, of_source(features, "theory"))
    final = _final_values(features)
    _set_value_axis(axes, features, final)
    if axes.get_legend_handles_labels()[0]:
        legend = figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        # The line styles tell the sources apart; the colours belong to the features.
        for handle in legend.get_lines():
            handle.set_color("0.2")
    texts = label_right_margin(axes, [
        Label(1.0, value, context.wording.label(feature), context.colour(feature))
        for feature, value in final.items()
    ])
    settle(figure)
    nudge_apart(axes, texts)
    return figure


def _draw_training(axes: Axes, context: FigureContext, rows: pd.DataFrame) -> None:
    for place, (feature, curve) in enumerate(rows.groupby("feature", sort=False)):
        axes.plot(
            curve["time"], curve["value"], color=context.colour(feature), linewidth=1.8,
            label="training" if place == 0 else None, gid=f"training:{feature}",
        )


def _draw_prediction(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    for place, (feature, curve) in enumerate(rows.groupby("feature", sort=False)):
        axes.plot(
            curve["time"], curve["value"], color="black", linewidth=0.8, linestyle=(0, (4, 1.6)),
            label=name if place == 0 else None, gid=f"agf:{feature}",
        )


def _draw_theory(axes: Axes, context: FigureContext, rows: pd.DataFrame) -> None:
    rows = rows[np.isfinite(rows["value"])]
    for place, (feature, curve) in enumerate(rows.groupby("feature", sort=False)):
        axes.axhline(
            curve["value"].iloc[-1], color=context.colour(feature), linewidth=0.7, linestyle=(0, (1, 1.5)),
            zorder=0.5, label="theory, final" if place == 0 else None, gid=f"theory:{feature}",
        )


def _final_values(features: pd.DataFrame) -> dict[str, float]:
    """Last finite size of each feature, from the source that lasts longest (training if equal)."""
    finite = features[np.isfinite(features["value"])]
    final: dict[str, float] = {}
    for feature, rows in finite.groupby("feature", sort=False):
        curves = [of_source(rows, "training"), of_prediction(rows), of_source(rows, "theory")]
        lasting = max((curve for curve in curves if len(curve)), key=_last_time)
        final[str(feature)] = float(lasting["value"].iloc[-1])
    return final


def _last_time(curve: pd.DataFrame) -> float:
    last = float(curve["time"].iloc[-1])
    return last if np.isfinite(last) else -np.inf


def _set_value_axis(axes: Axes, features: pd.DataFrame, final: dict[str, float]) -> None:
    # Training's own path is not counted: a diverging one must not flatten the others.
    settled = features["value"][(features["source"] != "training") & np.isfinite(features["value"])]
    shown = np.array([0.0, *final.values(), *settled])
    low, high = float(shown.min()), float(shown.max())
    smallest = _smallest_size(final)
    if smallest is None or max(high, -low) <= _LARGEST_LINEAR_RATIO * smallest:
        margin = 0.06 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)
    else:
        axes.set_yscale("symlog", linthresh=smallest)
        axes.set_ylim(1.5 * low if low < 0 else -0.2 * smallest, 1.5 * high if high > 0 else 0.2 * smallest)
    if low < -_LEAST_SHARE * high:
        axes.axhline(0.0, color="0.8", linewidth=0.6, zorder=0.4)


def _smallest_size(final: dict[str, float]) -> float | None:
    """Smallest final size that counts: below a thousandth of the largest a feature is not learned."""
    sizes = np.abs(list(final.values()))
    sizes = sizes[sizes > _LEAST_SHARE * sizes.max(initial=0.0)]
    return float(sizes.min()) if len(sizes) else None
