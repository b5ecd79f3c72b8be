"""What a run of interaction says in words: its table, and the verdict in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfrun.files.tables import is_missing
from agfrun.study.claim import failing_claims
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

_HEADINGS = {"isometry_error": "isometry error", "agent_r2": "agent R2", "object_r2": "object R2",
             "offset_gap": "offset gap", "contact_accuracy": "contacts"}


def text_of(summary: pd.DataFrame) -> str:
    """The table for the terminal."""
    lines = [f"{'held-out states':<16}" + "".join(f"{heading:>16}" for heading in _HEADINGS.values())]
    for row in summary.to_dict("records"):
        cells = (f"{'':>16}" if is_missing(row[name]) else f"{row[name]:>16.4f}" for name in _HEADINGS)
        lines.append(f"{row['method']:<16}" + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def verdict_of_summary(summary: pd.DataFrame, claims: pd.DataFrame | None) -> Verdict:
    """The verdict on a run: errors of its first method, and the claims that fail."""
    first, failing = summary.to_dict("records")[0], failing_claims(claims)
    end = f"; {'claims fail' if len(failing) > 1 else 'a claim fails'}: {', '.join(failing)}." if failing else "."
    if is_missing(first["isometry_error"]):
        return Verdict(f"{first['method']}: no true states, no errors; the action is met to "
                       f"{first['action_error']:.3f} of the field{end}", "bad" if failing else "open")
    sentence = (f"{first['method']}: isometry error {first['isometry_error']:.4f} (a constant: "
                f"{first['constant_error']:.4f}), explained variance {first['agent_r2']:.3f} of the agent and "
                f"{first['object_r2']:.3f} of the object, up to one translation")
    # After too few steps, or without the method, no claim is decided, and small errors are nothing to go by.
    decided = claims is not None and bool(claims["holds"].notna().any())
    return Verdict(sentence + end, "bad" if failing else "good" if decided else "open")
