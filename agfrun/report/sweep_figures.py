"""The figures of a sweep: those that its study draws, or its numbers over the swept keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from matplotlib.figure import Figure

from agfrun.report.figures.number_maps import plot_number_maps
from agfrun.report.figures.numbers import plot_numbers
from agfrun.report.saved_sweep import SavedSweep

_MOST_KEYS = 3


def figures_of_sweep(saved: SavedSweep) -> Iterable[tuple[str, Figure]]:
    """Names and figures."""
    if not len(saved.runs):
        return ()
    own = saved.study.sweep_figures(saved)
    return figures_of_numbers(saved) if own is None else own


def figures_of_numbers(saved: SavedSweep) -> Iterator[tuple[str, Figure]]:
    """The study's numbers over each swept key, and a map over each pair of them; none where there is nothing to draw.

    A library entry for studies that draw these beside their own.
    """
    keys = saved.varied[:_MOST_KEYS]
    words = _file_names(keys)
    made: list[tuple[str, Figure | None]] = []
    for key in keys:
        beside = next((other for other in keys if other != key), None) if len(keys) == 2 else None
        made.append((f"numbers_{words[key]}", plot_numbers(saved, key, beside)))
    for across, up in combinations(keys, 2):
        made.append((f"map_{words[across]}_{words[up]}", plot_number_maps(saved, across, up)))
    return ((name, figure) for name, figure in made if figure is not None)


def _file_names(keys: Sequence[str]) -> dict[str, str]:
    """What files call keys: by their last parts, those that share it by the whole."""
    last = {key: key.rpartition(".")[2] for key in keys}
    return {key: word if list(last.values()).count(word) == 1 else key.replace(".", "_") for key, word in last.items()}
