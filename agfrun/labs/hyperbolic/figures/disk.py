"""The Delaunay graph in the Poincare disk: hyperbolic geodesics, edges within a set and between sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from agfrun.report.figures.style import COLUMN_WIDTH, MOST_VECTOR_LINES, feature_colours, new_figure, settle, styled

BETWEEN = "0.6"
# Points on an arc.
_STEPS = 24


def geodesics(a: np.ndarray, b: np.ndarray, steps: int = _STEPS) -> np.ndarray:
    """(n, steps, 2) points on the geodesics from a to b, both (n, 2) in the Poincare disk.

    They are straight in the Klein model, k = 2 p / (1 + |p|^2), and are brought back from there.
    """
    ends = [2 * p / (1 + np.sum(p**2, axis=1, keepdims=True)) for p in (a, b)]
    # Towards the boundary evenly spaced points of a chord would leave its ends without any.
    share = (1 - np.cos(np.linspace(0, np.pi, steps))) / 2
    k = ends[0][:, None] + share[None, :, None] * (ends[1] - ends[0])[:, None]
    gap = np.maximum(0, 1 - np.sum(k**2, axis=2, keepdims=True))
    return np.asarray(k / (1 + np.sqrt(gap)))


@styled()
def plot_disk(points: pd.DataFrame, edges: pd.DataFrame) -> Figure:
    """Draw points.csv and edges.csv of a plane."""
    labels = list(dict.fromkeys(points["label"]))
    colours = feature_colours(labels)
    rows = -(-(len(labels) + 1) // 3)
    figure = new_figure(COLUMN_WIDTH, COLUMN_WIDTH + 0.17 * rows)
    axes = figure.add_subplot(aspect="equal", xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
    axes.set_axis_off()
    axes.add_patch(Circle((0, 0), 1, fill=False, color="0.5", linewidth=0.8))
    p = points[["x", "y"]].to_numpy(float)
    i, j = edges["i"].to_numpy(int), edges["j"].to_numpy(int)
    names = points["label"].to_numpy(str)
    same = names[i] == names[j]
    arcs = geodesics(p[i], p[j])
    width = float(np.clip(12 / np.sqrt(len(edges)), 0.25, 0.7))
    drawn = [(arcs[~same], BETWEEN, width)] + [(arcs[same & (names[i] == label)], colours[label], width)
                                             for label in labels]
    for lines, colour, width in drawn:
        axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=width,
                                           rasterized=len(edges) > MOST_VECTOR_LINES))
    size = float(np.clip(60 / np.sqrt(len(points)), 1, 5))
    for label in labels:
        axes.plot(*p[names == label].T, "o", color=colours[label], markersize=size, markeredgewidth=0)
    handles = [Line2D([], [], color=colours[label], marker="o", markersize=4, linewidth=0.8, label=label)
               for label in labels] + [Line2D([], [], color=BETWEEN, linewidth=1, label="between sets")]
    figure.legend(handles=handles, loc="outside upper left", ncols=3, alignment="left", fontsize="small")
    settle(figure)
    return figure
