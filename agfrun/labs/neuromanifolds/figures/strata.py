"""Kinds of subnetworks: ranks against the dimension, and which are critically exposed."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TRAINING_GREY, new_figure, settle, styled

_ROW_INCHES, _FRAME_INCHES = 0.26, 0.95
_BAR = 0.27
EXPOSED_COLOUR, HIDDEN_COLOUR = OKABE_ITO[4], OKABE_ITO[5]


@styled()
def plot_ranks(table: pd.DataFrame) -> Figure:
    """Draw for each stratum the rank there, the dimension of its functions and the span of tangent vectors.

    Args:
        table: strata.csv of `study=singularities`.
    """
    figure = new_figure(COLUMN_WIDTH, _FRAME_INCHES + _ROW_INCHES * len(table))
    axes = figure.subplots()
    dimension = int(table["dimension"].iloc[0])
    for offset, column, colour, name in ((-1, "stratum_dimension", TRAINING_GREY, "dimension of the stratum"),
                                         (0, "rank", OKABE_ITO[0], "rank of the Jacobian"),
                                         (1, "union_rank", OKABE_ITO[1], "span of tangent vectors")):
        axes.barh([place + offset * _BAR for place in range(len(table))], table[column].astype(float), height=_BAR,
                  color=colour, label=name, gid=column)
    axes.axvline(dimension, color="black", linewidth=0.8, linestyle=(0, (2, 2)), label=f"dimension {dimension}")
    _name_rows(axes, table)
    axes.set_xlabel("dimensions")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2, alignment="left")
    settle(figure)
    return figure


@styled()
def plot_exposedness(table: pd.DataFrame) -> Figure:
    """Draw a table of coloured cells: of how many of the targets' dimensions each stratum is critical.

    Args:
        table: strata.csv of `study=exposedness`.
    """
    layers, kinds = sorted(set(table["layer"])), list(dict.fromkeys(table["kind"]))
    figure = new_figure(COLUMN_WIDTH, 0.75 + 0.34 * len(layers))
    axes = figure.subplots()
    for row in table.itertuples():
        x, y = kinds.index(row.kind), layers.index(row.layer)
        exposed = row.verdict == "exposed"
        axes.add_patch(_cell(x, y, EXPOSED_COLOUR if exposed else HIDDEN_COLOUR))
        axes.annotate(f"{row.exposed_dimension} of {row.span}", (x, y), ha="center", va="center", fontsize=6.5,
                      fontweight="bold" if exposed else "normal")
    axes.set(xlim=(-0.5, len(kinds) - 0.5), ylim=(len(layers) - 0.5, -0.5))
    axes.set_xticks(range(len(kinds)), kinds)
    axes.set_yticks(range(len(layers)), [f"layer {layer}" for layer in layers])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    handles = [_cell(0, 0, EXPOSED_COLOUR, "exposed"), _cell(0, 0, HIDDEN_COLOUR, "not exposed")]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, alignment="left",
                  title="dimensions of targets with a critical point there", title_fontsize=6.5)
    settle(figure)
    return figure


def _cell(x: float, y: float, colour: str, label: str = "") -> Rectangle:
    return Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, facecolor=colour, edgecolor="none", label=label)


def _name_rows(axes: Axes, table: pd.DataFrame) -> None:
    names = [f"{kind}, layer {layer}" for kind, layer in zip(table["kind"], table["layer"], strict=True)]
    axes.set_yticks(range(len(table)), names)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
