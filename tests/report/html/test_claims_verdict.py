from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from pendulums import PendulumConfig

from agfrun import Claim, Saved, Verdict, undecided
from agfrun.files.tables import rows_table
from agfrun.report.html.claims_table import claims_table
from agfrun.report.html.verdict import claims_words, several_verdict, verdict_on
from agfrun.study.claim import CLAIMS

GOOD, BAD, OPEN = (Verdict("said", tone) for tone in ("good", "bad", "open"))


def claims(*verdicts: bool | None, **changes: object) -> pd.DataFrame:
    made = [Claim(f"claim {place}", "clock", f"statement {place}", 1.0, 2.0, 0.1, holds)
            for place, holds in enumerate(verdicts)]
    return table([dataclasses.replace(claim, **changes) for claim in made])  # type: ignore[arg-type]


def table(made: Sequence[Claim]) -> pd.DataFrame:
    """As it is read back: what nobody has said is missing."""
    rows = [dataclasses.asdict(claim) for claim in made]
    return rows_table(CLAIMS, [{key: None if value == "" else value for key, value in row.items()} for row in rows])


@pytest.mark.parametrize(("verdicts", "words", "tone"), [
    ([True, True], "2 of 2 claims hold.", "good"),
    ([True, False], "1 of 2 claims hold; 1 fails.", "bad"),
    ([True, False, False, None], "1 of 4 claims hold; 2 fail; 1 undecided.", "bad"),
    ([True, None, None], "1 of 3 claims hold; 2 undecided.", "good"),
    ([None], "0 of 1 claims hold; 1 undecided.", "open"),
    ([], "The study is finished; it checks no claim.", "open"),
])
def test_a_verdict_counts_holding_failing_and_undecided_claims(
        verdicts: list[bool | None], words: str, tone: str) -> None:
    saved = Saved(Path(), {}, {"claims": claims(*verdicts)}, manifest={"study": "pendulum"})
    assert verdict_on(PendulumConfig(), saved) == Verdict(words, tone)
    if verdicts:
        assert claims_words(claims(*verdicts)) + "." == words


def test_without_a_manifest_nothing_is_said_of_claims() -> None:
    saved = Saved(Path(), {}, {"claims": claims(False)})
    assert verdict_on(PendulumConfig(), saved) == Verdict("No verdict: the study has not come to its end.", "open")


def test_the_studys_own_verdict_comes_first() -> None:
    class Own(PendulumConfig):
        def verdict(self, saved: Saved) -> Verdict:
            return GOOD

    assert verdict_on(Own(), Saved(Path(), {}, {"claims": claims(False)}, manifest={"study": "own"})) is GOOD


@pytest.mark.parametrize(("verdicts", "unfinished", "sentence", "tone"), [
    ([GOOD, GOOD], 0, "2 of 2 runs show what their study expects.", "good"),
    ([GOOD, BAD], 0, "1 of 2 runs show what their study expects.", "bad"),
    ([GOOD, GOOD], 1, "2 of 3 runs show what their study expects; 1 failed or did not come to the end.", "bad"),
    ([GOOD, OPEN, OPEN], 0, "1 of 3 runs show what their study expects; 2 decide nothing.", "good"),
    ([BAD, OPEN], 0, "0 of 2 runs show what their study expects; 1 decides nothing.", "bad"),
    ([OPEN, OPEN], 0, "2 of 2 runs have come to their end.", "open"),
    ([OPEN], 1, "1 of 2 runs have come to their end; 1 failed or did not come to the end.", "bad"),
])
def test_a_verdict_on_several(verdicts: list[Verdict], unfinished: int, sentence: str, tone: str) -> None:
    assert several_verdict(verdicts, unfinished) == Verdict(sentence, tone)


# ---- The table


def test_failing_claims_come_first_then_undecided_ones() -> None:
    made = claims_table(claims(True, None, False, True, None))
    assert [(row[0].text, row[0].tone) for row in made.rows] == [
        ("fails", "bad"), ("undecided", ""), ("undecided", ""), ("holds", "good"), ("holds", "good")]
    assert [row[1].text for row in made.rows] == [f"statement {place}" for place in (2, 1, 4, 0, 3)]


def test_columns_that_no_claim_fills_are_left_out() -> None:
    plain = ["verdict", "claim", "of", "expected", "measured", "tolerance"]
    assert [column.label for column in claims_table(claims(True)).columns] == plain
    told = claims(True, stated="Galilei 1602", standing="theorem", why="seen")
    assert [column.label for column in claims_table(told).columns] == [*plain, "stated", "standing", "why"]
    (row,) = claims_table(told).rows
    assert [cell.text for cell in row[3:]] == ["1", "2", "0.1", "Galilei 1602", "theorem", "seen"]


def test_the_sharper_statement_stands_beside_a_claim_that_fails() -> None:
    made = claims_table(claims(True, False, sharper="claim 0"))
    assert made.columns[-1].label == "sharper"
    assert [row[-1].text for row in made.rows] == ["statement 0", "–"]
    assert claims_table(claims(False, sharper="not checked here")).rows[0][-1].text == "not checked here"
    assert "sharper" not in [column.label for column in claims_table(claims(True, sharper="decays")).columns]


def test_an_undecided_claim_says_why() -> None:
    (row,) = claims_table(table([undecided("aether", "eye", "nothing pulls", "nobody has seen it")])).rows
    assert [cell.text for cell in row] == ["undecided", "nothing pulls", "eye", "–", "–", "–", "nobody has seen it"]


def test_no_claims_are_an_empty_table() -> None:
    made = claims_table(claims())
    assert len(made.rows) == 0
    assert made.columns[0].label == "verdict"
