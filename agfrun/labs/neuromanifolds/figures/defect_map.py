"""Architectures against degrees: the dimension in every cell, its colour the defect."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from agfrun.files.tables import is_missing
from agfrun.report.figures.colours import sequential_colours
from agfrun.report.figures.style import COLUMN_WIDTH, TEXT_WIDTH, new_figure, settle, styled

# Rows of one panel; more go into a panel beside it, and the largest defects are kept where that is not enough.
_MOST_ROWS, _MOST_PANELS = 36, 3
_ROW_INCHES, _FRAME_INCHES = 0.165, 1.05
_MOST_COLOURS = 6
_NO_DEFECT = "0.94"
_FILLS = "#0072B2"


@styled()
def plot_defect_map(table: pd.DataFrame) -> Figure:
    """Draw the dimension of each network, coloured by how far it falls short of the expected one.

    A frame says that the functions fill their ambient space, a dot that no closed form is known. White cells were
    not measured.

    Args:
        table: of `figures.sweep.measured_networks`.
    """
    labels = list(dict.fromkeys(table["label"]))
    shown = _shown(table, labels)
    degrees = sorted(table["degree"].dropna().unique())
    panels = math.ceil(len(shown) / _MOST_ROWS)
    rows = math.ceil(len(shown) / panels)
    wide = panels > 1 or len(degrees) > 7
    figure = new_figure(TEXT_WIDTH if wide else COLUMN_WIDTH, _FRAME_INCHES + _ROW_INCHES * max(rows, 3))
    colours, norm, steps = _colours(int(table["defect"].max()))
    for place, axes in enumerate(figure.subplots(1, panels, squeeze=False).ravel()):
        part = shown[place * rows:(place + 1) * rows]
        _draw(axes, table[table["label"].isin(part)], part, degrees, rows, ListedColormap(colours), norm)
    handles = _legend(table, colours, steps)
    in_one_row = sum(len(str(handle.get_label())) + 4 for handle in handles) < (120 if wide else 58)
    columns = len(handles) if in_one_row else math.ceil(len(handles) / 2)
    # Matplotlib fills a legend column by column; reading goes along the rows.
    ordered = [handle for column in range(columns) for handle in handles[column::columns]]
    figure.legend(handles=ordered, loc="outside upper left", ncols=columns, handlelength=1.0, columnspacing=0.9,
                  title=_title(len(shown), len(labels)), title_fontsize=6.5, alignment="left")
    settle(figure)
    return figure


def _shown(table: pd.DataFrame, labels: list[str]) -> list[str]:
    """All architectures, or those of the largest defects, in their order."""
    most = _MOST_ROWS * _MOST_PANELS
    if len(labels) <= most:
        return labels
    worst = set(table.groupby("label")["defect"].max().nlargest(most, keep="first").index)
    return [label for label in labels if label in worst]


def _title(shown: int, there: int) -> str:
    left_out = "" if shown == there else f"; the {shown} of {there} architectures with the largest defects"
    return f"number: dimension; colour: defect, expected less dimension{left_out}"


def _colours(largest: int) -> tuple[list[str], BoundaryNorm, list[tuple[int, int]]]:
    """Colours of the defects 0, 1, ..., in classes where they are many; the norm, and the first and last of each."""
    if largest < _MOST_COLOURS:
        steps = [(defect, defect) for defect in range(largest + 1)]
    else:
        edges = np.unique(np.geomspace(1, largest + 1, _MOST_COLOURS).round().astype(int))
        steps = [(0, 0), *((int(low), int(high) - 1) for low, high in zip(edges[:-1], edges[1:], strict=True))]
    colours = [_NO_DEFECT, *sequential_colours(len(steps) - 1)]
    norm = BoundaryNorm([first - 0.5 for first, _ in steps] + [steps[-1][1] + 0.5], len(steps))
    return colours, norm, steps


def _draw(axes: Axes, table: pd.DataFrame, labels: list[str], degrees: list[float], rows: int,
          colours: ListedColormap, norm: BoundaryNorm) -> None:
    defects = np.full((len(labels), len(degrees)), np.nan)
    for row in table.to_dict("records"):
        if not is_missing(row["degree"]):
            defects[labels.index(row["label"]), degrees.index(row["degree"])] = row["defect"]
    axes.imshow(np.ma.masked_invalid(defects), cmap=colours, norm=norm, aspect="auto")
    _write(axes, table, labels, degrees, colours, norm)
    axes.set_xticks(range(len(degrees)), [f"{degree:g}" for degree in degrees])
    axes.set_yticks(range(len(labels)), labels)
    # A last panel of fewer rows keeps the height of a row.
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlabel("degree of the activation")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _write(axes: Axes, table: pd.DataFrame, labels: list[str], degrees: list[float], colours: ListedColormap,
           norm: BoundaryNorm) -> None:
    for row in table.to_dict("records"):
        if is_missing(row["degree"]):
            continue
        x, y = degrees.index(row["degree"]), labels.index(row["label"])
        dark = _luminance(colours(norm(row["defect"]))) < 0.45
        axes.text(x, y, f"{int(row['dimension'])}", ha="center", va="center", fontsize=6,
                  color="white" if dark else "black")
        if str(row["filling"]) == "True":
            axes.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, fill=False, edgecolor=_FILLS, linewidth=0.9))
        if is_missing(row["closed_form"]):
            axes.plot(x + 0.36, y, marker="o", markersize=1.8, color="white" if dark else "black", linestyle="none")


def _luminance(colour: tuple[float, float, float, float] | npt.NDArray[np.float64]) -> float:
    red, green, blue = colour[:3]
    return float(0.21 * red + 0.72 * green + 0.07 * blue)


def _legend(table: pd.DataFrame, colours: list[str], steps: list[tuple[int, int]]) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(color=colour, label=f"{first}" if first == last else f"{first} to {last}")
        for colour, (first, last) in zip(colours, steps, strict=True) if table["defect"].between(first, last).any()]
    if (table["filling"].astype(str) == "True").any():
        handles.append(Patch(facecolor="none", edgecolor=_FILLS, label="fills its space"))
    if table["closed_form"].isna().any():
        handles.append(Line2D([], [], marker="o", markersize=1.8, color="black", linestyle="none",
                              label="no closed form"))
    return handles
