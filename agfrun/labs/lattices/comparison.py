"""Paired comparisons: differences on the same lattices, with a verdict that allows for how many were made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import norm

from agfrun.labs.lattices.bases import FloatArray
from agfrun.study.table import Column, Schema

LEVEL = 0.05
BETTER, WORSE, TIE = "better", "worse", "tie"
COMPARISONS = Schema("comparisons.csv", (
    Column("method", "text", "what is compared"),
    Column("against", "text", "with what, on the same lattices"),
    Column("difference", "number", "mean log defect less that of the other"),
    Column("standard_error", "number", "of that mean, over lattices"),
    Column("lower", "number", "share of lattices on which it is lower, by more than 1e-9"),
    Column("higher", "number", "share on which it is higher"),
    Column("verdict", "text", "better, worse or tie: two-sided at 5 % over all comparisons of the table (Bonferroni)"),
), "paired comparisons of methods")


def paired(first: FloatArray, second: FloatArray, tests: int) -> dict[str, Any]:
    """The difference of two methods on the same lattices.

    Args:
        first, second: log defects, (N,).
        tests: comparisons that the verdict allows for.
    """
    difference = np.asarray(first) - np.asarray(second)
    mean, count = float(difference.mean()), len(difference)
    error = float(difference.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    decisive = count > 1 and abs(mean) > float(norm.isf(LEVEL / (2 * tests))) * error and abs(mean) > 1e-9
    return {"difference": mean, "standard_error": error if count > 1 else None,
            "lower": float((difference < -1e-9).mean()), "higher": float((difference > 1e-9).mean()),
            "verdict": TIE if not decisive else BETTER if mean < 0 else WORSE}


def comparison_rows(defects: Mapping[str, FloatArray], bars: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of comparisons.csv: every method against every bar."""
    pairs = [(method, bar) for bar in bars for method in defects if bar in defects and method not in bars]
    pairs += [(method, bar) for place, method in enumerate(bars) for bar in bars[:place]
              if {method, bar} <= set(defects)]
    return [{"method": method, "against": bar, **paired(defects[method], defects[bar], len(pairs))}
            for method, bar in pairs]
