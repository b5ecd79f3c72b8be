"""Further quantities of the whole network over time, a panel for each: training beside AGF."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.staircases.report.figures.context import FigureContext, of_prediction, of_source, prediction_name
from agfrun.report.figures.style import COLUMN_WIDTH, feature_colours, new_figure, settle, styled

PANEL_HEIGHT = 1.9


@styled()
def plot_observables(context: FigureContext, observables: pd.DataFrame) -> Figure:
    """Draw each quantity over time: training solid, one colour an index, AGF dashed black.

    Args:
        context: time axis of the run.
        observables: the table `observables.csv`, with a row at least.
    """
    quantities = list(observables["quantity"].unique())
    figure = new_figure(COLUMN_WIDTH, 0.5 + PANEL_HEIGHT * len(quantities))
    panels = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0]
    for axes, quantity in zip(panels, quantities, strict=True):
        _draw_quantity(axes, observables[observables["quantity"] == quantity])
        context.set_time_axis(axes, label=axes is panels[-1])
        axes.set_ylabel(str(quantity))
    handles = {label: handle for handle, label in zip(*panels[0].get_legend_handles_labels(), strict=True)}
    if handles:
        legend = figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=2)
        for handle in legend.get_lines():
            handle.set_color("0.2")
    settle(figure)
    return figure


def _draw_quantity(axes: Axes, rows: pd.DataFrame) -> None:
    colours = feature_colours([str(index) for index in sorted(rows["index"].unique())])
    for place, (index, curve) in enumerate(of_source(rows, "training").groupby("index")):
        axes.plot(curve["time"], curve["value"], color=colours[str(index)], linewidth=1.8,
                  label="training" if place == 0 else None, gid=f"training:{index}")
    for place, (index, curve) in enumerate(of_prediction(rows).groupby("index")):
        axes.plot(curve["time"], curve["value"], color="black", linewidth=0.8, linestyle=(0, (4, 1.6)),
                  label=prediction_name(rows) if place == 0 else None, gid=f"agf:{index}")
    finite = rows["value"][np.isfinite(rows["value"])]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.1
    axes.set_ylim(min(low, 0.0) - margin, high + margin)
