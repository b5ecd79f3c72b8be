"""The figures of a run: accuracies, matrices, death times, representations in the plane, disturbances."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from agfrun.labs.stitching.figures.common import draw_accuracies, panel_grid, parts_of, row_name
from agfrun.report.figures.style import COLUMN_WIDTH, OKABE_ITO, TEXT_WIDTH, TRAINING_GREY, new_figure, settle, styled
from agfrun.study.study import Saved

# Larger matrices have colours alone.
_MOST_NUMBERS = 6
_ACROSS, _MORE_ACROSS = 3, 5
_BINS = 40


def figures_of_run(saved: Saved) -> Iterator[tuple[str, Figure]]:
    """Names and figures, of the tables that there are."""
    for name, table, plot in (("accuracies", "summary", plot_accuracies), ("matrices", "stitching", plot_matrices),
                              ("disturbance", "disturbance", plot_disturbance), ("plane", "plane", plot_plane)):
        if table in saved.tables and len(saved.tables[table]):
            yield name, plot(saved.tables[table])
    if "deaths" in saved.tables and len(saved.tables["deaths"]):
        yield "deaths", plot_deaths(saved.tables["deaths"], float(saved.config["topology"]["beta"]))


@styled()
def plot_accuracies(table: pd.DataFrame) -> Figure:
    """Draw for each row the accuracy with the own head and with others', as it is and after a disturbance.

    Args:
        table: summary.csv.
    """
    figure = new_figure(COLUMN_WIDTH, 0.95 + 0.2 * len(table))
    axes = figure.subplots()
    places = np.arange(len(table))
    low, high = (table[name].fillna(table["stitched"]).to_numpy(float) for name in ("stitched_low", "stitched_high"))
    axes.hlines(places, table["stitched"].astype(float), table["same"].astype(float), color="0.85", linewidth=2.5)
    axes.hlines(places, low, high, color="black", linewidth=0.8)
    for column, marker, colour, face, label in (
            ("same", "o", OKABE_ITO[0], OKABE_ITO[0], "own head"),
            ("stitched", "D", OKABE_ITO[1], OKABE_ITO[1], "another network's head"),
            ("disturbed_stitched", "D", OKABE_ITO[1], "none", "... latents disturbed")):
        axes.plot(table[column].astype(float), places, marker, color=colour, markerfacecolor=face, markersize=4.5,
                  label=label)
    axes.axvline(float(table["majority"].iloc[0]), color="black", linewidth=0.8, linestyle=(0, (2, 2)),
                 label="most frequent class")
    axes.set_yticks(places, [row_name((row.transform, bool(row.topology))) for row in table.itertuples()])
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(table) - 0.5, -0.5), xlabel="test accuracy, with 95% intervals")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2, alignment="left")
    settle(figure)
    return figure


@styled()
def plot_matrices(table: pd.DataFrame) -> Figure:
    """Draw the stitching matrix of each row, means over seeds, in one scale of colours.

    Args:
        table: stitching.csv.
    """
    rows = list(parts_of(table))
    names = list(dict.fromkeys(table["encoder"]))
    most = _ACROSS if len(rows) <= 2 * _ACROSS else _MORE_ACROSS
    figure, panels = panel_grid(len(rows), most, 0.5, 2.1 if most == _ACROSS else 1.5)
    for axes, (row, part) in zip(panels, rows, strict=False):
        values = part.pivot_table(index="encoder", columns="head", values="accuracy").loc[names, names].to_numpy(float)
        picture = axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        axes.set_title(row_name(row))
        axes.set_xticks(range(len(names)), names, rotation=0 if max(map(len, names)) < 4 and len(names) <= 10 else 90)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0, labelsize=6.5 if len(names) <= 10 else 4.5)
        if len(names) <= _MOST_NUMBERS:
            for (i, j), value in np.ndenumerate(values):
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=5.5,
                          color="white" if value < 0.55 else "black")
    panels[0].set_ylabel("encoder")
    panels[0].set_xlabel("head")
    figure.colorbar(picture, ax=list(panels), label="test accuracy", shrink=0.6, pad=0.02, ticks=[0, 0.5, 1])
    settle(figure)
    return figure


@styled()
def plot_disturbance(table: pd.DataFrame) -> Figure:
    """Draw accuracy against the spread of random scales: own head (left) and others' (right).

    Args:
        table: disturbance.csv.
    """
    figure = new_figure(TEXT_WIDTH, 2.6)
    panels = figure.subplots(1, 2, sharey=True)
    handles = []
    for row, part in parts_of(table):
        means = part.groupby("spread")[["same", "stitched"]].mean()
        handles.append(draw_accuracies(panels, row, means.index.to_numpy(float).tolist(), means))
    panels[0].set(ylim=(0, 1), ylabel="test accuracy", title="own head")
    panels[1].set(title="another network's head")
    for axes in panels:
        axes.set_xlabel("spread of the logarithm of scales")
    figure.legend(handles=handles, loc="outside right upper")
    settle(figure)
    return figure


@styled()
def plot_deaths(table: pd.DataFrame, beta: float) -> Figure:
    """Draw the distribution of death times within classes, without and with densification.

    Args:
        table: deaths.csv.
        beta: what densification pushes death times to.
    """
    keys = [(str(transform), str(space)) for transform, space in dict.fromkeys(zip(
        table["transform"], table["space"], strict=True))]
    figure, panels = panel_grid(len(keys), _ACROSS, 0.45, 1.55)
    for axes, (transform, space) in zip(panels, keys, strict=False):
        part = table[(table["transform"] == transform) & (table["space"] == space)]
        # A few long edges would squeeze all others into one bar.
        last = max(2 * beta, float(part["death"].quantile(0.98)))
        bins = np.linspace(0, last, _BINS).tolist()
        for dense, colour, label in ((False, TRAINING_GREY, "without"), (True, OKABE_ITO[1], "with densification")):
            deaths = part.loc[part["topology"] == dense, "death"].to_numpy(float)
            if len(deaths):
                axes.hist(deaths, bins=bins, weights=np.full(len(deaths), 1 / len(deaths)), color=colour, label=label,
                          alpha=0.75)
        axes.axvline(beta, color="black", linewidth=0.8, linestyle=(0, (2, 2)), label="beta")
        axes.set_title(f"{transform}: {'latents' if space == 'latent' else 'relative representations'}")
        axes.set(xlabel="death time", xlim=(0, last))
        axes.xaxis.set_major_locator(MaxNLocator(5, prune="upper"))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    panels[0].set_ylabel("share")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, alignment="left")
    settle(figure)
    return figure


@styled()
def plot_plane(table: pd.DataFrame) -> Figure:
    """Draw test samples of two networks in the plane of their common principal directions; colours are classes.

    Args:
        table: plane.csv.
    """
    rows = list(parts_of(table))
    figure, panels = panel_grid(len(rows), _ACROSS, 0.45, 2.0)
    names = list(dict.fromkeys(table["encoder"]))
    for axes, (row, part) in zip(panels, rows, strict=False):
        _scatter(axes, part, names)
        axes.set_title(row_name(row))
        axes.set_xticks([])
        axes.set_yticks([])
    handles = [Line2D([], [], color="0.3", marker=marker, linestyle="none", markersize=4, label=f"encoder {name}",
                      markerfacecolor="0.3" if marker == "o" else "none")
               for name, marker in zip(names, ("o", "^"), strict=False)]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, title="colours: classes", alignment="left",
                  title_fontsize=6.5)
    settle(figure)
    return figure


def _scatter(axes: Axes, part: pd.DataFrame, names: list[str]) -> None:
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.95, 1 + int(part["label"].max())))
    for name, marker in zip(names, ("o", "^"), strict=False):
        one = part[part["encoder"] == name]
        shades = colours[one["label"].to_numpy(int)]
        axes.scatter(one["x"].astype(float), one["y"].astype(float), s=7, marker=marker, linewidths=0.6,
                     edgecolors=shades, facecolors=shades if marker == "o" else "none")
