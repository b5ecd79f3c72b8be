"""Score and distances while an autoencoder trains, and against the noise of its data."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, TRAINING_GREY, new_figure, settle, styled

_SEEDS_WITH_A_LINE = 12
_MEASURES = (("score", "score"), ("chamfer", "Chamfer distance"), ("wasserstein", "Wasserstein distance"))


@styled()
def plot_training(table: pd.DataFrame) -> Figure:
    """Draw snapshots.csv: score and distances, each beside the correlation with the tree, which is grey."""
    figure = new_figure(TEXT_WIDTH, 2.5)
    panels = figure.subplots(1, 3)
    lowest = min(0.0, float(table["tree_correlation"].min()))
    for axes, colour, (column, label) in zip(panels, OKABE_ITO, _MEASURES, strict=False):
        other = axes.twinx()
        other.set_ylim(lowest - 0.05, 1)
        other.spines["right"].set_visible(True)
        _lines(other, table, "step", "tree_correlation", TRAINING_GREY)
        _lines(axes, table, "step", column, colour)
        # The line of the measure is above that of the correlation.
        axes.set_zorder(other.get_zorder() + 1)
        axes.patch.set_visible(False)
        axes.set(title=label, xlabel="optimizer step")
        other.tick_params(axis="y", colors="0.45")
        if axes is panels[-1]:
            other.set_ylabel("correlation with the tree", color="0.45")
        else:
            other.set_yticklabels([])
    settle(figure)
    return figure


@styled()
def plot_noise(table: pd.DataFrame) -> Figure:
    """Draw noise.csv: score and distances of encodings against the noise of one of the two sets."""
    figure = new_figure(TEXT_WIDTH, 2.3)
    panels = figure.subplots(1, 3)
    for axes, colour, (column, label) in zip(panels, OKABE_ITO, _MEASURES, strict=False):
        _lines(axes, table, "noise", column, colour, marker="o")
        axes.axvline(0.5, color="0.35", linewidth=0.8, linestyle=(0, (2, 2)))
        axes.set(title=label, xlabel="probability that a bit flips")
    settle(figure)
    return figure


def _lines(axes: Axes, table: pd.DataFrame, x: str, y: str, colour: str, marker: str = "") -> None:
    """A thin line a seed, and a thick one for the mean."""
    grouped = table.groupby("seed")
    if 1 < grouped.ngroups <= _SEEDS_WITH_A_LINE:
        for _, part in grouped:
            axes.plot(part[x], part[y].astype(float), color=colour, linewidth=0.6, alpha=0.5)
    mean = table.assign(**{y: table[y].astype(float)}).groupby(x)[y].mean()
    axes.plot(mean.index, mean, color=colour, linewidth=1.6, marker=marker, markersize=3)
