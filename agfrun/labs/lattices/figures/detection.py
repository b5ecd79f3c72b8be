"""The figure of `study=detection`: error rates against the signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.lattices.figures.common import LABELS, LEARNED, UNTRAINED
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled
from agfrun.study.study import Saved

_COLOURS = {"lll_99": "0.35", "lll_greedy": OKABE_ITO[4], "seysen_support": OKABE_ITO[3], "learned": LEARNED,
            "minima": OKABE_ITO[2]}
_PLAIN: dict[str, dict[str, Any]] = {
    "zf": {"color": "0.65", "linestyle": "-"}, "mmse": {"color": "0.65", "linestyle": "-"},
    "ml": {"color": "black", "linestyle": (0, (3, 1.5))}}


def figures_of_run(saved: Saved) -> Iterator[tuple[str, Figure]]:
    """Names and figures, of the tables that there are."""
    table = saved.tables.get("ber")
    if table is not None and len(table):
        yield "error_rates", plot_error_rates(table)


@styled()
def plot_error_rates(table: pd.DataFrame) -> Figure:
    """Draw vector error rates with their intervals: zero forcing (left), MMSE (right), maximum likelihood in both.

    Args:
        table: ber.csv.
    """
    figure = new_figure(TEXT_WIDTH, 3.1)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, base, title in zip(panels, ("zf", "mmse"), ("zero forcing", "MMSE"), strict=True):
        for name in dict.fromkeys(table["detector"]):
            method = name.removeprefix(f"{base}_")
            if name not in (base, "ml") and method == name:
                continue
            part = table[(table["detector"] == name) & (table["vector_errors"] > 0)].sort_values("snr_db")
            style = _PLAIN.get(name) or {"color": _COLOURS.get(method, UNTRAINED), "linestyle": "-"}
            label = {base: "as given", "ml": "maximum likelihood"}.get(name, LABELS.get(method, method))
            axes.plot(part["snr_db"], part["vector_error_rate"].astype(float), marker="o", markersize=2.5,
                      linewidth=1.1, label=label, **style)
            axes.fill_between(part["snr_db"], part["low"].astype(float), part["high"].astype(float), alpha=0.15,
                              color=style["color"], linewidth=0)
        axes.set(title=title, yscale="log", xlabel="signal-to-noise ratio, dB")
    panels[0].set_ylabel("vector error rate, with 95% intervals")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=6.5)
    settle(figure)
    return figure
