"""Tables of points of the plane and of their Delaunay graph, from which a disk is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.labs.hyperbolic.geometry.delaunay import Graph, delaunay
from agfrun.labs.hyperbolic.geometry.points import Points
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.study import Saved

POINTS = Schema("points.csv", (
    Column("label", "text", "its set"),
    Column("x", "number", "first coordinate in the Poincare ball, the barycentre of all points at the origin"),
    Column("y", "number", "second coordinate"),
), "the distinct points of a plane", in_sweeps="none")
EDGES = Schema("edges.csv", (
    Column("i", "integer", "row of points.csv, counted from 0"),
    Column("j", "integer", "row of points.csv"),
), "edges of the Delaunay graph of all points of a plane", in_sweeps="none")


def all_of(sets: Mapping[str, Points]) -> Points:
    """The points of all sets, one after another."""
    return Points(np.concatenate([one.p for one in sets.values()]), np.concatenate([one.gap for one in sets.values()]))


def plane_tables(sets: Mapping[str, Points], graph: Graph | None = None) -> dict[str, pd.DataFrame]:
    """points.csv and edges.csv of sets in a plane; `graph` is that of `all_of` them, made here if it is not given."""
    points = all_of(sets)
    graph = graph or delaunay(points)
    labels = np.repeat(list(sets), [len(one) for one in sets.values()])[graph.distinct]
    kept = points.of(graph.distinct)
    seen = kept.seen_from(kept.barycentre())
    ends = np.searchsorted(graph.distinct, graph.edges)
    return {POINTS.name: rows_table(POINTS, [{"label": str(label), "x": float(x), "y": float(y)}
                                             for label, (x, y) in zip(labels, seen.p, strict=True)]),
            EDGES.name: rows_table(EDGES, [{"i": int(i), "j": int(j)} for i, j in ends])}


def disk_of(saved: Saved) -> Iterator[tuple[str, Figure]]:
    """The figure `disk` of a run that has points and edges of a plane."""
    points, edges = saved.tables.get(POINTS.name), saved.tables.get(EDGES.name)
    if points is not None and edges is not None and len(points):
        from agfrun.labs.hyperbolic.figures.disk import plot_disk  # Matplotlib

        yield "disk", plot_disk(points, edges)
