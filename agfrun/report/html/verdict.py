"""Verdicts in one sentence on any run, and on several."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from agfrun.study.claim import CLAIMS
from agfrun.study.study import Saved, Study
from agfrun.study.verdict import Verdict


def verdict_on(study: Study, saved: Saved) -> Verdict:
    """The study's own verdict on a run, or that of its claims."""
    return study.verdict(saved) or claims_verdict(saved)


def claims_verdict(saved: Saved) -> Verdict:
    """Verdict on a run from its claims."""
    if not saved.manifest:
        return Verdict("No verdict: the study has not come to its end.", "open")
    if CLAIMS.name not in saved.tables or not len(saved.tables[CLAIMS.name]):
        return Verdict("The study is finished; it checks no claim.", "open")
    claims = saved.tables[CLAIMS.name]
    decided = claims["holds"].dropna().astype(bool)
    tone = "bad" if not decided.all() else "good" if len(decided) else "open"
    return Verdict(f"{claims_words(claims)}.", tone)


def claims_words(claims: pd.DataFrame) -> str:
    """How many claims hold, fail and are undecided."""
    failing = int((claims["holds"] == False).fillna(False).sum())  # noqa: E712 - missing counts as neither
    undecided = int(claims["holds"].isna().sum())
    fail = f"; {failing} {'fails' if failing == 1 else 'fail'}" if failing else ""
    return (f"{len(claims) - failing - undecided} of {len(claims)} claims hold{fail}"
            f"{f'; {undecided} undecided' if undecided else ''}")


def several_verdict(verdicts: Sequence[Verdict], unfinished: int) -> Verdict:
    """Verdict on several runs, from those that have ended."""
    agreeing = sum(verdict.tone == "good" for verdict in verdicts)
    failing = sum(verdict.tone == "bad" for verdict in verdicts)
    count = len(verdicts) + unfinished
    tail = f"; {unfinished} failed or did not come to the end" if unfinished else ""
    if not agreeing and not failing and count:
        tone = "bad" if unfinished else "open"
        return Verdict(f"{len(verdicts)} of {count} runs have come to their end{tail}.", tone)
    open_ones = len(verdicts) - agreeing - failing
    tail = f"; {open_ones} {'decides' if open_ones == 1 else 'decide'} nothing{tail}" if open_ones else tail
    sentence = f"{agreeing} of {count} runs show what their study expects"
    return Verdict(f"{sentence}{tail}.", "bad" if failing or unfinished or not agreeing else "good")
