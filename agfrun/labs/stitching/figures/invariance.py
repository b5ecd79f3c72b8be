"""Which actions change outputs and representations, by activation: a table of coloured cells."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled

_DIGITS = 16


@styled()
def plot_invariance(table: pd.DataFrame) -> Figure:
    """Draw the size of changes as powers of ten; cells of actions in the activation's group have a frame.

    Args:
        table: invariance.csv.
    """
    activations, actions = (list(dict.fromkeys(table[name])) for name in ("activation", "action"))
    figure = new_figure(TEXT_WIDTH, 1.1 + 0.27 * len(activations))
    panels = figure.subplots(1, 3, sharey=True)
    columns = [("outputs", table.drop_duplicates(["activation", "action"]), "output_change"),
               *((f"{name} representations", table[table["transform"] == name], "representation_change")
                 for name in ("cosine", "robust"))]
    for axes, (title, part, column) in zip(panels, columns, strict=True):
        _cells(axes, part, column, activations, actions)
        axes.set_title(title)
    panels[0].set_yticks(range(len(activations)), [name.replace("_", " ") for name in activations])
    handles = [Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=OKABE_ITO[1], linewidth=1.2,
                         label="in the intertwiner group of the activation")]
    figure.legend(handles=handles, loc="outside upper left", alignment="left",
                  title="relative change by an action, as a power of ten", title_fontsize=6.5)
    settle(figure)
    return figure


def _cells(axes: Axes, part: pd.DataFrame, column: str, activations: list[str], actions: list[str]) -> None:
    norm, colours = Normalize(-_DIGITS, 0), matplotlib.colormaps["cividis"]
    for row in part.to_dict("records"):
        x, y = actions.index(row["action"]), activations.index(row["activation"])
        size = max(-_DIGITS, math.log10(row[column])) if row[column] > 0 else -_DIGITS
        axes.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, facecolor=colours(norm(min(size, 0.0))),
                                 edgecolor=OKABE_ITO[1] if row["in_group"] else "none", linewidth=1.2))
        axes.text(x, y, f"{round(size):d}" if row[column] > 0 else "0", ha="center", va="center", fontsize=6,
                  color="white" if norm(size) < 0.55 else "black")
    axes.set(xlim=(-0.55, len(actions) - 0.45), ylim=(len(activations) - 0.5, -0.5))
    axes.set_xticks(np.arange(len(actions)), [name.replace(" ", "\n") for name in actions], fontsize=5.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
