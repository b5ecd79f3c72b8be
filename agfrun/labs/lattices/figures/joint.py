"""The figures of `study=joint`: means against the bars, and defects along the grid of sub-carriers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.lattices.figures.common import LEARNED, UNTRAINED
from agfrun.report.figures.style import OKABE_ITO, TEXT_WIDTH, new_figure, settle, styled
from agfrun.study.study import Saved

_STYLES: dict[str, dict[str, Any]] = {
    "raw": {"color": "0.6", "marker": "o", "label": "as given"},
    "centre": {"color": "0.35", "marker": "s", "label": "LLL of the centre"},
    "mean_gram": {"color": OKABE_ITO[4], "marker": "^", "label": "LLL, mean Gram matrix"},
    "mean_gram_seysen": {"color": OKABE_ITO[3], "marker": "v", "label": "Seysen, mean Gram matrix"},
    "joint_product": {"color": UNTRAINED, "marker": "D", "label": "joint walk, product rule"},
    "joint_learned": {"color": LEARNED, "marker": "P", "label": "joint walk, learned"},
    "site_lll": {"color": OKABE_ITO[2], "marker": "_", "label": "LLL of each site"},
}
# Panels beside one another; of more numbers of taps these are drawn.
_MOST_PANELS = 4


def figures_of_run(saved: Saved) -> Iterator[tuple[str, Figure]]:
    """Names and figures, of the tables that there are."""
    table, sites = saved.tables.get("joint"), saved.tables.get("sites")
    if table is not None and len(table):
        yield "blocks", plot_blocks(table)
    if sites is not None and len(sites):
        yield "grid", plot_grid(sites)


@styled()
def plot_blocks(table: pd.DataFrame) -> Figure:
    """Draw mean log defects against the size of the block, a panel for each number of taps.

    Args:
        table: joint.csv.
    """
    taps = sorted(set(table["taps"]))[:_MOST_PANELS]
    figure = new_figure(TEXT_WIDTH, 2.9)
    panels = figure.subplots(1, len(taps), sharey=True, squeeze=False)[0]
    blocks = sorted(set(table.loc[table["block"] > 1, "block"]))
    for axes, one in zip(panels, taps, strict=True):
        part = table[table["taps"] == one]
        for method, style in _STYLES.items():
            rows = part[(part["method"] == method) & (part["block"] > 1)].sort_values("block")
            if method == "site_lll":
                for value in part.loc[part["method"] == method, "mean"]:
                    axes.axhline(float(value), color=style["color"], linewidth=1, linestyle=(0, (3, 2)),
                                 label=style["label"])
            elif len(rows):
                axes.plot([blocks.index(block) for block in rows["block"]], rows["mean"].astype(float), markersize=4,
                          linewidth=1, **style)
        axes.set_xticks(range(len(blocks)), [str(block) for block in blocks])
        axes.set(title=f"{one} taps", xlabel="sub-carriers in a block", xlim=(-0.4, len(blocks) - 0.6))
    panels[0].set_ylabel("mean log defect")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=6.5)
    settle(figure)
    return figure


@styled()
def plot_grid(table: pd.DataFrame) -> Figure:
    """Draw log defects along the sub-carriers of one channel, a panel for each number of taps.

    Args:
        table: sites.csv.
    """
    taps = sorted(set(table["taps"]))[:_MOST_PANELS]
    figure = new_figure(TEXT_WIDTH, 0.7 + 1.15 * len(taps))
    panels = figure.subplots(len(taps), 1, sharex=True, squeeze=False)[:, 0]
    for axes, one in zip(panels, taps, strict=True):
        for method in ("raw", "centre", "mean_gram", "joint_learned", "site_lll"):
            part = table[(table["taps"] == one) & (table["method"] == method)]
            style = {key: value for key, value in _STYLES[method].items() if key != "marker"}
            axes.plot(part["subcarrier"], part["log_defect"].astype(float), linewidth=1.1, **style)
        axes.set(title=f"{one} taps")
    panels[-1].set_xlabel("sub-carrier")
    panels[len(taps) // 2].set_ylabel("log defect")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=6.5)
    settle(figure)
    return figure
