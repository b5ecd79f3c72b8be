"""Sketches of networks: nodes and links, on axes without scales."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes

from agfrun.report.figures.style import OKABE_ITO

_INPUT, _HIDDEN, _OUTPUT = "0.75", OKABE_ITO[0], "0.35"
_PLACES = (0.14, 0.5, 0.86)
Point = tuple[float, float]


def draw_sketch(axes: Axes, name: str) -> None:
    """Draw the network of a name; a generic two-layer network for names without a sketch of their own."""
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_axis_off()
    sketches = {"diagonal linear": _diagonal, "fully connected linear": _linear, "linear attention": _attention,
                "modular addition": _modular_addition, "ReLU": _relu}
    sketches.get(name, _generic)(axes)


def _generic(axes: Axes, symbol: str = r"$\sigma$") -> None:
    layers = [_column(_PLACES[0], 3), _column(_PLACES[1], 4), _column(_PLACES[2], 1)]
    _link(axes, product(layers[0], layers[1]))
    _link(axes, product(layers[1], layers[2]))
    _nodes(axes, layers, symbol)
    _captions(axes, ("x", "f(x)"))


def _relu(axes: Axes) -> None:
    _generic(axes, "")
    for x, y in _column(_PLACES[1], 4):
        axes.plot([x - 0.035, x, x + 0.035], [y - 0.022, y - 0.022, y + 0.028], color="white", linewidth=0.9, zorder=5)


def _diagonal(axes: Axes) -> None:
    layers = [_column(_PLACES[0], 4), _column(_PLACES[1], 4), _column(_PLACES[2], 1)]
    _link(axes, zip(layers[0], layers[1], strict=True))
    _link(axes, product(layers[1], layers[2]))
    _nodes(axes, layers)
    _captions(axes, ("x", r"$\langle u \odot v, x\rangle$"))


def _linear(axes: Axes) -> None:
    layers = [_column(place, 3) for place in _PLACES]
    _link(axes, product(layers[0], layers[1]))
    _link(axes, product(layers[1], layers[2]))
    _nodes(axes, layers)
    _captions(axes, ("x", "A W x"))


def _attention(axes: Axes) -> None:
    tokens = [(_PLACES[0], y) for y in (0.26, 0.42, 0.58, 0.74)]
    key, query, value = (0.48, 0.74), (0.48, 0.5), (0.48, 0.26)
    head, output = (0.7, 0.5), (_PLACES[2] + 0.03, 0.5)
    _link(axes, product(tokens, (key, query, value)))
    _link(axes, [(key, head), (query, head), (value, head), (head, output)])
    xs, ys = zip(*tokens, strict=True)
    axes.scatter(xs, ys, s=26, color=_INPUT, marker="s", zorder=4, linewidths=0)
    for (x, y), text in ((key, "K"), (query, "Q"), (value, "V")):
        axes.text(x, y, text, ha="center", va="center", color="white", fontsize=6, zorder=5,
                  bbox={"boxstyle": "square,pad=0.25", "facecolor": _HIDDEN, "edgecolor": "none"})
    axes.scatter(head[0], head[1], s=30, color="white", edgecolors=_OUTPUT, linewidths=0.8, zorder=4)
    axes.text(*head, r"$\times$", ha="center", va="center", fontsize=6, color=_OUTPUT, zorder=5)
    axes.scatter(output[0], output[1], s=26, color=_OUTPUT, zorder=4, linewidths=0)
    _captions(axes, ("tokens", r"$\hat y$"))


def _modular_addition(axes: Axes) -> None:
    first, second = _column(_PLACES[0], 2, (0.62, 0.82)), _column(_PLACES[0], 2, (0.18, 0.38))
    hidden, outputs = _column(_PLACES[1], 4), _column(_PLACES[2], 3)
    _link(axes, product([*first, *second], hidden))
    _link(axes, product(hidden, outputs))
    _nodes(axes, [[*first, *second], hidden, outputs], r"$(\cdot)^2$")
    for group, text in ((first, r"$a \cdot x$"), (second, r"$b \cdot x$")):
        axes.text(-0.02, float(np.mean([y for _, y in group])), text, ha="center", va="center", fontsize=6,
                  color="0.3")
    _captions(axes, ("", r"$(a + b) \cdot x$"))


def _column(x: float, count: int, between: tuple[float, float] = (0.2, 0.8)) -> list[Point]:
    if count == 1:
        return [(x, 0.5)]
    return [(x, float(y)) for y in np.linspace(*between, count)]


def _link(axes: Axes, pairs: Iterable[tuple[Point, Point]]) -> None:
    for (x0, y0), (x1, y1) in pairs:
        axes.plot([x0, x1], [y0, y1], color="0.8", linewidth=0.5, zorder=1)


def _nodes(axes: Axes, layers: Sequence[Sequence[Point]], symbol: str = "") -> None:
    for layer, colour, size in zip(layers, (_INPUT, _HIDDEN, _OUTPUT), (26, 62, 26), strict=True):
        xs, ys = zip(*layer, strict=True)
        axes.scatter(xs, ys, s=size, color=colour, zorder=4, linewidths=0)
    for x, y in layers[1] if symbol else ():
        axes.text(x, y, symbol, ha="center", va="center", fontsize=4, color="white", zorder=5)


def _captions(axes: Axes, texts: tuple[str, str]) -> None:
    for x, text in zip((_PLACES[0], _PLACES[2]), texts, strict=True):
        axes.text(x, 0.02, text, ha="center", va="center", fontsize=6, color="0.3")
