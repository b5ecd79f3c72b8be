"""The short table at the end of a run: what was predicted beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from agfrun.files import tables

_HEADINGS = (
    ("", "", "time", "time", "time", "level", "level"),
    ("event", "feature", "predicted", "measured", "ratio", "predicted", "measured"),
)
_KINDS = ("acquisition", "activation", "collapse")
_MOST_ROWS = 40
_LINE_WIDTH = 80


def comparison_text(comparison: pd.DataFrame, claims: pd.DataFrame | None = None) -> str:
    """The comparison as aligned lines of at most 80 columns, and how many claims hold.

    Args:
        comparison: the table `comparison.csv`; acquisitions are shown first, then activations.
        claims: the table `claims.csv`, for the closing lines.

    Returns:
        Lines without a closing line break; numbers have 4 significant digits, `-` is missing.
    """
    ordered = pd.concat([comparison[comparison["kind"] == kind] for kind in _KINDS])
    rows = [_cells(row) for row in ordered.head(_MOST_ROWS).to_dict("records")]
    lines = _aligned([*_HEADINGS, *rows]) if rows else ["no events to compare"]
    if len(ordered) > _MOST_ROWS:
        lines.append(f"... and {len(ordered) - _MOST_ROWS} more in {tables.COMPARISON.file}")
    if claims is not None:
        lines += _claims_lines(claims)
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


def _claims_lines(claims: pd.DataFrame) -> list[str]:
    """`claims: 14 hold, 1 fails: name`, the names of those that fail wrapped at the line width."""
    holding = int((claims["holds"] == True).sum())  # noqa: E712 - missing counts as neither
    failing = [str(name) for name in claims["claim"][(claims["holds"] == False).fillna(False)]]  # noqa: E712
    text = f"claims: {holding} {'holds' if holding == 1 else 'hold'}"
    if not failing:
        return [text + ", none fails"]
    text += f", {len(failing)} {'fails' if len(failing) == 1 else 'fail'}:"
    lines = [text]
    for place, name in enumerate(failing):
        word = name + ("," if place < len(failing) - 1 else "")
        if len(lines[-1]) + 1 + len(word) > _LINE_WIDTH:
            lines.append("  " + word)
        else:
            lines[-1] += " " + word
    return lines


def summary_text(comparison: Sequence[Mapping[str, Any]], claims: Sequence[Mapping[str, Any]],
                 endings: Sequence[str], folder: Path | None) -> str:
    """What a run prints at its end: the comparison, the claims, how things ended and where the files are."""
    text = comparison_text(tables.rows_table(tables.COMPARISON, comparison), tables.rows_table(tables.CLAIMS, claims))
    lines = [text, *endings]
    if folder is not None:
        lines.append(f"written to {folder}")
    return "\n".join(lines)
