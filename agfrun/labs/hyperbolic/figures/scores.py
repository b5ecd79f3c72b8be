"""Scores of all pairs of sets: a matrix with the tree of relatives, or one pair beside its null distribution."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

# Pairs of which each score is written into its cell.
_MOST_WRITTEN = 12


@styled()
def plot_scores(table: pd.DataFrame) -> Figure:
    """Draw scores.csv: of one pair the interval and the null, of more sets the matrix and the tree."""
    labels = list(dict.fromkeys([*table["a"], *table["b"]]))
    return _pair(table) if len(labels) == 2 else _matrix(table, labels)


def _pair(table: pd.DataFrame) -> Figure:
    row = table.iloc[0]
    figure = new_figure(COLUMN_WIDTH, 1.4)
    axes = figure.add_subplot(xlim=(0, 1.02), ylim=(-0.6, 1.6), xlabel="score", yticks=[0, 1])
    axes.set_yticklabels(["labels exchanged", f"{row['a']} - {row['b']}"])
    axes.errorbar(row["null_mean"], 0, xerr=1.96 * row["null_sd"], fmt="s", color="0.5", markersize=4, capsize=2)
    axes.errorbar(row["score"], 1, xerr=[[max(0, row["score"] - row["low"])], [max(0, row["high"] - row["score"])]],
                  fmt="o", color=OKABE_ITO[0], markersize=4, capsize=2)
    settle(figure)
    return figure


def _matrix(table: pd.DataFrame, labels: list[str]) -> Figure:
    from scipy.cluster.hierarchy import dendrogram, linkage  # takes a while to import
    from scipy.spatial.distance import squareform

    place = {label: i for i, label in enumerate(labels)}
    scores = np.ones((len(labels), len(labels)))
    np.fill_diagonal(scores, 0)
    for row in table.itertuples():
        scores[place[row.a], place[row.b]] = scores[place[row.b], place[row.a]] = row.score
    tree = linkage(squareform(scores, checks=False), "average")
    figure = new_figure(TEXT_WIDTH, min(9.0, max(2.6, 0.17 * len(labels) + 1.2)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    drawn = dendrogram(tree, orientation="left", labels=labels, ax=left, color_threshold=0,
                       above_threshold_color=OKABE_ITO[0])
    left.set_xlabel("score at which sets join")
    left.spines[["left"]].set_visible(False)
    left.tick_params(axis="y", labelsize="small")
    order = drawn["leaves"]
    shown = scores[np.ix_(order, order)]
    np.fill_diagonal(shown, np.nan)
    names = [labels[i] for i in order]
    image = right.imshow(shown, cmap="viridis", vmin=min(0.5, float(np.nanmin(shown))), vmax=1, origin="lower")
    right.set_xticks(range(len(names)), names, rotation=90, fontsize="small")
    right.set_yticks(range(len(names)), names, fontsize="small")
    if len(names) <= _MOST_WRITTEN:
        for i, j in np.argwhere(np.isfinite(shown)):
            right.text(j, i, f"{shown[i, j]:.2f}", ha="center", va="center", fontsize=5.5,
                       color="white" if shown[i, j] < 0.85 else "black")
    figure.colorbar(image, ax=right, label="score", shrink=0.8)
    settle(figure)
    return figure
