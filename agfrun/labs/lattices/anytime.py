"""Traces of every method of `study=anytime` on one set of lattices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.labs.lattices.anytime_tables import PRODUCT, curve_rows, tables_of
from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.kernels.walk import PolicyArrays
from agfrun.labs.lattices.names import POLICIES
from agfrun.labs.lattices.reducers import CANDIDATES, Batch, move_work, product_rule, product_work, walk_batch
from agfrun.labs.lattices.trial import generator_of, reduced_batch

if TYPE_CHECKING:
    from agfrun.study.bench import Bench

# Moves of a classical method that are drawn, in squares of the dimension; points of a curve.
_CLASSICAL_MOVES, _POINTS = 4, 40


def classical_work(method: str, dimension: int) -> float:
    """Multiply-adds of a move: 4 for each pair (greedy), 12 (Seysen), three rows of products (LLL); and the updates."""
    pairs, squares = dimension * (dimension - 1), dimension**2
    return float({"greedy": 4 * pairs + squares, "seysen": 12 * pairs + 2 * squares, "lll_99": 3 * squares}[method])


class AnytimeTrial:
    """Traces of every method on one set of lattices.

    Attributes:
        curves: rows of curves.csv so far.
        at: by method, best log defects by number of moves.
        optimum: log defects of proven optima, (N,); nan: not known.
    """

    def __init__(self, bases: FloatArray, bench: Bench, seed: int) -> None:
        self.bases, self.bench, self.seed = bases, bench, seed
        self.curves: list[dict[str, Any]] = []
        self.at: dict[str, dict[str, list[float]]] = {}
        self.optimum: FloatArray = np.array(bench.remember("minima", self._minima), dtype=np.float64)

    def _minima(self) -> list[float | None]:
        batch = reduced_batch("minima", self.bases, POLICIES[0], None, self.seed)
        return [value if known else None for value, known in zip(batch.defects.tolist(), batch.found, strict=True)]

    def classical(self, method: str) -> None:
        """The curve of a method that ends by itself."""
        moves = _CLASSICAL_MOVES * self.bases.shape[1] ** 2
        self._keep(method, partial(self._traced, method, moves), classical_work(method, self.bases.shape[1]), ())

    def _traced(self, method: str, moves: int) -> FloatArray:
        batch = reduced_batch(method, self.bases, POLICIES[0], None, self.seed, moves)
        assert batch.trace is not None
        return batch.trace

    def learned(self, name: str, policy: PolicyArrays, candidates: int, budgets: list[int]) -> float:
        """The curve of a policy; returns the work of its moves over that of the product rule's."""
        dimension = self.bases.shape[1]
        work = move_work(policy, candidates, dimension)
        self._keep(f"learned_{name}", partial(self._walked, f"learned_{name}", policy, candidates, 1.0, max(budgets)),
                   work, budgets)
        return work / product_work(dimension)

    def product(self, temperature: float, moves: list[int]) -> None:
        """The curve of the product rule at a temperature."""
        name = f"{PRODUCT}{temperature:g}"
        self._keep(name, partial(self._walked, name, product_rule(), CANDIDATES, temperature, max(moves)),
                   product_work(self.bases.shape[1]), moves)

    def _walked(self, name: str, policy: PolicyArrays, candidates: int, temperature: float, moves: int) -> FloatArray:
        batch = Batch.of(self.bases, moves)
        walk_batch(batch, generator_of(self.seed, name), policy, temperature, candidates, moves)
        assert batch.trace is not None
        return batch.trace

    def _keep(self, method: str, traced: Callable[[], FloatArray], work: float, moves: Iterable[int]) -> None:
        def measure() -> dict[str, Any]:
            trace = traced()
            return {"curve": curve_rows(method, trace, work, self.optimum, _POINTS),
                    "at": {str(t): trace[:, t].tolist() for t in moves}}

        with self.bench.clock.stage("walk"):
            found = self.bench.remember(method, measure)
        self.curves += found["curve"]
        self.at[method] = found["at"]
        self.bench.save(tables_of(self.curves, []))
