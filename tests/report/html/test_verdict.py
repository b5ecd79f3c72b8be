from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from agfrun.files import tables
from agfrun.labs.staircases.report.ensemble_tables import MEMBERS
from agfrun.labs.staircases.report.html.verdict import claims_verdict, ensemble_verdict, run_numbers, run_verdict


def _numbers(predicted: int, measured: int, in_order: int, time: float | None, level: float | None) -> dict[str, Any]:
    return {"predicted_acquisitions": predicted, "measured_acquisitions": measured, "in_predicted_order": in_order,
            "worst_time_error": time, "worst_level_error": level}


@pytest.mark.parametrize(("numbers", "status", "compared", "sentence", "tone"), [
    (_numbers(5, 5, 5, 0.0208, 0.0031), "converged", True,
     "5 of 5 drops in predicted order; times within 2.1%; levels within 0.31%.", "good"),
    (_numbers(5, 4, 2, 0.5, None), "horizon", True,
     "2 of 5 drops in predicted order; 1 not seen in training; times within 50%.", "bad"),
    (_numbers(3, 1, 1, 0.1, 0.1), "diverged", True,
     "Training diverged: 1 of 3 drops in predicted order; 2 not seen in training; times within 10%; levels within 10%.",
     "bad"),
    (_numbers(1, 0, 0, None, None), "interrupted", True,
     "Training was interrupted: none of 1 drop that AGF predicts was seen in training.", "bad"),
    (_numbers(0, 0, 0, None, None), "converged", True,
     "AGF predicts no drop within its limits, so there is nothing to compare.", "open"),
    (_numbers(0, 0, 0, None, None), None, False,
     "No verdict: training has not come to its end; AGF predicts 2 drops.", "open")])
def test_verdict_of_a_run(numbers: dict[str, Any], status: str | None, compared: bool, sentence: str, tone: str
                          ) -> None:
    verdict = run_verdict(numbers, status, compared, 2)
    assert (verdict.sentence, verdict.tone) == (sentence, tone)


def test_numbers_come_from_the_acquisitions() -> None:
    rows = [{"kind": "acquisition", "time_ratio": 1.1, "level_error": 0.2, "order_matches": True},
            {"kind": "acquisition", "order_matches": False},
            {"kind": "activation", "time_ratio": 9.0, "level_error": 9.0, "order_matches": True}]
    found = run_numbers(tables.rows_table(tables.COMPARISON, rows))
    assert found == pytest.approx(_numbers(2, 1, 1, 0.1, 0.2))


def test_verdict_of_an_ensemble_counts_lost_members() -> None:
    members = tables.rows_table(MEMBERS, [
        {"status": "converged", "order_agrees": True, "worst_time_error": 0.02},
        {"status": "horizon", "order_agrees": False, "worst_time_error": 0.04}, {"status": "diverged"}])
    assert ensemble_verdict(members).sentence == (
        "1 of 2 members learn all features in predicted order; times within 4% (median 3%); "
        "1 did not come to the end.")
    assert ensemble_verdict(members.tail(1)).tone == "bad"


def test_verdict_of_a_study() -> None:
    claims = tables.rows_table(tables.CLAIMS, [{"claim": "a", "holds": True}, {"claim": "b", "holds": False},
                                               {"claim": "c", "holds": None}])
    assert claims_verdict(claims, True).sentence == "1 of 3 claims hold; 1 fails."
    assert claims_verdict(pd.DataFrame({"holds": []}), False).tone == "open"
