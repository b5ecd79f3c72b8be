"""What the figures of this laboratory share: names and colours of rows, grids of panels, lines of both accuracies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TEXT_WIDTH, new_figure

COLOURS = {"absolute": "0.45", "cosine": OKABE_ITO[4], "robust": OKABE_ITO[0], "procrustes": OKABE_ITO[2],
           "affine": OKABE_ITO[3], "cca": OKABE_ITO[5]}
PLAIN_STYLE, DENSE_STYLE = (0, (3, 1.5)), "-"
Row = tuple[str, bool]


def row_name(row: Row) -> str:
    """A row in a few letters."""
    return f"{row[0]} + topology" if row[1] else row[0]


def parts_of(table: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    """The part of each transform, without and with densification, in the order of the table."""
    for (transform, topology), part in table.groupby(["transform", "topology"], sort=False):
        yield (str(transform), bool(topology)), part


def panel_grid(count: int, most: int, frame: float, height: float) -> tuple[Figure, npt.NDArray[np.object_]]:
    """A figure with `count` panels in rows of at most `most`, each `height` inches high; those left over are hidden."""
    across, down = min(most, count), math.ceil(count / most)
    figure = new_figure(TEXT_WIDTH if across > 1 else COLUMN_WIDTH, frame + height * down)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels


def draw_accuracies(panels: Iterable[Axes], row: Row, places: Sequence[float], means: pd.DataFrame) -> Line2D:
    """Draw accuracy with own heads (first panel) and others' (second) as lines; returns the row's handle for a legend.

    Args:
        panels: two.
        row: which row.
        places: along the horizontal axis, one for each row of `means`.
        means: with the columns `same` and `stitched`.
    """
    style: dict[str, Any] = {"color": COLOURS[row[0]], "linestyle": DENSE_STYLE if row[1] else PLAIN_STYLE,
                             "marker": "o", "markersize": 3}
    for axes, column in zip(panels, ("same", "stitched"), strict=True):
        axes.plot(places, means[column].astype(float), **style)
    return Line2D([], [], label=row_name(row), **style)
