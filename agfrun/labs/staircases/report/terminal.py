"""The short table at the end of a run: what was predicted beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from agfrun.labs.staircases.report.html.verdict import orders_agree
from agfrun.labs.staircases.run import tables
from agfrun.report.html.numbers import percent
from agfrun.study.intervals import wilson_interval

_HEADINGS = (
    ("", "", "time", "time", "time", "level", "level"),
    ("event", "feature", "predicted", "measured", "ratio", "predicted", "measured"),
)
_KINDS = ("acquisition", "activation", "collapse")
_MOST_ROWS = 40


def comparison_text(comparison: pd.DataFrame) -> str:
    """The comparison as aligned lines of at most 80 columns.

    Args:
        comparison: the table `comparison.csv`; acquisitions are shown first, then activations.

    Returns:
        Lines without a closing line break; numbers have 4 significant digits, `-` is missing.
    """
    ordered = pd.concat([comparison[comparison["kind"] == kind] for kind in _KINDS])
    rows = [_cells(row) for row in ordered.head(_MOST_ROWS).to_dict("records")]
    lines = _aligned([*_HEADINGS, *rows]) if rows else ["no events to compare"]
    if len(ordered) > _MOST_ROWS:
        lines.append(f"... and {len(ordered) - _MOST_ROWS} more in {tables.COMPARISON.file}")
    return "\n".join(lines)


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    neuron = row["neuron_training"] if pd.isna(row["neuron_agf"]) else row["neuron_agf"]
    event = str(row["kind"]) if pd.isna(neuron) else f"{row['kind']} of {neuron}"
    columns = ("time_agf", "time_training", "time_ratio", "level_agf", "level_training")
    feature = "-" if pd.isna(row["feature"]) else str(row["feature"])
    return (event, feature, *(_number(row[column]) for column in columns))


def _number(value: object) -> str:
    return "-" if pd.isna(value) else f"{value:.4g}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Words to the left, numbers to the right, two blanks between columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def sweep_text(runs: pd.DataFrame) -> str:
    """How many runs of a sweep learn in the predicted order, and how large the errors are.

    Args:
        runs: the ended ones, of `runs.csv`.
    """
    order = orders_agree(runs)
    known = order[np.isfinite(order)]
    if not len(known):
        return "no acquisitions to compare"
    low, high = wilson_interval(int(known.sum()), len(known))
    lines = [f"acquisitions in the predicted order: {int(known.sum())} of {len(known)} runs "
             f"({100 * known.mean():.0f}%, 95% interval {100 * low:.0f}% to {100 * high:.0f}%)"]
    words = [f"{name} error: median {percent(float(errors.median()))}, worst {percent(float(errors.max()))}"
             for name, errors in (("worst time", _errors(runs, "worst_time_error")),
                                  ("worst level", _errors(runs, "worst_level_error"))) if len(errors)]
    return "\n".join([*lines, *(["; ".join(words)] if words else [])])


def _errors(runs: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_numeric(runs[column]).dropna() if column in runs else pd.Series(dtype=float)
