"""LLL (delta .99, eta .51) of many lattices: microseconds each, and whether bases are LLL-reduced, in rational numbers.

Competitors: FLINT's LLL (python-flint) and our own in integers alone, one lattice after another. `certified` adds the
exact determinant of every transform and the exact product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import flint
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agfrun.labs.lattices import exact_lll, is_lll_reduced, log_defect, reduce
from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.data.random_lattices import uniform_bases
from agfrun.labs.lattices.trial import reduced_batch
from benchmarks import plots
from benchmarks.settings import Row, Settings
from benchmarks.timing import seconds_of

COLUMNS = ("dimension", "competitor", "lattices", "status", "microseconds", "mean_defect")
DIMENSIONS, COUNT, FEW = (4, 8, 16, 32), 2000, 50
DELTA, ETA = 0.99, 0.51
Reducer = Callable[[FloatArray], FloatArray]


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table; `wrong` where a basis is not reduced."""
    for dimension in DIMENSIONS[:2] if settings.quick else DIMENSIONS:
        bases = uniform_bases(dimension, FEW if settings.quick else COUNT, 0)
        for competitor, (reducer, most) in competitors().items():
            part, found = bases[:most], list[FloatArray]()
            reducer(bases[:1])  # compilation is not timed
            seconds = seconds_of(lambda made=found, given=part, call=reducer: made.append(call(given)))  # type: ignore[misc]
            reduced = all(is_lll_reduced(one.astype(np.int64), DELTA, ETA) for one in found[0][:FEW])
            yield {"dimension": dimension, "competitor": competitor, "lattices": len(part),
                   "microseconds": 1e6 * seconds / len(part), "mean_defect": float(np.mean(log_defect(found[0]))),
                   "status": "ok" if reduced else "wrong"}


def competitors() -> Mapping[str, tuple[Reducer, int]]:
    """What takes bases (N, n, n) to reduced ones, and how many it is asked for at most."""
    return {"agfrun": (lambda bases: reduced_batch("lll_99", bases, "small", None, 0).reduced, COUNT),
            "agfrun, certified": (lambda bases: reduce(bases, "lll_99").basis, COUNT),
            "FLINT": (by_flint, COUNT), "agfrun, integers": (by_integers, FEW)}


def by_flint(bases: FloatArray) -> FloatArray:
    """FLINT's LLL, one lattice after another."""
    rows = bases.astype(np.int64).tolist()
    return np.array([flint.fmpz_mat(one).lll(delta=DELTA, eta=ETA).tolist() for one in rows], dtype=np.float64)


def by_integers(bases: FloatArray) -> FloatArray:
    """LLL without any rounding, in Python."""
    return np.array([exact_lll(one.tolist(), DELTA)[0] for one in bases.astype(np.int64)], dtype=np.float64)


def draw(table: pd.DataFrame) -> Figure:
    """Microseconds a lattice."""
    figure, axes = plots.panels(1, "LLL of many lattices, one thread")
    plots.grouped_bars(axes[0], table, "dimension", "competitor", "microseconds")
    axes[0].set(yscale="log", xlabel="dimension", ylabel="processor microseconds a lattice")
    axes[0].set_ylim(top=30 * max([1.0, *table["microseconds"]]))  # room for the legend
    return figure
