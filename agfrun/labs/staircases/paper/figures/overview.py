"""Five networks: a sketch of each, and its staircase with the features that it learns."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.labs.staircases.paper.figures.cases import PaperTables
from agfrun.labs.staircases.paper.figures.panels import add_legend, draw_loss, predictions_named
from agfrun.labs.staircases.paper.figures.sketches import draw_sketch
from agfrun.labs.staircases.report.figures.context import of_source
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled

_PLURALS = {"frequency": "frequencies", "class": "classes"}


@styled()
def plot_overview(tables: PaperTables) -> Figure:
    """Draw a column for each network: what it is, what it learns, and its loss beside AGF's."""
    cases = tables.cases
    figure = new_figure(TEXT_WIDTH, 3.1)
    panels = figure.subplots(2, len(cases), squeeze=False, height_ratios=(1.0, 1.35))
    for place, case in enumerate(cases):
        context = tables.context(case)
        sketch, loss = panels[:, place]
        draw_sketch(sketch, case)
        word = context.wording.feature
        sketch.set_title(f"({'abcdefgh'[place]}) {case}", loc="center", fontsize="small")
        draw_loss(loss, tables, case, context)
        _mark_drops(loss, tables, case)
        loss.set_title(f"learns {_PLURALS.get(word, word + 's')}", fontsize="small", color="0.3", loc="center")
        loss.set_xlabel("time")
        if place:
            loss.set_ylabel("")
        loss.tick_params(labelleft=False, which="both")
    add_legend(figure, 1, prediction=predictions_named(tables))
    settle(figure)
    return figure


def _mark_drops(axes: Axes, tables: PaperTables, case: str) -> None:
    """A dot in the colour of the feature on each drop of training."""
    context = tables.context(case)
    events = of_source(tables.first("events", case), "training")
    curve = of_source(tables.first("loss", case), "training")
    for event in events[events["kind"] == "acquisition"].itertuples():
        height = float(np.interp(event.time, curve["time"], curve["loss"]))
        axes.plot(event.time, height, marker="o", markersize=4, color=context.colour(event.feature),
                  markeredgecolor="white", markeredgewidth=0.5, zorder=4)
