from __future__ import annotations

from pathlib import Path

from agfrun import Claim, StudyResult, undecided
from agfrun.study.study import LINE_WIDTH, claims_line


def _claims(*verdicts: bool | None) -> list[Claim]:
    return [Claim(f"claim_{place}", "training", "it is so", 1.0, 1.0, 0.1, holds)
            for place, holds in enumerate(verdicts)]


def test_claims_are_counted_and_failing_ones_named() -> None:
    assert claims_line(_claims(True, True, False)) == "claims: 2 hold, 1 fails: claim_2"
    assert claims_line(_claims(True, True, False, None)) == "claims: 2 hold, 1 undecided, 1 fails: claim_2"
    assert claims_line(_claims(True)) == "claims: 1 holds, none fails"
    assert claims_line([undecided("open", "training", "it may be so", "nobody looked")]) == (
        "claims: nothing decided, 1 undecided")


def test_many_failing_claims_are_wrapped() -> None:
    lines = claims_line(_claims(*[False] * 30)).splitlines()
    assert lines[0].startswith("claims: 0 hold, 30 fail: claim_0, claim_1,")
    assert max(map(len, lines)) <= LINE_WIDTH
    assert " ".join(lines).count("claim_") == 30


def test_a_summary_is_the_text_the_claims_and_the_folder() -> None:
    assert StudyResult().summary() == ""
    assert StudyResult(text="all is well").summary() == "all is well"
    whole = StudyResult(claims=_claims(True), text="all is well", folder=Path("runs/1"))
    assert whole.summary().splitlines() == ["all is well", "claims: 1 holds, none fails", "written to runs/1"]
