"""One network: its features with their bounds, its loss, and prediction against training."""

from __future__ import annotations

from matplotlib.figure import Figure

from agfrun.labs.staircases.paper.figures.cases import PaperTables
from agfrun.labs.staircases.paper.figures.panels import (
    BOUND_HANDLE,
    FINAL_HANDLE,
    LEVEL_RESIDUAL,
    TIME_RESIDUAL,
    acquired,
    add_legend,
    draw_features,
    draw_loss,
    draw_lower_bounds,
    draw_residuals,
    letter,
    lower_bounds,
    predictions_named,
)
from agfrun.report.figures.labels import label_right_margin, nudge_apart
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled


@styled()
def plot_single_network(tables: PaperTables) -> Figure:
    """Draw the features (a) and the loss (b) of the first seed, with the range over seeds, and the residuals (c, d)."""
    case = tables.cases[0]
    context = tables.context(case)
    figure = new_figure(TEXT_WIDTH, 4.1)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.5, 1.0))
    features, loss = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    times, levels = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    names = draw_features(features, tables, case, context)
    draw_lower_bounds(features, tables, case, context, {
        feature: 0.5 * label.y for feature, label in zip(context.colours, names, strict=False)})
    features.set_ylim(bottom=-0.04 * max(label.y for label in names))
    values = draw_loss(loss, tables, case, context)
    rows = acquired(tables, case)
    draw_residuals(times, rows, context, "time_error", TIME_RESIDUAL)
    draw_residuals(levels, rows, context, "level_error", LEVEL_RESIDUAL)
    for axes, name in zip((features, loss, times, levels), "abcd", strict=True):
        letter(axes, name)
    texts = [(axes, label_right_margin(axes, labels)) for axes, labels in ((features, names), (loss, values))]
    further = [("final size", FINAL_HANDLE)]
    if len(lower_bounds(tables, case)):
        further.append(("lower bound", BOUND_HANDLE))
    add_legend(figure, tables.seeds(case), further, predictions_named(tables))
    settle(figure)
    for axes, margin in texts:
        nudge_apart(axes, margin)
    return figure
