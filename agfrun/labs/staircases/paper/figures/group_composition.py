"""The staircases of several groups beside one another."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.labs.staircases.paper.figures.cases import PaperTables
from agfrun.labs.staircases.paper.figures.panels import add_legend, draw_loss, letter, predictions_named
from agfrun.labs.staircases.report.figures.context import of_prediction, of_source
from agfrun.report.figures.labels import label_right_margin, nudge_apart
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled

DEEPEST = 1e-5


@styled()
def plot_groups(tables: PaperTables) -> Figure:
    """Draw the loss on each group with the levels of theory; dots are drops of training, diamonds predicted ones."""
    cases = tables.cases
    rows = (len(cases) + 2) // 3
    figure = new_figure(TEXT_WIDTH, 2.1 * rows + 0.3)
    panels, texts = figure.subplots(rows, 3, squeeze=False).ravel(), []
    for axes in panels[len(cases) :]:
        axes.remove()
    for place, (case, axes) in enumerate(zip(cases, panels, strict=False)):
        labels = draw_loss(axes, tables, case, tables.context(case), DEEPEST)
        _mark_drops(axes, tables, case)
        letter(axes, "abcdefgh"[place], case)
        texts.append((axes, label_right_margin(axes, labels)))
    add_legend(figure, tables.seeds(cases[0]), [
        ("irrep learned", Line2D([], [], linestyle="none", marker="o", markersize=5, color="0.3")),
        ("predicted", Line2D([], [], linestyle="none", marker="D", markersize=4, color="0.3")),
        ("level of theory", Line2D([], [], color="0.8", linewidth=0.8)),
    ], predictions_named(tables))
    settle(figure)
    for axes, margin in texts:
        nudge_apart(axes, margin)
    return figure


def _mark_drops(axes: Axes, tables: PaperTables, case: str) -> None:
    """Where training learns each irrep, with its number, and where that is predicted."""
    context, loss, events = tables.context(case), tables.first("loss", case), tables.first("events", case)
    acquired, curve = events[events["kind"] == "acquisition"], of_source(loss, "training")
    trained = of_source(acquired, "training")
    for rows, marker, size in ((trained, "o", 5.0), (of_prediction(acquired), "D", 3.6)):
        for event in rows.itertuples():
            height = float(np.interp(event.time, curve["time"], curve["loss"]))
            axes.plot(event.time, height, marker=marker, markersize=size, color=context.colour(event.feature),
                      markeredgecolor="white", markeredgewidth=0.5, zorder=4)
            if rows is trained:
                axes.annotate(f"$\\rho_{{{event.feature}}}$", (event.time, height), xytext=(4, 3),
                              textcoords="offset points", fontsize="small", color=context.colour(event.feature))
