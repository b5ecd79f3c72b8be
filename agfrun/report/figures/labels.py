"""Direct labels that overlap neither one another nor the curves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

FloatArray = npt.NDArray[np.float64]

# Lines drawn below this order (levels, zero) may run behind a label.
BACKGROUND = 1.0
# Places tried around an anchor: directions, then distances in points; near ones to the right first.
_DIRECTIONS = ((1, 0), (1, 1), (2, 1), (-1, -1), (-1, 0), (1, -1), (-1, 1), (0, 1), (0, -1))
_DISTANCES = (5.0, 10.0, 16.0, 24.0, 34.0, 46.0)
_POINTS_PER_INCH = 72.0
_LINE_SPACING = 1.25
_MARGIN_GAP = 3.0
_CURVE_STEP = 1.5
_CLEARANCE = 2.0
_COST_PER_POINT = 0.1
_COST_OF_LEFT = 3.0


@dataclass(frozen=True)
class Label:
    """A text for a point of the data."""

    x: float
    y: float
    text: str
    colour: str


def spread(positions: Sequence[float] | FloatArray, gap: float, low: float, high: float) -> FloatArray:
    """Positions moved as little as possible (least squares) so that neighbours are `gap` apart.

    All stay within [low, high]; where they cannot, the gap shrinks to what there is room for.
    """
    wanted = np.asarray(positions, dtype=np.float64)
    if not len(wanted):
        return wanted
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    # With the gaps subtracted, "gap apart" reads "not decreasing": isotonic regression.
    fitted = _isotonic(wanted[order] - steps)
    placed = np.empty_like(wanted)
    placed[order] = np.clip(fitted, low, high - steps[-1]) + steps
    return placed


def label_right_margin(axes: Axes, labels: Sequence[Label]) -> list[Annotation]:
    """Labels in the right margin, each at its `y` in data coordinates or the axis' nearer end.

    The y axis must have its limits. The layout makes room for the labels; once it is settled,
    `nudge_apart` takes care of overlaps.
    """
    low, high = axes.get_ylim()
    return [
        axes.annotate(
            label.text, xy=(1.0, float(np.clip(label.y, low, high))), xycoords=axes.get_yaxis_transform(),
            xytext=(_MARGIN_GAP, 0), textcoords="offset points", va="center", ha="left", color=label.colour,
            annotation_clip=False,
        )
        for label in labels
    ]


def nudge_apart(axes: Axes, texts: Sequence[Annotation]) -> None:
    """Move labels of the right margin vertically so that none covers another."""
    if not texts:
        return
    window = axes.get_window_extent()
    pixels_per_point = axes.figure.dpi / _POINTS_PER_INCH
    wanted = axes.transData.transform([(1.0, text.xy[1]) for text in texts])[:, 1]
    line_height = _LINE_SPACING * float(texts[0].get_fontsize()) * pixels_per_point
    placed = spread(wanted, line_height, window.y0, window.y1)
    for text, place, height in zip(texts, placed, wanted, strict=True):
        text.set_position((_MARGIN_GAP, (place - height) / pixels_per_point))


def label_points(axes: Axes, labels: Sequence[Label], avoid: Sequence[Bbox] = ()) -> list[Annotation]:
    """Labels near their points, each at the place that hides least of the curves and labels.

    The layout must be final. `avoid` are further boxes, in pixels, to stay clear of.
    """
    curves = _curve_pixels(axes)
    taken = list(avoid)
    texts = []
    for label in labels:
        text, box = _place(axes, label, curves, taken)
        texts.append(text)
        taken.append(box)
    return texts


def _place(
    axes: Axes, label: Label, curves: FloatArray, taken: Sequence[Bbox]
) -> tuple[Annotation, Bbox]:
    text = axes.annotate(
        label.text, xy=(label.x, label.y), xytext=(0, 0), textcoords="offset points",
        color=label.colour, annotation_clip=False,
        path_effects=[withStroke(linewidth=2.0, foreground="white")],
    )
    text.set_in_layout(False)
    best: tuple[float, Bbox, tuple[float, float], tuple[str, str]] | None = None
    for distance, (right, up) in itertools.product(_DISTANCES, _DIRECTIONS):
        scale = distance / math.hypot(right, up)
        offset = (right * scale, up * scale)
        _move(text, offset, alignment := _alignment(right, up))
        box = text.get_window_extent()
        penalty = _penalty(box, curves, taken, axes.get_window_extent())
        penalty += _COST_PER_POINT * distance + _COST_OF_LEFT * max(0, 1 - right)
        if best is None or penalty < best[0]:
            best = (penalty, box, offset, alignment)
    assert best is not None
    _move(text, best[2], best[3])
    return text, best[1]


def _alignment(right: int, up: int) -> tuple[str, str]:
    return {1: "left", 0: "center", -1: "right"}[min(right, 1)], {1: "bottom", 0: "center", -1: "top"}[up]


def _move(text: Annotation, offset: tuple[float, float], alignment: tuple[str, str]) -> None:
    text.set_position(offset)
    text.set_horizontalalignment(alignment[0])  # type: ignore[arg-type]
    text.set_verticalalignment(alignment[1])  # type: ignore[arg-type]


def _penalty(box: Bbox, curves: FloatArray, taken: Sequence[Bbox], window: Bbox) -> float:
    padded = box.padded(_CLEARANCE)
    inside = (
        (curves[:, 0] > padded.x0) & (curves[:, 0] < padded.x1)
        & (curves[:, 1] > padded.y0) & (curves[:, 1] < padded.y1)
    )
    overlaps = sum(padded.overlaps(other) for other in taken)
    contained = window.x0 <= box.x0 and box.x1 <= window.x1 and window.y0 <= box.y0 and box.y1 <= window.y1
    return float(inside.sum()) + 1e3 * overlaps + (0.0 if contained else 1e4)


def _curve_pixels(axes: Axes) -> FloatArray:
    """Points every pixel or so along the curves of the axes, shape (N, 2)."""
    window = axes.get_window_extent()
    pieces = [np.empty((0, 2))]
    for line in axes.get_lines():
        if line.get_zorder() < BACKGROUND:
            continue
        path = line.get_transform().transform(line.get_xydata())
        path = path[np.isfinite(path).all(axis=1)]
        path = np.clip(path, (window.x0 - 9, window.y0 - 9), (window.x1 + 9, window.y1 + 9))
        if len(path) > 1:
            lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
            at = np.arange(0.0, lengths[-1], _CURVE_STEP)
            path = np.column_stack([np.interp(at, lengths, path[:, axis]) for axis in (0, 1)])
        pieces.append(path)
    return np.concatenate(pieces)


def _isotonic(values: FloatArray) -> FloatArray:
    """Nearest not decreasing sequence in least squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            previous, count = blocks.pop()
            mean, size = (previous * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    return np.concatenate([np.full(size, mean) for mean, size in blocks])
