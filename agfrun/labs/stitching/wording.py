"""What a run of stitching says in words: its table, and the verdict in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agfrun.files.tables import is_missing
from agfrun.labs.stitching.claims import called
from agfrun.study.claim import failing_claims
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

# More networks are counted, not named.
_MOST_NAMES = 6


def text_of(summary: pd.DataFrame, names: Sequence[str]) -> str:
    """The table for the terminal."""
    networks = ", ".join(names) if len(names) <= _MOST_NAMES else f"{len(names)} networks"
    lines = [f"accuracy over {networks}; the most frequent class has {summary['majority'].iloc[0]:.3f}",
             f"{'':<27}{'same':>7}{'stitched':>10}{'':>9}{'disturbed:':>11}{'same':>6}{'stitched':>10}"]
    for row in summary.to_dict("records"):
        reach = "" if is_missing(row["stitched_high"]) else f"± {row['stitched_high'] - row['stitched']:.3f}"
        name = called((row["transform"], bool(row["topology"])))
        lines.append(f"{name:<27}{row['same']:>7.3f}{row['stitched']:>10.3f}"
                     f" {reach:<8}{row['disturbed_same']:>17.3f}{row['disturbed_stitched']:>10.3f}")
    return "\n".join(lines)


def verdict_of_summary(summary: pd.DataFrame, claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run: the row that stitches best, and the claims that fail."""
    rows: list[dict[str, Any]] = [row for row in summary.to_dict("records") if not is_missing(row["stitched"])]
    best = max(rows, key=lambda row: float(row["stitched"]))
    failing = failing_claims(claims)
    sentence = (f"Of {len(rows)} ways to stitch, {called((best['transform'], bool(best['topology'])))} is the best: "
                f"{best['stitched']:.3f} with another network's head, {best['same']:.3f} with its own")
    end = f"; {'claims fail' if len(failing) > 1 else 'a claim fails'}: {', '.join(failing)}." if failing else "."
    return Verdict(sentence + end, "bad" if failing else "good")
