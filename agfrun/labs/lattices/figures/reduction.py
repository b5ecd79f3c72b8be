"""The figures of `study=reduction`: means of methods, learned against untrained lattice by lattice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.lattices.figures.common import colour_of, label_of
from agfrun.report.figures.style import COLUMN_WIDTH, TEXT_WIDTH, new_figure, settle, styled
from agfrun.study.study import Saved

# Of excesses: smaller ones are drawn here.
_LEAST = 1e-5


def figures_of_run(saved: Saved) -> Iterator[tuple[str, Figure]]:
    """Names and figures, of the tables that there are."""
    summary, rows = saved.tables.get("summary"), saved.tables.get("reductions")
    if summary is not None and len(summary):
        yield "methods", plot_methods(summary)
    if rows is not None and {"learned", "product_sampled"} <= set(rows["method"]):
        yield "lattices", plot_lattices(rows, "learned", "product_sampled")


@styled()
def plot_methods(table: pd.DataFrame) -> Figure:
    """Draw for each method the mean log defect (left) and its excess over the best basis of any method (right).

    Args:
        table: summary.csv.
    """
    part = table[table["mean"].notna()]
    names = part["method"].tolist()
    figure = new_figure(TEXT_WIDTH, 0.7 + 0.19 * len(names))
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(names))
    colours = [colour_of(name) for name in names]
    errors = part["standard_error"].fillna(0).to_numpy(float)
    left.barh(places, part["mean"].to_numpy(float), xerr=1.96 * errors, color=colours, height=0.7,
              error_kw={"linewidth": 0.8})
    excess = part["above_best"].to_numpy(float)
    right.scatter(np.maximum(excess, _LEAST), places, c=colours, s=22, zorder=3)
    right.hlines(places, _LEAST, np.maximum(excess, _LEAST), colors=colours, linewidth=1.2)
    right.set(xscale="log", xlim=(0.6 * _LEAST, 2 * max(float(excess.max()), 10 * _LEAST)),
              xlabel=f"mean excess over the best ({_LEAST:g} or less at the left)")
    left.set_yticks(places, [label_of(name) for name in names])
    left.set(ylim=(len(names) - 0.4, -0.6), xlabel="mean log defect, with 95% intervals")
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
    settle(figure)
    return figure


@styled()
def plot_lattices(table: pd.DataFrame, method: str, against: str) -> Figure:
    """Draw two methods lattice by lattice.

    Args:
        table: reductions.csv.
        method: on the vertical axis.
        against: on the horizontal one.
    """
    wide = table[table["method"].isin([method, against])].pivot_table(
        index="lattice", columns="method", values="log_defect").astype(float)
    x, y = wide[against].to_numpy(), wide[method].to_numpy()
    figure = new_figure(COLUMN_WIDTH, 3.3)
    axes = figure.subplots()
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.05 * (high - low) or 0.1
    axes.plot([low - margin, high + margin], [low - margin, high + margin], color="0.6", linewidth=0.8, zorder=1)
    axes.scatter(x, y, s=6, color=colour_of(method), alpha=0.5, linewidths=0, zorder=2)
    axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal",
             xlabel=f"log defect, {label_of(against)}", ylabel=f"log defect, {label_of(method)}")
    lower, higher = np.mean(y < x - 1e-9), np.mean(y > x + 1e-9)
    axes.set_title(f"lower on {lower:.1%}, higher on {higher:.1%}")
    settle(figure)
    return figure
