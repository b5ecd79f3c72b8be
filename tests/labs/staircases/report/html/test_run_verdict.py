from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from agfrun.files.tables import rows_table
from agfrun.labs.staircases.report.html.verdict import run_numbers, run_verdict, sweep_verdict
from agfrun.labs.staircases.run.tables import COMPARISON


def _numbers(predicted: int, measured: int, in_order: int, time: float | None, level: float | None) -> dict[str, Any]:
    return {"order_agrees": in_order == predicted if predicted else None, "predicted_acquisitions": predicted,
            "measured_acquisitions": measured, "in_predicted_order": in_order,
            "worst_time_error": time, "worst_level_error": level}


@pytest.mark.parametrize(("numbers", "status", "compared", "sentence", "tone"), [
    (_numbers(5, 5, 5, 0.0208, 0.0031), "converged", True,
     "5 of 5 drops in predicted order; times within 2.1%; levels within 0.31%.", "good"),
    (_numbers(5, 4, 2, 0.5, None), "horizon", True,
     "Times are off by 50%: 2 of 5 drops in predicted order; 1 not seen in training; times within 50%.", "bad"),
    (_numbers(2, 2, 2, 0.36, 0.5), "converged", True,
     "Times are off by 36%, levels are off by 50%: 2 of 2 drops in predicted order; times within 36%; levels within "
     "50%.", "bad"),
    (_numbers(3, 0, 0, None, None), "horizon", True,
     "Nothing was measured: training ended (horizon) before any of 3 drops that AGF predicts.", "open"),
    (_numbers(3, 0, 0, None, None), "converged", True,
     "None of 3 drops that AGF predicts was seen in training.", "bad"),
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


def test_the_verdict_names_the_prediction() -> None:
    sentences = [run_verdict(_numbers(*numbers, None, None), status, numbers[0] > 0, 2, source="decoupled").sentence
                 for numbers, status in (((3, 0, 0), "horizon"), ((3, 0, 0), "converged"), ((0, 0, 0), None))]
    assert all("the decoupled flow predicts" in sentence and "AGF" not in sentence for sentence in sentences)
    nothing = run_verdict(_numbers(0, 0, 0, None, None), "converged", True, 0, source="decoupled")
    assert nothing.sentence.startswith("The decoupled flow predicts no drop")


def test_a_failing_claim_is_in_the_first_words_and_the_colour() -> None:
    good = _numbers(5, 5, 5, 0.02, 0.003)
    for failing, lead in ((["a"], "1 claim fails: "), (["a", "b"], "2 claims fail: ")):
        verdict = run_verdict(good, "converged", True, 5, failing)
        assert verdict.sentence.startswith(f"{lead}5 of 5 drops")
        assert verdict.tone == "bad"


def test_numbers_come_from_the_acquisitions() -> None:
    rows = [{"kind": "acquisition", "time_training": 2.0, "time_ratio": 1.1, "level_error": 0.2,
             "order_matches": True},
            {"kind": "acquisition", "order_matches": False},
            {"kind": "activation", "time_training": 3.0, "time_ratio": 9.0, "level_error": 9.0, "order_matches": True}]
    assert run_numbers(rows_table(COMPARISON, rows)) == pytest.approx(_numbers(2, 1, 1, 0.1, 0.2))


def test_what_is_measured_counts_where_its_time_is_not_compared() -> None:
    rows = [{"kind": "acquisition", "time_training": 2.0, "level_error": 0.2, "order_matches": True}]
    found = run_numbers(rows_table(COMPARISON, rows))
    assert (found["measured_acquisitions"], found["in_predicted_order"]) == (1, 1)
    assert found["worst_time_error"] is None


def _runs(*rows: tuple[int, int, float | None]) -> pd.DataFrame:
    names = ["predicted_acquisitions", "in_predicted_order", "worst_time_error"]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize(("runs", "sentence", "tone"), [
    ([(3, 3, 0.02), (3, 3, 0.04)],
     "2 of 2 runs learn all features in predicted order; worst error of a time: median 3%, largest 4%", "good"),
    ([(3, 3, 0.02), (3, 1, 0.04), (3, 3, 0.5)], "Times are off by 50%: 2 of 3 runs learn all features in predicted "
     "order; worst error of a time: median 4%, largest 50%", "bad"),
    ([(3, 3, 0.02), (3, 3, 0.36)], "Times are off by 36%: 2 of 2 runs learn all features in predicted order; worst "
     "error of a time: median 19%, largest 36%", "bad"),
    ([(2, 0, None)], "0 of 1 runs learn all features in predicted order", "bad"),
    # Of a run without a predicted drop nothing can be said.
    ([(3, 3, 0.02), (0, 0, None)],
     "1 of 1 runs learn all features in predicted order; worst error of a time: median 2%, largest 2%", "good")])
def test_verdict_of_a_sweep(runs: list[tuple[int, int, float | None]], sentence: str, tone: str) -> None:
    verdict = sweep_verdict(_runs(*runs))
    assert verdict is not None
    assert (verdict.sentence, verdict.tone) == (sentence, tone)


def test_a_sweep_with_failing_claims_says_so_first() -> None:
    runs = _runs((3, 3, 0.02), (3, 3, 0.04)).assign(claims=[10, 10], claims_hold=[7, 7], claims_undecided=[3, 2])
    verdict = sweep_verdict(runs)
    assert verdict is not None
    assert verdict.sentence.startswith("Claims fail in 1 of 2 runs: 2 of 2 runs learn")
    assert verdict.tone == "bad"


@pytest.mark.parametrize("runs", [_runs((0, 0, None)), pd.DataFrame({"run": ["of", "other studies"]}), _runs()])
def test_a_sweep_that_compares_nothing_has_no_verdict_of_its_own(runs: pd.DataFrame) -> None:
    assert sweep_verdict(runs) is None
