"""The figure of a sweep: accuracy against the one key that was swept, as the number of anchors."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.stitching.figures.common import draw_accuracies, parts_of
from agfrun.report.figures.axes import places_of, set_key_axis
from agfrun.report.figures.style import TEXT_WIDTH, new_figure, settle, styled
from agfrun.report.saved_sweep import SavedSweep, ordered_values
from agfrun.report.sweep_figures import figures_of_numbers


def figures_of_sweep(sweep: SavedSweep) -> Iterator[tuple[str, Figure]]:
    """Names and figures; where several keys were swept, the numbers over each."""
    keys = [key for key in sweep.varied if key != "seed"]
    table = sweep.tables.get("summary")
    if len(keys) == 1 and table is not None and len(table):
        yield "accuracy", plot_sweep(table[table["run"].isin(sweep.runs["run"])], keys[0], sweep.name_of(keys[0]))
    else:
        yield from figures_of_numbers(sweep)


@styled()
def plot_sweep(table: pd.DataFrame, key: str, name: str) -> Figure:
    """Draw accuracy with own heads (left) and others' (right) against a key, means over runs.

    Args:
        table: the gathered summary.csv with a column of the key.
        key: the column.
        name: how it is called.
    """
    figure = new_figure(TEXT_WIDTH, 2.7)
    panels = figure.subplots(1, 2, sharey=True)
    values = ordered_values(table[key])
    place = dict(zip(values, places_of(values).tolist(), strict=True))
    handles = []
    for row, part in parts_of(table):
        means = part.groupby(key)[["same", "stitched"]].mean()
        means = means.loc[[value for value in values if value in means.index]]
        handles.append(draw_accuracies(panels, row, [place[value] for value in means.index], means))
    for axes, title in zip(panels, ("own head", "another network's head"), strict=True):
        set_key_axis(axes, name, values)
        axes.set(title=title, ylim=(0, 1))
    panels[0].set_ylabel("test accuracy")
    figure.legend(handles=handles, loc="outside right upper")
    settle(figure)
    return figure
