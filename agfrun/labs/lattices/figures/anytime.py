"""The figures of `study=anytime`: defect against moves and against multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.lattices.figures.common import LEARNED, UNTRAINED, label_of
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled
from agfrun.study.study import Saved

_CLASSICAL = {"greedy": "0.7", "seysen": "0.5", "lll_99": "0.25"}
_MOST_NAMES = 16
# Of excesses: smaller ones are drawn here.
_LEAST = 1e-4
_DASHES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 1, 1, 1, 1, 1)), (0, (9, 2.5)))


def figures_of_run(saved: Saved) -> Iterator[tuple[str, Figure]]:
    """Names and figures, of the tables that there are."""
    curves = saved.tables.get("curves")
    if curves is not None and len(curves):
        yield "anytime", plot_anytime(curves)


@styled()
def plot_anytime(table: pd.DataFrame) -> Figure:
    """Draw the mean log defect of the best basis so far against moves (left) and multiply-adds (right).

    Its excess over the proven optimum, of the lattices where it is known; if it is for none, the mean itself.

    Args:
        table: curves.csv.
    """
    figure = new_figure(TEXT_WIDTH, 3.1)
    panels = figure.subplots(1, 2, sharey=True)
    handles = []
    known = bool(table["above_optimum"].notna().all())
    table = table.assign(shown=np.maximum(table["above_optimum" if known else "mean"].astype(float), _LEAST))
    for method, style in styles_of(list(dict.fromkeys(table["method"]))).items():
        part = table[(table["method"] == method) & (table["moves"] > 0)]
        for axes, column in zip(panels, ("moves", "work"), strict=True):
            line, = axes.plot(part[column].astype(float), part["shown"], **style)
        handles.append(line)
    panels[0].set(xscale="log", yscale="log", xlabel="moves",
                  ylabel="mean log defect" + " less the optimum" * known)
    panels[1].set(xscale="log", xlabel="multiply-adds, in thousands")
    # More than these have no room; the first of each kind are named.
    figure.legend(handles=handles[:_MOST_NAMES], loc="outside right upper", fontsize=6.5)
    settle(figure)
    return figure


def styles_of(methods: list[str]) -> dict[str, dict[str, Any]]:
    """A colour, line and label for each method; of many untrained walks the label is the temperature."""
    found: dict[str, dict[str, Any]] = {}
    for method in methods:
        if method in _CLASSICAL:
            style: dict[str, Any] = {"color": _CLASSICAL[method], "linestyle": "-", "label": label_of(method)}
        elif method.startswith("product_"):
            place = sum(other.startswith("product_") for other in found)
            style = {"color": UNTRAINED, "linestyle": _DASHES[place % len(_DASHES)], "linewidth": 1.0,
                     "label": f"product rule, t = {method.removeprefix('product_')}"}
        else:
            place = sum(other.startswith("learned_") for other in found)
            style = {"color": LEARNED if place < len(_DASHES) else OKABE_ITO[3],
                     "linestyle": _DASHES[place % len(_DASHES)], "linewidth": 1.5,
                     "label": f"learned, {method.removeprefix('learned_').replace('_', ' ')[-20:]}"}
        found[method] = style
    return found
