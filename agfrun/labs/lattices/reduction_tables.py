"""The tables of `study=reduction`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.comparison import COMPARISONS, comparison_rows
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

# What every method is compared with.
BARS = ("lll_99", "product_sampled", "learned")
AT_BEST = 1e-9

REDUCTIONS = Schema("reductions.csv", (
    Column("method", "text", "how it was reduced"),
    Column("lattice", "integer", "number of the lattice, from 0"),
    Column("log_defect", "number", "natural logarithm of prod |b_i| / |det B| of the reduced basis; of minima empty "
           "where they form no basis"),
    Column("moves", "integer", "row additions and swaps that were made"),
    Column("det_ok", "flag", "whether the transform has the determinant 1 or -1, exactly"),
    Column("hnf_ok", "flag", "whether the Hermite normal forms of both bases are equal; empty: not looked at"),
), "one row for each method and lattice", in_sweeps="thinned")
SUMMARY = Schema("summary.csv", (
    Column("method", "text", "how lattices were reduced"),
    Column("lattices", "integer", "how many have a basis by it"),
    Column("mean", "number", "mean log defect"),
    Column("standard_error", "number", "of that mean, over lattices"),
    Column("median", "number", "median log defect"),
    Column("above_best", "number", "mean excess over the best basis of any method"),
    Column("at_best", "number", "share of lattices whose basis is as good as the best of any method"),
    Column("at_minima", "number", "share of lattices whose basis attains the successive minima: proven optimal"),
    Column("moves", "number", "mean moves"),
    Column("moves_to_best", "number", "mean moves until the basis that counts was reached"),
    Column("certified", "number", "share of lattices whose certificates hold; empty: none was looked at"),
    Column("microseconds", "number", "wall time for each lattice of the batch"),
), "one row for each method")
TABLES = (REDUCTIONS, SUMMARY, COMPARISONS)


def tables_of(found: Mapping[str, Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """All tables, from what was measured of each method."""
    defects = {method: np.array([math.nan if value is None else value for value in values["defects"]])
               for method, values in found.items()}
    best = np.fmin.reduce(list(defects.values()))
    complete = {method: values for method, values in defects.items() if not np.isnan(values).any()}
    return {schema.name: rows_table(schema, rows) for schema, rows in (
        (REDUCTIONS, [
            {"method": method, "lattice": place, "log_defect": values["defects"][place],
             "moves": values["moves"][place], "det_ok": values["det_ok"][place], "hnf_ok": values["hnf_ok"][place]}
            for method, values in found.items() for place in range(len(values["defects"]))]),
        (SUMMARY, [_summary(method, values, defects[method], best, defects.get("minima"))
                   for method, values in found.items()]),
        (COMPARISONS, comparison_rows(complete, BARS)))}


def _summary(method: str, values: Mapping[str, Any], defects: FloatArray, best: FloatArray, minima: FloatArray | None
             ) -> dict[str, Any]:
    there = ~np.isnan(defects)
    known, count = defects[there], int(there.sum())
    # A pair of certificates of which none was looked at says nothing.
    flags = [False not in pair for pair in zip(values["det_ok"], values["hnf_ok"], strict=True) if pair != (None, None)]
    return {
        "method": method, "lattices": count, "mean": known.mean() if count else None,
        "standard_error": known.std(ddof=1) / math.sqrt(count) if count > 1 else None,
        "median": np.median(known) if count else None, "above_best": (known - best[there]).mean() if count else None,
        "at_best": (known < best[there] + AT_BEST).mean() if count else None,
        "at_minima": float((defects < minima + AT_BEST).mean()) if minima is not None else None,
        "moves": np.mean(values["moves"]), "moves_to_best": np.mean(values["at"]),
        "certified": np.mean(flags) if flags else None, "microseconds": values["microseconds"]}
