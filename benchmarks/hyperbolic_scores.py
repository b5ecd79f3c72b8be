"""Distances between two sets of hyperbolic points: seconds against the number of points.

Competitors of the score are the two distances that it stands beside, and its own graph by definition: for every pair of
points of the plane, whether some point of their bisector is nearer to them than to all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.hyperbolic import Points, alignment, at_distance, delaunay, points_of, set_distances
from agfrun.labs.hyperbolic.geometry.points import joined
from benchmarks import plots
from benchmarks.settings import Row, Settings
from benchmarks.timing import seconds_of

COLUMNS = ("dimension", "points", "competitor", "status", "seconds", "edges", "slope")
SIZES = {2: (250, 500, 1000, 2000, 4000, 8000, 20_000), 3: (250, 500, 1000, 2000), 4: (100, 200, 300, 500)}
QUICK = (60, 120)
RADIUS = 3.0
# Beyond these numbers of points a competitor takes minutes, or the memory of all distances.
MOST = {"by definition": 500, "Wasserstein": 4000, "Chamfer": 8000}


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table: two halves of one cloud; `wrong` where a graph by definition is another."""
    for dimension, sizes in SIZES.items():
        earlier: dict[str, tuple[int, float]] = {}
        for count in QUICK if settings.quick else sizes:
            sets = halves(count, dimension)
            known = len(delaunay(joined(*sets)).edges)
            for name, competitor in COMPETITORS.items():
                if count > MOST.get(name, count) or (name == "by definition" and dimension > 2):
                    continue
                found: list[int | None] = []
                seconds = min(seconds_of(lambda c=competitor, f=found, s=sets: f.append(c(*s)))  # type: ignore[misc]
                              for _ in range(3))
                before = earlier.get(name)
                slope = np.log(seconds / before[1]) / np.log(count / before[0]) if before else float("nan")
                earlier[name] = (count, seconds)
                yield {"dimension": dimension, "points": count, "competitor": name, "seconds": seconds,
                       "edges": found[0], "slope": slope, "status": "ok" if found[0] in (None, known) else "wrong"}


def halves(count: int, dimension: int) -> tuple[Points, Points]:
    """Two random halves of a cloud that fills a ball of radius `RADIUS`."""
    generator = np.random.default_rng(0)
    p = at_distance(generator.normal(size=(count, dimension)), RADIUS * generator.random(count) ** (1 / dimension))
    return points_of(p[::2], "poincare"), points_of(p[1::2], "poincare")


def by_agfrun(a: Points, b: Points) -> int:
    """The score, and edges of its graph."""
    return alignment(a, b, relabellings=0).edges


def by_definition(a: Points, b: Points) -> int:
    """Edges of the graph of all points in H^2, O(n^3).

    The bisector of i and j is the set of y in the Klein disk with y.(x_i - x_j) = t_i - t_j, and k leaves of it
    y.(x_i - x_k) >= t_i - t_k. An edge remains iff something of it is left within the disk.
    """
    z = joined(a, b).lorentz()
    x, t = z[:, 1:], z[:, 0]
    edges = 0
    for i in range(len(t)):
        for j in range(i + 1, len(t)):
            edges += _is_edge(x, t, i, j)
    return edges


def _is_edge(x: npt.NDArray[np.float64], t: npt.NDArray[np.float64], i: int, j: int) -> bool:
    normal = x[i] - x[j]
    foot = normal * (t[i] - t[j]) / (normal @ normal)
    room = 1 - foot @ foot
    if room <= 0:
        return False
    along = np.array([-normal[1], normal[0]]) / np.linalg.norm(normal)
    others = np.delete(np.arange(len(t)), [i, j])
    rise, bound = (x[i] - x[others]) @ along, t[i] - t[others] - (x[i] - x[others]) @ foot
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = bound / rise
    low = max(-np.sqrt(room), np.max(ends[rise > 0], initial=-np.inf))
    high = min(np.sqrt(room), np.min(ends[rise < 0], initial=np.inf))
    return bool(low < high)


def by_chamfer(a: Points, b: Points) -> None:
    """All distances, and the least of each row and column."""
    set_distances(a, b, transport=False)


def by_wasserstein(a: Points, b: Points) -> None:
    """All distances, and their best assignment."""
    set_distances(a, b)


COMPETITORS: Mapping[str, Callable[[Points, Points], int | None]] = {
    "agfrun": by_agfrun, "Chamfer": by_chamfer, "Wasserstein": by_wasserstein, "by definition": by_definition}


def draw(table: pd.DataFrame) -> Figure:
    """Seconds against points, a panel a dimension; a wrong graph is a cross."""
    dimensions = list(dict.fromkeys(table["dimension"]))
    figure, axes = plots.panels(len(dimensions), "Two sets of points in hyperbolic space, one thread")
    for panel, dimension in zip(axes, dimensions, strict=False):
        part = table[table["dimension"] == dimension]
        plots.lines(panel, part, "points", "seconds", "competitor", list(COMPETITORS))
        wrong = part[part["status"] == "wrong"]
        panel.plot(wrong["points"], wrong["seconds"], "x", color="black", markersize=9)
        panel.set(xscale="log", yscale="log", xlabel="points of both sets", ylabel="processor seconds",
                  title=f"$H^{dimension}$")
    axes[0].legend(fontsize="small")
    return figure
