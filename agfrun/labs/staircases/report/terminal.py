"""The short table at the end of a run: what was predicted beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.labs.staircases.report.html.verdict import orders_agree
from agfrun.labs.staircases.run import tables
from agfrun.labs.staircases.sources import LADDER, NAMES, TRAINING, stage_of
from agfrun.report.html.numbers import percent
from agfrun.study.intervals import wilson_interval

_HEADINGS = (
    ("", "", "time", "time", "time", "level", "level"),
    ("event", "feature", "predicted", "measured", "ratio", "predicted", "measured"),
)
_LADDER_HEADINGS = (
    ("", "", "", "", "time error", "", "level"),
    ("ladder", "seconds", "gradients", "in order", "median", "worst", "worst"),
)
_KINDS = ("drop", "acquisition", "activation", "collapse")
_MOST_ROWS = 40
_MOST_ELSEWHERE = 10


def comparison_text(comparison: pd.DataFrame) -> str:
    """The comparison as aligned lines of at most 80 columns.

    Args:
        comparison: rows of the main prediction in `comparison.csv`; drops of the loss are shown first, then
            acquisitions and activations.

    Returns:
        Lines without a closing line break; numbers have 4 significant digits, `-` is missing.
    """
    ordered = pd.concat([comparison[comparison["kind"] == kind] for kind in _KINDS])
    rows = [_cells(row) for row in ordered.head(_MOST_ROWS).to_dict("records")]
    lines = aligned([*_HEADINGS, *rows]) if rows else ["no events to compare"]
    if len(ordered) > _MOST_ROWS:
        lines.append(f"... and {len(ordered) - _MOST_ROWS} more in {tables.COMPARISON.file}")
    lines += _elsewhere(ordered)
    return "\n".join(lines)


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    neuron = row["neuron_training"] if pd.isna(row["neuron_predicted"]) else row["neuron_predicted"]
    event = str(row["kind"]) if pd.isna(neuron) or row["kind"] != "activation" else f"{row['kind']} of {neuron}"
    columns = ("time_predicted", "time_training", "time_ratio", "level_predicted", "level_training")
    feature = "-" if pd.isna(row["feature"]) else str(row["feature"])
    return (event, feature, *(_number(row[column]) for column in columns))


def _elsewhere(rows: pd.DataFrame) -> list[str]:
    """The neurons that take another feature than was predicted, whose times are no agreement."""
    told = [f"neuron {row['neuron_predicted']}: {row['feature']} predicted, {row['feature_training']} measured"
            for row in rows.to_dict("records") if turns_elsewhere(row)]
    more = [f"... and {len(told) - _MOST_ELSEWHERE} more neurons that take another feature"]
    return told[:_MOST_ELSEWHERE] + (more if len(told) > _MOST_ELSEWHERE else [])


def turns_elsewhere(row: Mapping[Any, Any]) -> bool:
    """Whether what stands beside a predicted event is the measured one of another feature."""
    both = not is_missing(row["feature"]) and not is_missing(row["feature_training"])
    return both and row["kind"] != "drop" and row["feature"] != row["feature_training"]


def ladder_text(ladder: pd.DataFrame, seconds: Mapping[str, float], main: str) -> list[str]:
    """The ladder as lines, where there is more than one prediction.

    Args:
        ladder: the table `ladder.csv`.
        seconds: wall seconds by stage.
        main: source of the main prediction.
    """
    if (ladder["source"] != TRAINING).sum() < 2:
        return []
    rungs = in_ladder_order(ladder).to_dict("records")
    rows = [(NAMES[row["source"]], *_ladder_cells(row, seconds.get(stage_of(row["source"], main)))) for row in rungs]
    words = [f"{NAMES[row['source']]}: {row[column]}" for row in rungs
             for column in ("void", "warning") if not is_missing(row[column])]
    return ["", *aligned([*_LADDER_HEADINGS, *rows]), *words, ""]


def in_ladder_order(ladder: pd.DataFrame) -> pd.DataFrame:
    """From the cheapest prediction to training; a source that is none of these, in a damaged file, is left out."""
    places = {source: place for place, source in enumerate((*LADDER, TRAINING))}
    known = ladder[ladder["source"].isin(list(places))]
    return known.sort_values("source", key=lambda column: column.map(places), kind="stable")


def _ladder_cells(row: Mapping[Any, Any], seconds: float | None) -> tuple[str, ...]:
    order = "-" if is_missing(row["predicted"]) else f"{row['in_order']} of {row['predicted']}"
    errors = (row["median_time_error"], row["worst_time_error"], row["worst_level_error"])
    return ("-" if seconds is None else f"{seconds:.3g}", _number(row["evaluations"]), order,
            *("-" if is_missing(error) else percent(error) for error in errors))


def _number(value: object) -> str:
    return "-" if pd.isna(value) else f"{value:.4g}"


def aligned(rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Columns of words, the first so many, to the left, of numbers to the right, two blanks between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
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
