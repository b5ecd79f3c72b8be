"""The figures of a run: frames with what is said of them, grids, errors on the way, and the split."""

from __future__ import annotations

import math
from collections.abc import Iterator

import matplotlib.colors
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agfrun.labs.interaction.splits import otsu_threshold
from agfrun.report.figures.style import (
    COLUMN_WIDTH,
    OKABE_ITO,
    TEXT_WIDTH,
    feature_colours,
    new_figure,
    settle,
    styled,
)
from agfrun.study.study import Saved

_ACROSS, _MOST_FRAMES = 6, 12
_BINS = 40
AGENT_COLOUR, OBJECT_COLOUR, PREDICTED = OKABE_ITO[0], OKABE_ITO[1], "black"
# Half the length of the line of a direction, in parts of the field.
_LINE = 0.12


def figures_of_run(saved: Saved) -> Iterator[tuple[str, Figure]]:
    """Names and figures, of the tables that there are."""
    errors = saved.tables.get("errors")
    if errors is not None and errors["isometry_error"].notna().any():
        yield "errors", plot_errors(errors)
    places = saved.tables.get("places")
    if places is not None and len(places) and "frames" in saved.arrays and places["agent_row"].notna().any():
        yield "frames", plot_frames(places, saved.arrays["frames"])
    if "grid" in saved.tables and len(saved.tables["grid"]):
        yield "grid", plot_grids(saved.tables["grid"])
    if "distances" in saved.tables and len(saved.tables["distances"]):
        yield "split", plot_split(saved.tables["distances"], saved.config["study"]["split"])


@styled()
def plot_errors(table: pd.DataFrame) -> Figure:
    """Draw the isometry error of each method against steps: a line for each seed, the mean thick; a constant dotted.

    Args:
        table: errors.csv.
    """
    methods = list(dict.fromkeys(table["method"]))
    colours = feature_colours(methods)
    figure = new_figure(COLUMN_WIDTH, 2.2 + 0.15 * math.ceil(len(methods) / 3))
    axes = figure.subplots()
    for method in methods:
        part = table[table["method"] == method].dropna(subset=["isometry_error"])
        if part["step"].nunique() == 1:
            axes.axhline(float(part["isometry_error"].mean()), color=colours[method], linestyle=(0, (4, 2)))
            continue
        for _, one in part.groupby("seed"):
            axes.plot(one["step"].astype(float), one["isometry_error"].astype(float), color=colours[method], alpha=0.35,
                      linewidth=0.7)
        mean = part.groupby("step")["isometry_error"].mean()
        axes.plot(mean.index.to_numpy(float), mean.to_numpy(float), color=colours[method], linewidth=1.5)
    axes.set(yscale="log", xlabel="steps of training", ylabel="isometry error")
    figure.legend(handles=[Line2D([], [], color=colours[method], label=method.replace("_", " ")) for method in methods],
                  loc="outside upper left", ncols=3, alignment="left")
    settle(figure)
    return figure


@styled()
def plot_frames(table: pd.DataFrame, frames: npt.NDArray[np.float64]) -> Figure:
    """Draw held-out images, and on them where the first method says that agent and object are.

    The one translation that suits all held-out states best, for agent and object together, is taken off.

    Args:
        table: places.csv; its first rows are of the frames.
        frames: images, shape (n, channels, height, width).
    """
    part = table[table["method"] == table["method"].iloc[0]]
    true, said = (part[[f"{name}{code}_{axis}" for name in ("agent", "object") for axis in ("row", "column")]
                       ].to_numpy(float) for code in ("", "_code"))
    said = said - np.tile((said - true).reshape(-1, 2).mean(0), 2)
    count = min(_MOST_FRAMES, len(frames), len(part))
    down = math.ceil(count / _ACROSS)
    figure = new_figure(TEXT_WIDTH if count > 3 else COLUMN_WIDTH, 0.4 + 1.2 * down)
    panels = figure.subplots(down, min(_ACROSS, count), squeeze=False).ravel()
    for axes in panels:
        axes.axis("off")
    for place, axes in enumerate(panels[:count]):
        _frame(axes, frames[place], said[place], part["angle"].iloc[place])
    handles = [Line2D([], [], linestyle="none", marker="s", markersize=5, color=colour, label=label)
               for colour, label in ((AGENT_COLOUR, "agent"), (OBJECT_COLOUR, "object"))]
    handles += [Line2D([], [], linestyle="none", marker=marker, markersize=6, color=PREDICTED, markerfacecolor="none",
                       label=label) for marker, label in (("+", "agent, as said"), ("x", "object, as said"))]
    figure.legend(handles=handles, loc="outside upper left", ncols=4 if count > 3 else 2, alignment="left")
    settle(figure)
    return figure


def _frame(axes: Axes, frame: npt.NDArray[np.float64], said: npt.NDArray[np.float64], angle: float) -> None:
    size = np.array(frame.shape[1:])
    axes.imshow(_picture(frame), interpolation="nearest")
    for point, marker in zip(said.reshape(2, 2) * size, ("+", "x"), strict=True):
        axes.plot(point[1], point[0], marker, color=PREDICTED, markersize=7, markeredgewidth=1.2)
    if not np.isnan(angle):
        reach = _LINE * np.array([np.cos(angle), np.sin(angle)]) * size
        ends = said[2:] * size + np.outer((-1, 1), reach)
        axes.plot(ends[:, 1], ends[:, 0], color=PREDICTED, linewidth=1)
    axes.set(xlim=(-0.5, size[1] - 0.5), ylim=(size[0] - 0.5, -0.5))


def _picture(frame: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The channels of an image in their colours on white: the first two, and a pale background of all others."""
    picture = np.full((*frame.shape[1:], 3), 0.97)
    for place in range(len(frame) - 1, -1, -1):
        colour = (AGENT_COLOUR, OBJECT_COLOUR, "0.85")[min(place, 2)]
        share = np.clip(frame[place], 0, 1)[..., None]
        picture = picture * (1 - share) + share * np.array(matplotlib.colors.to_rgb(colour))
    return picture


@styled()
def plot_grids(table: pd.DataFrame) -> Figure:
    """Draw what each method says of places on a grid, which should stay one: the agent's above, the object's below.

    Args:
        table: grid.csv.
    """
    methods = list(dict.fromkeys(table["method"]))
    shown = [name for name in methods if table.loc[table["method"] == name, "code_row"].nunique() > 1] or methods[:1]
    shown = shown[:_ACROSS]
    figure = new_figure(TEXT_WIDTH if len(shown) > 2 else COLUMN_WIDTH, 0.8 + 2 * min(1.5, 6.4 / len(shown)))
    panels = figure.subplots(2, len(shown), squeeze=False)
    for column, method in enumerate(shown):
        for row, (moves, colour) in enumerate((("agent", AGENT_COLOUR), ("object", OBJECT_COLOUR))):
            part = table[(table["method"] == method) & (table["moves"] == moves)]
            _grid(panels[row, column], part, colour)
        panels[0, column].set_title(method.replace("_", " "))
    for row, moves in enumerate(("agent", "object")):
        panels[row, 0].set_ylabel(f"the {moves} moves")
    handles = [Line2D([], [], color=colour, label=label) for colour, label in (
        ("0.75", "the field"), (AGENT_COLOUR, "the agent, as said"), (OBJECT_COLOUR, "the object, as said"))]
    figure.legend(handles=handles, loc="outside upper left", ncols=3 if len(shown) > 2 else 1, alignment="left")
    settle(figure)
    return figure


def _grid(axes: Axes, part: pd.DataFrame, colour: str) -> None:
    side = math.isqrt(len(part))
    true, said = (part[list(names)].to_numpy(float).reshape(side, side, 2) for names in (
        ("row", "column"), ("code_row", "code_column")))
    # The mean is taken off: a translation is all that is free.
    for points, line, width in ((true - true.mean((0, 1)), "0.75", 0.8), (said - said.mean((0, 1)), colour, 0.9)):
        for lines in (points, points.swapaxes(0, 1)):
            for one in lines:
                axes.plot(one[:, 1], one[:, 0], color=line, linewidth=width)
    axes.set(xlim=(-0.6, 0.6), ylim=(0.6, -0.6), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


@styled()
def plot_split(table: pd.DataFrame, split: str) -> Figure:
    """Draw the distances of codes with and without contact on a logarithmic axis, and where they are split.

    Args:
        table: distances.csv.
        split: its name; that of true labels is nowhere on the axis.
    """
    part = table[table["method"] == table["method"].iloc[0]]
    values = np.log10(part["distance"].to_numpy(float) + 1e-8)
    called = part["called_contact"].to_numpy(bool)
    known = part["contact"].notna().all()
    figure = new_figure(COLUMN_WIDTH, 2.3)
    axes = figure.subplots()
    groups = [(~part["contact"].astype(bool), "0.6", "no contact"), (part["contact"].astype(bool), OKABE_ITO[1],
              "contact")] if known else [(pd.Series(True, part.index), "0.6", "transitions")]
    bins = np.linspace(values.min(), values.max() + 1e-9, _BINS).tolist()
    for chosen, colour, label in groups:
        axes.hist(values[chosen.to_numpy(bool)], bins=bins, color=colour, alpha=0.75, label=label)
    if split != "labels" and called.any() and not called.all():
        between = (values[called].min() + values[~called].max()) / 2
        axes.axvline(between, color="black", label="split of the method")
    axes.axvline(math.log10(otsu_threshold(part["distance"].to_numpy(float)) + 1e-8), color=OKABE_ITO[0],
                 linestyle=(0, (3, 1.5)), label="Otsu's threshold")
    axes.set(xlabel="logarithm (base 10) of the squared distance", ylabel="held-out transitions")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2, alignment="left")
    settle(figure)
    return figure
