"""The verdict in one sentence, from what a folder has saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.labs.staircases.claims.finite_scale import WRONG_TIME
from agfrun.labs.staircases.report.saved import SavedRun
from agfrun.labs.staircases.run import comparison as compare
from agfrun.labs.staircases.sources import AGF, in_words
from agfrun.report.html.numbers import percent
from agfrun.study.claim import failing_claims
from agfrun.study.verdict import Verdict

# What a claim allows a time at most, levels are held to as well.
WRONG = WRONG_TIME
_STOPPED = {"diverged": "training diverged", "stalled": "training stalled",
            "interrupted": "training was interrupted", "failed": "the run failed"}


def run_numbers(comparison: pd.DataFrame) -> dict[str, Any]:
    """The numbers of a run's verdict (see `staircases.run.comparison.verdict`).

    Args:
        comparison: the rows of the main prediction in `comparison.csv`.
    """
    rows = comparison.astype(object).where(comparison.notna(), float("nan")).to_dict("records")
    for row in rows:
        row["order_matches"] = row["order_matches"] is True
    return compare.verdict(rows)


def run_verdict(numbers: Mapping[str, Any], status: str | None, compared: bool, predicted: int,
                failing: Sequence[str] = (), source: str = AGF) -> Verdict:
    """Verdict on a run; what is wrong comes first.

    Args:
        numbers: of `run_numbers`.
        status: of training; None where it did not come to its end.
        compared: whether there is a comparison.
        predicted: acquisitions that are predicted.
        failing: names of the claims that fail.
        source: of the main prediction.
    """
    name = in_words(source)
    if not compared:
        return Verdict(f"No verdict: training has not come to its end; {name} predicts {_drops(predicted)}.", "open")
    expected, met = int(numbers["predicted_acquisitions"]), int(numbers["measured_acquisitions"])
    stopped = _STOPPED.get(status or "", "")
    if expected and not met and not stopped and status != "converged":
        return Verdict(f"Nothing was measured: training ended ({status}) before any of {_drops(expected)} that {name} "
                       "predicts.", "open")
    in_order = int(numbers["in_predicted_order"])
    wrong = [stopped] if stopped else _wrong(numbers["worst_time_error"], numbers["worst_level_error"])
    wrong += [f"{len(failing)} {'claim fails' if len(failing) == 1 else 'claims fail'}"] if failing else []
    good = not wrong and met == expected == in_order
    return Verdict(f"{_led(wrong, _agreement(expected, met, in_order, numbers, name))}.",
                   "bad" if not good else "good" if expected else "open")


def verdict_on_run(saved: SavedRun) -> Verdict:
    """Verdict on a run that was read back."""
    training = saved.manifest.get("training")
    status = training.get("status") if isinstance(training, dict) else saved.done.get("status")
    compared = saved.is_compared and bool((saved.loss["source"] == "training").any())
    predicted = saved.events[(saved.events["source"] == saved.main) & (saved.events["kind"] == "acquisition")]
    own = saved.comparison[saved.comparison["source"] == saved.main]
    return run_verdict(run_numbers(own), status, compared, len(predicted), failing_claims(saved.claims), saved.main)


def sweep_verdict(runs: pd.DataFrame) -> Verdict | None:
    """Verdict on the ended runs of a sweep, from its table `runs.csv`; None where nothing was compared."""
    order = orders_agree(runs)
    known = order[np.isfinite(order)]
    if not len(known):
        return None
    times = pd.to_numeric(runs["worst_time_error"]).dropna()
    wrong = _wrong(float(times.max()) if len(times) else None, None)
    failing = _runs_with_failing_claims(runs)
    wrong += [f"claims fail in {failing} of {len(runs)} runs"] if failing else []
    spread = f"; worst error of a time: median {percent(float(times.median()))}, largest {percent(float(times.max()))}"
    agreeing = f"{int(known.sum())} of {len(known)} runs learn all features in predicted order"
    return Verdict(_led(wrong, f"{agreeing}{spread if len(times) else ''}"),
                   "good" if known.all() and not wrong else "bad")


def _wrong(time_error: float | None, level_error: float | None) -> list[str]:
    """Errors that are too large for an agreement, in words."""
    return [f"{name} are off by {percent(error)}" for name, error in (("times", time_error), ("levels", level_error))
            if error is not None and not is_missing(error) and error > WRONG]


def _led(wrong: Sequence[str], sentence: str) -> str:
    """A sentence that begins with what is wrong, and with a capital letter."""
    text = f"{', '.join(wrong)}: {sentence}" if wrong else sentence
    return f"{text[0].upper()}{text[1:]}"


def _runs_with_failing_claims(runs: pd.DataFrame) -> int:
    """In how many runs a claim fails; those of old folders do not say how many are undecided."""
    if not {"claims", "claims_hold", "claims_undecided"} <= set(runs.columns):
        return 0
    claims, hold, undecided = (pd.to_numeric(runs[name]) for name in ("claims", "claims_hold", "claims_undecided"))
    return int((claims - hold - undecided > 0).sum())


def orders_agree(runs: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Of each run, whether it learned everything in the predicted order: 1, 0, or NaN where nothing is predicted."""
    if "in_predicted_order" not in runs or "predicted_acquisitions" not in runs:
        return np.full(len(runs), np.nan)
    in_order = pd.to_numeric(runs["in_predicted_order"]).to_numpy(dtype=float, na_value=np.nan)
    predicted = pd.to_numeric(runs["predicted_acquisitions"]).to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(in_order) & (predicted > 0)
    return np.where(known, (in_order == predicted).astype(float), np.nan)


def _agreement(expected: int, met: int, in_order: int, numbers: Mapping[str, Any], name: str) -> str:
    if not expected:
        return f"{name} predicts no drop within its limits, so there is nothing to compare"
    if not met:
        return f"none of {_drops(expected)} that {name} predicts was seen in training"
    parts = [f"{in_order} of {_drops(expected)} in predicted order"]
    if met < expected:
        parts.append(f"{expected - met} not seen in training")
    for name, error in (("times", "worst_time_error"), ("levels", "worst_level_error")):
        if not is_missing(numbers[error]):
            parts.append(f"{name} within {percent(numbers[error])}")
    return "; ".join(parts)


def _drops(count: int) -> str:
    return f"{count} drop" if count == 1 else f"{count} drops"
