"""Critical points: on the loss surface, how many are real, and which of their losses training ends at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from agfrun.files.tables import is_missing
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TRAINING_GREY, new_figure, settle, styled

MARKS = {"minimum": ("o", OKABE_ITO[0]), "index 1": ("D", OKABE_ITO[1]), "index 2": ("^", OKABE_ITO[2]),
         "higher index": ("v", OKABE_ITO[4]), "degenerate": ("s", OKABE_ITO[3])}
_TICKS = {-90: r"$-\infty$", -71.565: "-3", -45: "-1", 0: "0", 45: "1", 71.565: "3", 90: r"$\infty$"}
_LEVELS = 13


@styled()
def plot_surface(surface: pd.DataFrame, points: pd.DataFrame) -> Figure:
    """Draw the loss over the inner weights, the outer ones at their best, with all real critical points.

    The axes are angles, so that they show all weights, and both ends are one point.

    Args:
        surface: surface.csv.
        points: points.csv.
    """
    flat = bool((surface["second"] == 0).all())
    figure = new_figure(COLUMN_WIDTH, 2.3 if flat else 3.3)
    axes = figure.subplots()
    if flat:
        axes.plot(surface["first"], surface["loss"], color=TRAINING_GREY, linewidth=1.2, zorder=1)
        axes.set_ylabel("least loss")
    else:
        _contours(figure, axes, surface)
    _mark(axes, points, "loss" if flat else "second")
    _set_axes(axes, flat)
    handles = _handles(points)
    figure.legend(handles=handles, loc="outside upper left", ncols=3 if len(handles) <= 3 else 2, alignment="left",
                  columnspacing=0.9, handletextpad=0.3)
    settle(figure)
    return figure


def _contours(figure: Figure, axes: Axes, surface: pd.DataFrame) -> None:
    table = surface.pivot(index="second", columns="first", values="loss")
    losses = table.to_numpy()
    # As much of the plane between two lines as between any others: losses differ most where the plane is small.
    levels = np.unique(np.quantile(losses, np.linspace(0, 1, _LEVELS)))
    norm = BoundaryNorm(levels, 256)
    drawn = axes.contourf(table.columns, table.index, losses, levels=levels, cmap="Greys_r", norm=norm)
    axes.contour(table.columns, table.index, losses, levels=levels, colors="0.55", linewidths=0.3)
    bar = figure.colorbar(drawn, ax=axes, format="%.3g", ticks=levels[::3], pad=0.02)
    bar.set_label("least loss over the last layer")


def _kinds(points: pd.DataFrame) -> pd.Series[str]:
    """By the index."""
    names = list(MARKS)
    return points["index"].map(lambda index: names[-1] if is_missing(index) else names[min(int(index), 3)])


def _mark(axes: Axes, points: pd.DataFrame, height: str) -> None:
    for kind, (marker, colour) in MARKS.items():
        part = points[_kinds(points) == kind]
        for spurious, chosen in part.groupby(part["pure"].astype(str) != "True"):
            axes.plot(chosen["first"], chosen[height], linestyle="none", marker=marker, markersize=4.5, zorder=3,
                      markerfacecolor="white" if spurious else colour, markeredgecolor=colour if spurious else "white",
                      markeredgewidth=1.1 if spurious else 0.5, gid=f"{kind}{':spurious' if spurious else ''}")


def _handles(points: pd.DataFrame) -> list[Line2D]:
    handles = []
    for kind, (marker, colour) in MARKS.items():
        part = points[_kinds(points) == kind]
        for spurious in sorted(set(part["pure"].astype(str) != "True")):
            handles.append(Line2D([], [], linestyle="none", marker=marker, markersize=4.5, markeredgecolor=colour,
                                  markerfacecolor="white" if spurious else colour,
                                  label=f"{kind}{', spurious' if spurious else ''}"))
    return handles


def _set_axes(axes: Axes, flat: bool) -> None:
    axes.set(xlim=(-90, 90), xlabel="first inner weight")
    axes.set_xticks(list(_TICKS), list(_TICKS.values()))
    if not flat:
        axes.set(ylim=(-90, 90), ylabel="second inner weight")
        axes.set_yticks(list(_TICKS), list(_TICKS.values()))


@styled()
def plot_real_counts(table: pd.DataFrame) -> Figure:
    """Draw how many data sets have so many real critical points, and on average of which kinds.

    Args:
        table: real_counts.csv.
    """
    figure = new_figure(COLUMN_WIDTH, 2.2)
    axes = figure.subplots()
    counts = table.groupby("real").agg(datasets=("dataset", "size"), minima=("minima", "sum"),
                                       saddles=("saddles", "sum")).reset_index()
    # Each bar is split as its points are: the height is the number of data sets.
    points = (counts["real"] * counts["datasets"]).clip(lower=1)
    shares, others = counts["minima"] / points, counts["saddles"] / points
    below = np.zeros(len(counts))
    width = 0.8
    for share, colour, name in ((shares, OKABE_ITO[0], "minima"), (others, OKABE_ITO[1], "others"),
                                (1 - shares - others, TRAINING_GREY, "no certain index")):
        heights = (share * counts["datasets"]).to_numpy()
        if heights.max() > 1e-9:
            axes.bar(counts["real"], heights, bottom=below, width=width, color=colour, label=f"share of {name}",
                     gid=name)
        below += heights
    axes.set(xlabel="real critical points", ylabel="data sets", ylim=(0, 1.12 * float(counts["datasets"].max())))
    low, high = int(counts["real"].min()), int(counts["real"].max())
    axes.set_xlim(low - 1, high + 1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3, alignment="left")
    settle(figure)
    return figure


@styled()
def plot_critical_values(points: pd.DataFrame, descents: pd.DataFrame | None) -> Figure:
    """Draw the loss of each critical point by its index, beside how many random starts end at which loss.

    Args:
        points: points.csv.
        descents: descents.csv; None: no start was followed.
    """
    followed = descents is not None and len(descents) > 0
    figure = new_figure(COLUMN_WIDTH, 2.5)
    left, *more = figure.subplots(1, 1 + followed, sharey=True, squeeze=False,
                                  width_ratios=[1.4, 1][:1 + followed])[0]
    known = points[points["index"].notna()]
    for spurious, part in known.groupby(known["pure"].astype(str) != "True"):
        left.plot(part["index"].astype(float), part["loss"], linestyle="none", marker="o", markersize=4.5,
                  color=OKABE_ITO[1] if spurious else OKABE_ITO[0], alpha=0.85, gid="spurious" if spurious else "pure",
                  markeredgewidth=0, label="spurious" if spurious else "pure")
    left.set(xlabel="index", ylabel="loss", xlim=(-0.5, float(known["index"].max() if len(known) else 0) + 0.5))
    left.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    left.grid(axis="y", color="0.92", linewidth=0.5)
    if followed:
        assert descents is not None
        _ends(more[0], descents, points)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2, alignment="left",
                  title="critical points, and where gradient flow ends" if followed else "critical points",
                  title_fontsize=6.5)
    settle(figure)
    return figure


def _ends(axes: Any, descents: pd.DataFrame, points: pd.DataFrame) -> None:
    reached = descents[descents["point"].notna()]
    losses = dict(zip(points["point"].astype(int), points["loss"], strict=True))
    counted = reached["point"].astype(int).value_counts()
    every = [*points["loss"], *descents["loss"]]
    height = 0.02 * (max(every) - min(every)) or 1.0
    axes.barh([losses[point] for point in counted.index], counted, color=OKABE_ITO[0], gid="reached", height=height)
    zero = descents[descents["end"] == "zero"]
    if len(zero):
        axes.barh(zero["loss"].mean(), len(zero), color=TRAINING_GREY, height=height, gid="zero", label="function 0")
    for end, marker, label in (("subnetwork", "+", "smaller networks"), ("none", "x", "none of these")):
        part = descents[descents["end"] == end]
        if len(part):
            axes.plot(np.full(len(part), 0.5), part["loss"], linestyle="none", marker=marker, markersize=4.5,
                      color="0.35", gid=end, label=label)
    if (descents["end"] != "point").any():
        axes.legend(loc="lower right", fontsize=6, bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1)
    axes.set(xlabel="random starts", xlim=(0, 1.1 * float(max(counted.max() if len(counted) else 0, len(zero), 1))))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    axes.grid(axis="y", color="0.92", linewidth=0.5)
