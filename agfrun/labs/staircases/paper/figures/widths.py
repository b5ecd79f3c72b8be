"""The loss of networks of several widths beside one another."""

from __future__ import annotations

from matplotlib.figure import Figure

from agfrun.labs.staircases.paper.figures.cases import PaperTables
from agfrun.labs.staircases.paper.figures.panels import (
    TIME_RESIDUAL,
    acquired,
    add_legend,
    draw_loss,
    draw_residuals,
    letter,
)
from agfrun.labs.staircases.report.figures.context import of_source, set_log_axis
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled


@styled()
def plot_widths(tables: PaperTables) -> Figure:
    """Draw the loss of each width above, with the range over seeds; below, how far prediction is off."""
    cases = tables.cases
    figure = new_figure(TEXT_WIDTH, 4.0)
    panels = figure.subplots(2, len(cases), squeeze=False, height_ratios=(1.4, 1.0))
    contexts = [tables.context(case) for case in cases]
    lowest = min(float(of_source(tables.of("loss", case), "training")["loss"].min()) for case in cases)
    highest = max(float(of_source(tables.of("loss", case), "training")["loss"].max()) for case in cases)
    for place, (case, context) in enumerate(zip(cases, contexts, strict=True)):
        loss, errors = panels[:, place]
        draw_loss(loss, tables, case, context)
        set_log_axis(loss, "y", (lowest / 1.05, 1.05 * highest))
        letter(loss, "abcdefgh"[place], case)
        draw_residuals(errors, acquired(tables, case), context, "time_error", TIME_RESIDUAL)
        if place:
            loss.set_ylabel("")
            errors.set_ylabel("")
    add_legend(figure, tables.seeds(cases[0]))
    settle(figure)
    return figure


