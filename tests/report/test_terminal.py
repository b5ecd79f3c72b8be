from __future__ import annotations

from typing import Any

import pandas as pd

from agfrun.files import tables
from agfrun.labs.staircases.report.terminal import comparison_text


def _comparison(*rows: dict[str, Any]) -> pd.DataFrame:
    return tables.rows_table(tables.COMPARISON, rows)


def _claims(*verdicts: bool | None) -> pd.DataFrame:
    rows = [{"claim": f"claim_{place}", "holds": holds} for place, holds in enumerate(verdicts)]
    return tables.rows_table(tables.CLAIMS, rows)


def test_acquisitions_come_first_with_four_digits() -> None:
    text = comparison_text(_comparison(
        {"kind": "activation", "feature": "3", "neuron_agf": 7, "neuron_training": 7, "time_agf": 123.456},
        {
            "kind": "acquisition", "feature": "1", "time_agf": 17.89749, "time_training": 18.2,
            "time_ratio": 0.98337, "level_agf": 1.56253, "level_training": 0.00015625,
        },
    ))
    lines = text.splitlines()
    assert lines[1].split() == [
        "event", "feature", "predicted", "measured", "ratio", "predicted", "measured"
    ]
    assert lines[2].split() == ["acquisition", "1", "17.9", "18.2", "0.9834", "1.563", "0.0001563"]
    assert lines[3].split() == ["activation", "of", "7", "3", "123.5", "-", "-", "-", "-"]


def test_columns_are_aligned_and_fit_a_terminal() -> None:
    widest = {
        "kind": "activation", "feature": "13", "neuron_agf": 499, "time_agf": 1.2345e10,
        "time_training": 1.2345e10, "time_ratio": 0.012345, "level_agf": 1.2345e-16,
        "level_training": 1.2345e-16,
    }
    lines = comparison_text(_comparison(widest, {"kind": "collapse", "feature": "2"})).splitlines()
    assert max(map(len, lines)) <= 80
    ends = [len(line) for line in lines]
    assert len(set(ends)) == 1


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = [{"kind": "activation", "feature": "1", "neuron_agf": place} for place in range(500)]
    lines = comparison_text(_comparison(*rows)).splitlines()
    assert len(lines) < 50
    assert lines[-1] == "... and 460 more in comparison.csv"


def test_no_events() -> None:
    assert comparison_text(tables.empty_table(tables.COMPARISON)) == "no events to compare"


def test_claims_are_counted_and_failing_ones_named() -> None:
    lines = comparison_text(_comparison(), _claims(True, True, False, None)).splitlines()
    assert lines[-1] == "claims: 2 hold, 1 fails: claim_2"
    assert comparison_text(_comparison(), _claims(True)).splitlines()[-1] == "claims: 1 holds, none fails"


def test_many_failing_claims_are_wrapped() -> None:
    lines = comparison_text(_comparison(), _claims(*[False] * 30)).splitlines()[1:]
    assert lines[0].startswith("claims: 0 hold, 30 fail: claim_0, claim_1,")
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).count("claim_") == 30
