"""The figures of a sweep: dimensions and defects over architectures and degrees, as far as these differ."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.neuromanifolds.figures.architectures import plot_architectures
from agfrun.labs.neuromanifolds.figures.defect_map import plot_defect_map
from agfrun.labs.neuromanifolds.figures.degrees import plot_degrees
from agfrun.labs.neuromanifolds.figures.scatter import plot_scatter
from agfrun.report.saved_sweep import SavedSweep

TABLE = "architectures"
# With fewer points the other figures say all that a cloud of points would.
_FEWEST_POINTS = 8


def figures_of_sweep(sweep: SavedSweep) -> Iterator[tuple[str, Figure]]:
    """Names and figures; none where all runs are of one network."""
    table = measured_networks(sweep)
    sizes, degrees = table["label"].nunique(), table["degree"].nunique()
    if sizes > 1 and degrees > 1:
        yield "defects", plot_defect_map(table)
    elif sizes > 1:
        yield "architectures", plot_architectures(table)
    elif degrees > 1:
        yield "degrees", plot_degrees(table)
    if len(table) >= _FEWEST_POINTS:
        yield "dimensions", plot_scatter(table)


def measured_networks(sweep: SavedSweep) -> pd.DataFrame:
    """One row for each network of the ended runs, in the order of its size.

    Of several runs of one network, from other seeds, the largest dimension counts: none of them exceeds the true one.

    Returns:
        The columns of architectures.csv, and `label`: the sizes, with the network's name where there are several.
    """
    table = sweep.tables.get(TABLE)
    if table is None:
        return pd.DataFrame(columns=["label", "degree"])
    table = table[table["run"].isin(sweep.runs["run"])].sort_values("dimension", ascending=False, kind="stable")
    several = table["network"].nunique() > 1
    label = table["network"] + " " + table["architecture"].astype(str) if several else table["architecture"].astype(str)
    table = table.assign(label=label).drop_duplicates(["label", "degree"])
    depth = table["label"].str.count("-")
    return table.assign(depth=depth).sort_values(["depth", "parameters", "label", "degree"], kind="stable",
                                                 ignore_index=True)
