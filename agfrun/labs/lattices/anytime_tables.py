"""The tables of `study=anytime`, and how they are made from traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.comparison import paired
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

PRODUCT = "product_"
"""Begins the names of untrained walks, one for each temperature."""
MOVES, WORK = "moves", "work"

CURVES = Schema("curves.csv", (
    Column("method", "text", "a classical method, product_TEMPERATURE, or learned_POLICY"),
    Column("moves", "integer", "moves made"),
    Column("work", "number", "multiply-adds of them for one lattice, in thousands"),
    Column("mean", "number", "mean log defect of the best bases so far"),
    Column("above_optimum", "number", "mean excess over the optimum, of lattices where it is proven; empty: of none"),
    Column("median", "number", "median"),
    Column("at_minima", "number", "share of all lattices that are at the proven optimum"),
), "defect against moves and multiply-adds")
EQUAL = Schema("equal.csv", (
    Column("policy", "text", "whose moves"),
    Column("equal", "text", "what the product rule has the same of: moves or work (multiply-adds)"),
    Column("moves", "integer", "of the policy"),
    Column("product_moves", "integer", "of the product rule, at its best temperature for them on these lattices"),
    Column("temperature", "number", "that temperature"),
    Column("mean", "number", "mean log defect by the policy"),
    Column("product_mean", "number", "by the product rule"),
    Column("difference", "number", "policy less product rule"),
    Column("standard_error", "number", "of that difference, paired over lattices"),
    Column("lower", "number", "share of lattices on which the policy is lower"),
    Column("higher", "number", "share on which it is higher"),
    Column("verdict", "text", "better, worse or tie: two-sided at 5 % over all rows (Bonferroni)"),
), "policies against the product rule, at equal moves and at equal work")
TABLES = (CURVES, EQUAL)


def curve_rows(method: str, trace: FloatArray, work: float, optimum: FloatArray, points: int) -> list[dict[str, Any]]:
    """Rows of curves.csv from best log defects (N, t + 1) and optima (N,), nan where they are not known."""
    known = ~np.isnan(optimum)
    chosen = np.unique(np.rint(np.geomspace(1, trace.shape[1], points)).astype(int)) - 1
    return [{"method": method, "moves": int(t), "work": t * work / 1e3, "mean": float(trace[:, t].mean()),
             "above_optimum": float((trace[:, t] - optimum)[known].mean()) if known.any() else None,
             "median": float(np.median(trace[:, t])),
             "at_minima": float((trace[:, t] < optimum + 1e-9).mean())} for t in chosen]


def product_moves(moves: int, ratio: float) -> int:
    """Moves of the product rule that are as much work as `moves` of a policy whose move costs `ratio` as much."""
    return int(moves * ratio)


def equal_rows(learned: Mapping[str, Mapping[str, Any]], product: Mapping[float, Mapping[str, Any]],
               ratios: Mapping[str, float], budgets: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of equal.csv.

    Args:
        learned: by policy, best log defects (N,) by number of moves (as text).
        product: the same by temperature.
        ratios: work of a policy's move over that of the product rule's.
        budgets: moves of policies.
    """
    rows, tests = [], 2 * len(learned) * len(budgets)
    for policy, found in learned.items():
        for equal in (MOVES, WORK):
            for moves in budgets:
                others = moves if equal == MOVES else product_moves(moves, ratios[policy])
                at = {temperature: np.asarray(values[str(others)]) for temperature, values in product.items()}
                best = min(at, key=lambda temperature: float(at[temperature].mean()))
                mine = np.asarray(found[str(moves)])
                rows.append({"policy": policy, "equal": equal, "moves": moves, "product_moves": others,
                             "temperature": best, "mean": float(mine.mean()), "product_mean": float(at[best].mean()),
                             **paired(mine, at[best], tests)})
    return rows


def tables_of(curves: Sequence[Mapping[str, Any]], equal: Sequence[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """Both tables."""
    return {CURVES.name: rows_table(CURVES, list(curves)), EQUAL.name: rows_table(EQUAL, list(equal))}
