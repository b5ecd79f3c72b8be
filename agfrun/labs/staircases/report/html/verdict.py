"""The verdict in one sentence, from what a folder has saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.labs.staircases.report.saved import SavedRun
from agfrun.labs.staircases.run import comparison as compare
from agfrun.report.html.numbers import percent
from agfrun.study.verdict import Verdict

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


def run_verdict(numbers: Mapping[str, Any], status: str | None, compared: bool, predicted: int) -> Verdict:
    """Verdict on a run.

    Args:
        numbers: of `run_numbers`.
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


def verdict_on_run(saved: SavedRun) -> Verdict:
    """Verdict on a run that was read back."""
    training = saved.manifest.get("training")
    status = training.get("status") if isinstance(training, dict) else saved.done.get("status")
    compared = saved.is_compared and bool((saved.loss["source"] == "training").any())
    predicted = saved.events[(saved.events["source"] == saved.main) & (saved.events["kind"] == "acquisition")]
    own = saved.comparison[saved.comparison["source"] == saved.main]
    return run_verdict(run_numbers(own), status, compared, len(predicted))


def sweep_verdict(runs: pd.DataFrame) -> Verdict | None:
    """Verdict on the ended runs of a sweep, from its table `runs.csv`; None where nothing was compared."""
    order = orders_agree(runs)
    known = order[np.isfinite(order)]
    if not len(known):
        return None
    errors = pd.to_numeric(runs["worst_time_error"]).dropna()
    middle = f"; median worst error of a time {percent(float(errors.median()))}" if len(errors) else ""
    return Verdict(f"{int(known.sum())} of {len(known)} runs learn all features in predicted order{middle}",
                   "good" if known.all() else "bad")


def orders_agree(runs: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Of each run, whether it learned everything in the predicted order: 1, 0, or NaN where nothing is predicted."""
    if "in_predicted_order" not in runs or "predicted_acquisitions" not in runs:
        return np.full(len(runs), np.nan)
    in_order = pd.to_numeric(runs["in_predicted_order"]).to_numpy(dtype=float, na_value=np.nan)
    predicted = pd.to_numeric(runs["predicted_acquisitions"]).to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(in_order) & (predicted > 0)
    return np.where(known, (in_order == predicted).astype(float), np.nan)


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


def _drops(count: int) -> str:
    return f"{count} drop" if count == 1 else f"{count} drops"
