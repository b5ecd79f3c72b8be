"""The figures of `study=policy`: the curve of training, and which moves were learned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from agfrun.labs.lattices.figures.common import LEARNED, UNTRAINED
from agfrun.report.figures.style import COLUMN_WIDTH, TEXT_WIDTH, new_figure, settle, styled
from agfrun.study.study import Saved

# The width of the table's bins; shares below this one are not told apart.
_BIN, _RARE = 0.25, 1e-4


def figures_of_run(saved: Saved) -> Iterator[tuple[str, Figure]]:
    """Names and figures, of the tables that there are."""
    history = saved.tables.get("history")
    if history is not None and len(history) and "defect" in history:
        yield "training", plot_training(history, saved.words.get("defect_product"))
    moves = saved.tables.get("moves")
    if moves is not None and len(moves):
        yield "moves", plot_moves(moves)


@styled()
def plot_training(table: pd.DataFrame, product: float | None) -> Figure:
    """Draw the mean log defect on validation lattices against updates.

    Args:
        table: history.csv.
        product: that of the product rule; None: not known.
    """
    figure = new_figure(COLUMN_WIDTH, 2.6)
    axes = figure.subplots()
    steps = table["step"].astype(float)
    axes.plot(steps, table["defect"].astype(float), "o-", color=LEARNED, markersize=3, label="moves of training")
    axes.plot(steps, table["defect_twice"].astype(float), "s--", color=LEARNED, markersize=3, linewidth=0.9,
              markerfacecolor="none", label="twice as many")
    if product is not None:
        axes.axhline(product, color=UNTRAINED, linewidth=1.2, label="product rule, as many moves")
    axes.set(xlabel="updates", ylabel="mean log defect, validation")
    axes.legend()
    settle(figure)
    return figure


@styled()
def plot_moves(table: pd.DataFrame) -> Figure:
    """Draw which moves are made (left) and how much more often than by the product rule (right).

    Right of the vertical line a move makes the row shorter, above the horizontal one the row of the dual basis.

    Args:
        table: moves.csv.
    """
    shares = {who: table[table["policy"] == who].set_index(["gain", "dual_gain"])["share"].astype(float)
              for who in ("learned", "product")}
    both = pd.concat(shares, axis=1)
    ratio = np.log2((both["learned"].fillna(0) + _RARE) / (both["product"].fillna(0) + _RARE))
    figure = new_figure(TEXT_WIDTH, 3.0)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    learned = both["learned"].dropna()
    for axes, values, title, style in (
            (panels[0], learned, "learned moves: share", {"norm": LogNorm(_RARE, 1.0), "cmap": "viridis"}),
            (panels[1], ratio, "log2 of that over the product rule's", {"vmin": -3.0, "vmax": 3.0, "cmap": "PuOr"})):
        places = np.array(values.index.tolist()) + _BIN / 2
        edges = np.arange(places.min() - _BIN / 2, places.max() + _BIN, _BIN)
        drawn = np.histogram2d(places[:, 0], places[:, 1], bins=(edges, edges), weights=values.to_numpy())[0]
        there = np.histogram2d(places[:, 0], places[:, 1], bins=(edges, edges))[0] > 0
        picture = axes.pcolormesh(edges, edges, np.where(there, drawn, np.nan).T, **style)
        axes.axhline(0, color="0.5", linewidth=0.7)
        axes.axvline(0, color="0.5", linewidth=0.7)
        axes.set(title=title, xlabel="log gain of the row", aspect="equal")
        figure.colorbar(picture, ax=axes, pad=0.02)
    panels[0].set_ylabel("log gain of the dual row")
    settle(figure)
    return figure
