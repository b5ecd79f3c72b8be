"""All figures of a sweep: which suit the keys that were swept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from matplotlib.figure import Figure

from agfrun.labs.staircases.report.figures.sweep.agreement import plot_agreement
from agfrun.labs.staircases.report.figures.sweep.drop_times import plot_drop_times
from agfrun.labs.staircases.report.figures.sweep.heat_map import plot_heat_map
from agfrun.report.saved_sweep import SavedSweep, ordered_values

_MOST_KEYS = 3


def figures_of_sweep(saved: SavedSweep) -> Iterator[tuple[str, Figure]]:
    """Names and figures: drop times over the scale, agreement over each key, heat maps over each pair of them."""
    keys = [key for key in saved.keys if key in saved.runs and len(ordered_values(saved.runs[key])) > 1][:_MOST_KEYS]
    made: list[tuple[str, Figure | None]] = []
    if saved.scale_key in keys and saved.scale_key in saved.comparison:
        made.append(("drop_times", plot_drop_times(saved, saved.scale_key)))
    for key in keys:
        beside = next((other for other in keys if other != key), None) if len(keys) == 2 else None
        made.append((f"agreement_{_file_name(key)}", plot_agreement(saved, key, beside)))
    for across, up in combinations(keys, 2):
        made.append((f"heat_map_{_file_name(across)}_{_file_name(up)}", plot_heat_map(saved, across, up)))
    return ((name, figure) for name, figure in made if figure is not None)


def _file_name(key: str) -> str:
    return key.rpartition(".")[2]
