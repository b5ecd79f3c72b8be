"""The pinch of a neuromanifold at a subnetwork, in three dimensions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, new_figure, settle, styled


@styled()
def plot_pinch(table: pd.DataFrame) -> Figure:
    """Draw the surface of functions through a subnetwork, which is the point in its middle.

    Args:
        table: pinch.csv of `study=singularities`.
    """
    rows = table["outgoing"].nunique()
    x, y, z = (table[name].to_numpy(float).reshape(rows, -1) for name in ("first", "second", "third"))
    figure = new_figure(COLUMN_WIDTH, 2.9)
    axes = figure.add_subplot(projection="3d")
    half = rows // 2
    for part, colour in ((slice(0, half + 1), OKABE_ITO[5]), (slice(half, rows), OKABE_ITO[4])):
        axes.plot_wireframe(x[part], y[part], z[part], color=colour, linewidth=0.45, rcount=8, ccount=24)
    axes.scatter([0], [0], [0], color="black", s=14, depthshade=False)
    for name in ("x", "y", "z"):
        getattr(axes, f"set_{name}ticks")([])
    # Flat surfaces are stretched a little, so that there is something to see.
    longest = max(float(np.ptp(one)) for one in (x, y, z))
    axes.set_box_aspect([max(float(np.ptp(one)), 0.45 * longest) for one in (x, y, z)], zoom=1.3)
    axes.view_init(elev=24, azim=-58)
    axes.set_title("functions around a subnetwork (black),\nalong three directions of function space", fontsize=7)
    axes.plot([], [], color=OKABE_ITO[4], label="outgoing weight above 0")
    axes.plot([], [], color=OKABE_ITO[5], label="below 0")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    settle(figure)
    return figure
