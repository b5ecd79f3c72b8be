"""Which lineages are siblings: the nearest relative of each labelled set, by the score and by distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.files.tables import rows_table
from agfrun.labs.hyperbolic.config import HyperbolicConfig
from agfrun.labs.hyperbolic.studies.alignment import SCORES, AlignmentStudy
from agfrun.study.registry import register
from agfrun.study.study import Saved, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from agfrun.study.bench import Bench

MEASURES = ("score", "chamfer", "wasserstein")
# From here on sets touch at a few edges, and the score orders them by the sizes of their borders.
SATURATED = 0.98

RELATIVES = Schema("relatives.csv", (
    Column("label", "text", "a set"),
    Column("nearest", "text", "the set with which it has the lowest score"),
    Column("score", "number", "that score"),
    Column("margin", "number", "by how much the next set's score is higher; empty: there are two sets"),
    Column("p", "number", "share of relabellings with a score at least as large"),
    Column("siblings", "flag", f"whether each is the other's nearest, and their score is below {SATURATED}"),
    Column("nearest_by_chamfer", "text", "the nearest set by the Chamfer distance"),
    Column("nearest_by_wasserstein", "text", "the nearest set by the Wasserstein distance; empty: sets too large"),
), "the nearest relative of every set")


@register("study")
@dataclass
class LineagesStudy(AlignmentStudy):
    """All pairs of sets as `study=alignment` has them, and of each set its nearest relative."""

    name: str = "lineages"

    tables: ClassVar[tuple[Schema, ...]] = (RELATIVES, *AlignmentStudy.tables)
    numbers: ClassVar[tuple[Number, ...]] = (
        *AlignmentStudy.numbers,
        Number("siblings", "pairs of siblings", "integer"),
        Number("chamfer_agrees", "sets whose nearest is the same by Chamfer", "integer", of="sets"),
    )

    def run(self, config: HyperbolicConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        found = super().run(config, bench)
        table = relatives_of(found.tables[SCORES.name])
        found.tables = {RELATIVES.name: table, **found.tables}
        found.numbers = {**found.numbers, "siblings": len(siblings_of(table)),
                         "chamfer_agrees": int((table["nearest"] == table["nearest_by_chamfer"]).sum())}
        found.text = text_of_relatives(table)
        return found

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(RELATIVES.name)
        if table is None or not len(table):
            return None
        pairs = siblings_of(table)
        if not pairs:
            return Verdict(f"No siblings among {len(table)} sets: all are apart, or nearest to one that is nearer to "
                           "another.", "open")
        return Verdict(f"Siblings: {', '.join(f'{a} and {b}' for a, b in pairs)}.", "good")


def relatives_of(scores: pd.DataFrame) -> pd.DataFrame:
    """relatives.csv of a table scores.csv."""
    labels = list(dict.fromkeys([*scores["a"], *scores["b"]]))
    around = {label: _around(scores, label) for label in labels}
    nearest = {label: {measure: _nearest(found, measure) for measure in MEASURES} for label, found in around.items()}
    rows: list[dict[str, Any]] = []
    for label, found in around.items():
        relative = nearest[label]["score"]
        ordered = sorted(float(row["score"]) for row in found.values())
        row = found[str(relative)]
        rows.append({
            "label": label, "nearest": relative, "score": ordered[0], "p": row["p"],
            "margin": ordered[1] - ordered[0] if len(ordered) > 1 else None,
            "siblings": nearest[str(relative)]["score"] == label and ordered[0] < SATURATED,
            "nearest_by_chamfer": nearest[label]["chamfer"], "nearest_by_wasserstein": nearest[label]["wasserstein"]})
    return rows_table(RELATIVES, rows)


def _around(scores: pd.DataFrame, label: str) -> dict[str, dict[str, Any]]:
    """The rows of a set by the name of the other."""
    return {str(row["b"] if row["a"] == label else row["a"]): row for row in scores.to_dict("records")
            if label in (row["a"], row["b"])}


def _nearest(found: dict[str, dict[str, Any]], measure: str) -> str | None:
    """The set with the least value; None where one is missing."""
    values = {other: float(row[measure]) for other, row in found.items()}
    return None if any(value != value for value in values.values()) else min(values, key=lambda other: values[other])


def siblings_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of siblings, the lowest score first."""
    chosen = table[table["siblings"].astype(bool)].sort_values("score", kind="stable")
    return list(dict.fromkeys(tuple(sorted((str(a), str(b))))  # type: ignore[misc]
                              for a, b in zip(chosen["label"], chosen["nearest"], strict=True)))


def text_of_relatives(table: pd.DataFrame) -> str:
    """The lines for the terminal."""
    width = max(6, *(len(str(label)) for label in table["label"]))
    lines = [f"{'set':<{width}}  {'nearest':<{width}}{'score':>7}{'margin':>8}  {'by Chamfer':<{width}}"]
    for row in table.sort_values("score", kind="stable").itertuples():
        margin = "-" if row.margin is None or row.margin != row.margin else f"{row.margin:.3f}"
        lines.append(f"{row.label:<{width}}  {row.nearest:<{width}}{row.score:>7.3f}{margin:>8}  "
                     f"{row.nearest_by_chamfer:<{width}}{'  siblings' if row.siblings else ''}")
    return "\n".join(lines)
