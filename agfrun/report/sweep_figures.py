"""The figures of a sweep: those that its study draws, or its numbers over the swept keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    made: list[tuple[str, Figure | None]] = []
    for key in keys:
        beside = next((other for other in keys if other != key), None) if len(keys) == 2 else None
        made.append((f"numbers_{_file_name(key)}", plot_numbers(saved, key, beside)))
    for across, up in combinations(keys, 2):
        made.append((f"map_{_file_name(across)}_{_file_name(up)}", plot_number_maps(saved, across, up)))
    return ((name, figure) for name, figure in made if figure is not None)


def _file_name(key: str) -> str:
    return key.rpartition(".")[2]
