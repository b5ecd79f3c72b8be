"""Neurons racing to the threshold: their norms and their accumulated utility, training beside AGF."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.labs.staircases.report.figures.context import (
    FigureContext,
    of_prediction,
    of_source,
    prediction_name,
    set_log_axis,
)
from agfrun.report.figures.style import (
    MOST_VECTOR_LINES,
    NO_FEATURE_GREY,
    TEXT_WIDTH,
    new_figure,
    settle,
    styled,
)

FloatArray = npt.NDArray[np.float64]

SMALLEST_DRAWN = -300


@styled()
def plot_neurons(context: FigureContext, neurons: pd.DataFrame, threshold: float = 1.0) -> Figure:
    """Draw norm (above) and accumulated utility (below) of each neuron, training left, the prediction right.

    A line has the colour of the feature that the neuron points at, at each moment. Where the
    model's homogeneity degree is known the utility is divided by the amount c_i at which the
    neuron's norm reaches the threshold, so that all neurons race to 1.

    Args:
        context: words, colours and time axis of the run.
        neurons: the table `neurons.csv`.
        threshold: norm at which a neuron becomes active.
    """
    figure = new_figure(TEXT_WIDTH, 3.8)
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    # Norms below the smallest float are drawn by their logarithm.
    shown = bool((neurons["log10_norm"].min() > SMALLEST_DRAWN) or neurons["log10_norm"].empty)
    utility = utility_to_threshold(neurons, context.homogeneity_degree, threshold)
    sides = (("training", of_source(neurons, "training")), (prediction_name(neurons), of_prediction(neurons)))
    for column, (title, rows) in enumerate(sides):
        top, bottom = panels[0, column], panels[1, column]
        top.set_title(title)
        _draw_race(top, context, rows, rows["norm"] if shown else rows["log10_norm"])
        _draw_race(bottom, context, rows, utility[rows.index])
        context.set_time_axis(top, label=False)
        context.set_time_axis(bottom)
    if shown:
        _set_norm_axis(panels[0, 0], neurons["norm"], threshold)
    else:
        panels[0, 0].set_ylabel(r"$\log_{10}$ neuron norm")
        panels[0, 0].autoscale_view(scalex=False)
    _set_utility_axis(panels[1, 0], utility, context.homogeneity_degree is not None)
    for axes in (*panels[0], *(panels[1] if context.homogeneity_degree else ())):
        height = (threshold if shown else math.log10(threshold)) if axes in panels[0] else 1.0
        axes.axhline(height, color="black", linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=3, gid="threshold")
    _add_legend(figure, context, neurons)
    settle(figure)
    return figure


def utility_to_threshold(neurons: pd.DataFrame, degree: int | None, threshold: float) -> pd.Series:
    """Accumulated utility over the amount c_i that takes neuron i to the threshold.

    From d||theta||/dt = kappa ||theta||^(kappa-1) U: c_i = log(threshold / ||theta_i(0)||) for
    kappa = 2 and (||theta_i(0)||^(2-kappa) - threshold^(2-kappa)) / (kappa - 2) above. Unchanged
    where the degree is unknown.
    """
    utility = neurons["accumulated_utility"]
    if degree is None:
        return utility
    initial = np.log(10) * neurons.groupby(["source", "neuron"])["log10_norm"].transform("first").to_numpy()
    # A neuron at the origin or beyond the threshold from the start takes no part in the race.
    initial = np.where(np.isfinite(initial) & (initial < math.log(threshold)), initial, np.nan)
    if degree == 2:
        return utility / (math.log(threshold) - initial)
    return utility * (degree - 2) / (np.exp((2 - degree) * initial) - threshold ** (2 - degree))


def _draw_race(axes: Axes, context: FigureContext, rows: pd.DataFrame, values: pd.Series) -> None:
    """One line a neuron, cut where it turns to another feature; one collection a feature."""
    pieces: dict[str, list[FloatArray]] = defaultdict(list)
    directions = rows["direction_feature"].fillna("").astype(str).to_numpy()
    points = np.column_stack([rows["time"], values])
    points[~np.isfinite(points)] = np.nan
    for at in rows.groupby("neuron", sort=False).indices.values():
        turns = np.flatnonzero(directions[at][1:] != directions[at][:-1]) + 1
        for start, end in zip([0, *turns], [*turns, len(at)], strict=True):
            # The first point of the next piece closes the gap between two colours.
            pieces[directions[at[start]]].append(points[at[start : end + 1]])
    count = rows["neuron"].nunique()
    for feature, lines in pieces.items():
        axes.add_collection(LineCollection(
            lines, colors=context.colour(feature), linewidths=0.9 if count <= 40 else 0.5,
            alpha=float(np.clip(4 / np.sqrt(max(count, 1)), 0.15, 0.9)), gid=f"neurons:{feature}",
            rasterized=count > MOST_VECTOR_LINES,
        ), autolim=False)


def _set_norm_axis(axes: Axes, norms: pd.Series, threshold: float) -> None:
    norms = norms[np.isfinite(norms) & (norms > 0)]
    low = float(norms.min()) if len(norms) else 0.01 * threshold
    # A diverging neuron must not flatten the race below the threshold.
    high = min(float(norms.max()), 100 * threshold) if len(norms) else threshold
    set_log_axis(axes, "y", (min(low, threshold / 2) / 1.5, 1.5 * max(high, threshold)))
    axes.set_ylabel("neuron norm")


def _set_utility_axis(axes: Axes, utility: pd.Series, relative: bool) -> None:
    finite = utility[np.isfinite(utility)]
    low = min(float(finite.min()), 0.0) if len(finite) else 0.0
    high = float(finite.max()) if len(finite) else 1.0
    if relative:
        low, high = max(low, -1.0), min(max(high, 1.0), 1.5)
    margin = 0.06 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    axes.set_ylabel("accumulated utility" + ("\n/ threshold" if relative else ""))


def _add_legend(figure: Figure, context: FigureContext, neurons: pd.DataFrame) -> None:
    present = set(neurons["direction_feature"].dropna().astype(str))
    handles = [
        Line2D([], [], color=colour, label=context.wording.label(feature))
        for feature, colour in context.colours.items()
        if feature in present
    ]
    if neurons["direction_feature"].isna().any():
        handles.append(Line2D([], [], color=NO_FEATURE_GREY, label="none"))
    handles.append(Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (1, 1.5)), label="threshold"))
    figure.legend(handles=handles, loc="outside upper left", ncols=6)
