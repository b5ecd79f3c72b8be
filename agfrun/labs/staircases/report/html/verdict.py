"""The verdict in one sentence, from what a folder has saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.labs.staircases.run import comparison as compare
from agfrun.report.html.numbers import percent

_STOPPED = {"diverged": "training diverged", "stalled": "training stalled",
            "interrupted": "training was interrupted", "failed": "the run failed"}


@dataclass(frozen=True)
class Verdict:
    """The sentence and its tone: `good`, `bad`, or `open` where nothing can be said."""

    sentence: str
    tone: str


def run_numbers(comparison: pd.DataFrame) -> dict[str, Any]:
    """The numbers of a run's verdict (see `staircases.run.comparison.verdict`) from its table `comparison.csv`."""
    rows = comparison.astype(object).where(comparison.notna(), float("nan")).to_dict("records")
    for row in rows:
        row["order_matches"] = row["order_matches"] is True
    return compare.verdict(rows)


def run_verdict(numbers: Mapping[str, Any], status: str | None, compared: bool, predicted: int) -> Verdict:
    """Verdict on a run.

    Args:
        numbers: of `run_numbers`, or a row of members.csv with the same names.
        status: of training; None where it did not come to its end.
        compared: whether there is a comparison.
        predicted: acquisitions that AGF predicts.
    """
    if not compared:
        return Verdict(f"No verdict: training has not come to its end; AGF predicts {_drops(predicted)}.", "open")
    expected, met = int(numbers["predicted_acquisitions"]), int(numbers["measured_acquisitions"])
    stopped = _STOPPED.get(status or "", "")
    good = not stopped and met == expected == numbers["in_predicted_order"]
    tone = "bad" if stopped or not good else "good" if expected else "open"
    sentence = _agreement(expected, met, int(numbers["in_predicted_order"]), numbers)
    return Verdict(f"{stopped[0].upper()}{stopped[1:]}: {sentence}." if stopped else f"{sentence}.", tone)


def _agreement(expected: int, met: int, in_order: int, numbers: Mapping[str, Any]) -> str:
    if not expected:
        return "AGF predicts no drop within its limits, so there is nothing to compare"
    if not met:
        return f"none of {_drops(expected)} that AGF predicts was seen in training"
    parts = [f"{in_order} of {_drops(expected)} in predicted order"]
    if met < expected:
        parts.append(f"{expected - met} not seen in training")
    for name, error in (("times", "worst_time_error"), ("levels", "worst_level_error")):
        if not is_missing(numbers[error]):
            parts.append(f"{name} within {percent(numbers[error])}")
    return "; ".join(parts)


def ensemble_verdict(members: pd.DataFrame) -> Verdict:
    """Verdict on an ensemble from its table `members.csv`."""
    finished = members[members["status"].isin(["converged", "horizon"])]
    lost = len(members) - len(finished)
    tail = f"; {lost} did not come to the end" if lost else ""
    if not len(finished):
        return Verdict(f"No verdict: none of {len(members)} members came to its end.", "bad")
    agreeing = int(finished["order_agrees"].fillna(False).sum())
    sentence = f"{agreeing} of {len(finished)} members learn all features in predicted order"
    for name, column in (("times", "worst_time_error"), ("levels", "worst_level_error")):
        errors = finished[column].dropna()
        if len(errors):
            sentence += f"; {name} within {percent(float(errors.max()))} (median {percent(float(errors.median()))})"
    return Verdict(f"{sentence}{tail}.", "good" if agreeing == len(members) else "bad")


def claims_verdict(claims: pd.DataFrame, done: bool) -> Verdict:
    """Verdict on a study from its table `claims.csv`."""
    if not done:
        return Verdict("No verdict: the study has not come to its end.", "open")
    failing = int((claims["holds"] == False).fillna(False).sum())  # noqa: E712 - missing counts as neither
    if not len(claims):
        return Verdict("The study is finished; it checks no claim.", "open")
    holding = int((claims["holds"] == True).fillna(False).sum())  # noqa: E712
    tail = f"; {failing} {'fails' if failing == 1 else 'fail'}" if failing else ""
    return Verdict(f"{holding} of {len(claims)} claims hold{tail}.", "bad" if failing else "good")


def several_verdict(verdicts: Sequence[Verdict], unfinished: int) -> Verdict:
    """Verdict on several runs."""
    agreeing = sum(verdict.tone == "good" for verdict in verdicts)
    count = len(verdicts) + unfinished
    sentence = f"{agreeing} of {count} runs agree with their prediction in every drop and its order"
    tail = f"; {unfinished} failed or did not come to the end" if unfinished else ""
    return Verdict(f"{sentence}{tail}.", "good" if agreeing == count and count else "bad")


def _drops(count: int) -> str:
    return f"{count} drop" if count == 1 else f"{count} drops"
