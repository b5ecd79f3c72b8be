"""Axes over a swept key, and the colours and words of its values."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from agfrun.report.saved_sweep import is_logarithmic, is_numeric

_WORD_INCHES = 0.36


def places_of(values: list[object]) -> npt.NDArray[np.float64]:
    """Where values stand on the axis: numbers by their size, words in order."""
    return np.array(values, dtype=float) if is_numeric(values) else np.arange(len(values), dtype=float)


def set_key_axis(axes: Axes, label: str, values: list[object]) -> None:
    """Ticks and label of a horizontal axis over a key."""
    places = places_of(values)
    if is_logarithmic(values):
        axes.set_xscale("log")
        low, high = math.log(places.min()), math.log(places.max())
        margin = 0.06 * (high - low)
        axes.set_xlim(math.exp(low - margin), math.exp(high + margin))
    elif len(places):
        margin = 0.06 * (places.max() - places.min()) or 0.5
        axes.set_xlim(places.min() - margin, places.max() + margin)
    words = dict(zip(places.tolist(), map(word_of, values), strict=True))
    axes.xaxis.set_major_locator(FixedLocator(_apart(axes, places)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: words.get(place, f"{place:.3g}")))
    axes.set_xlabel(label)


def _apart(axes: Axes, places: npt.NDArray[np.float64]) -> list[float]:
    """Those of the places, powers of ten first, of which the words do not run into one another."""
    across = axes.transData.transform(np.column_stack([places, np.ones_like(places)]))[:, 0]
    inches = axes.get_position().width * axes.figure.get_figwidth()  # type: ignore[union-attr]
    width = _WORD_INCHES / inches * float(np.ptp(axes.transAxes.transform([[0, 0], [1, 0]])[:, 0]))
    kept: list[int] = []
    logarithmic = axes.get_xscale() == "log"
    between = [logarithmic and abs(math.log10(place) - round(math.log10(place))) > 1e-9 for place in places]
    for place in np.lexsort((-across, np.array(between))):
        if all(abs(across[other] - across[place]) >= width for other in kept):
            kept.append(int(place))
    return places[sorted(kept)].tolist()  # type: ignore[no-any-return]


def word_of(value: object) -> str:
    """A value, short; powers of ten as such."""
    if isinstance(value, str | bool):
        return str(value)
    number = float(value)  # type: ignore[arg-type]
    if number > 0 and (number <= 1e-2 or number >= 1e4):
        exponent = math.log10(number)
        if abs(exponent - round(exponent)) < 1e-9:
            return f"$10^{{{round(exponent)}}}$"
        mantissa, _, power = f"{number:.1e}".partition("e")
        return f"${mantissa.removesuffix('.0')}\\cdot 10^{{{int(power)}}}$"
    return f"{number:g}"

