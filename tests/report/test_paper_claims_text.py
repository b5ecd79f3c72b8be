"""The claims of papers as the terminal and the documentation show them."""

from __future__ import annotations

import pandas as pd

from agfrun.files.tables import rows_table
from agfrun.report.paper_claims import WIDTH, cell, claims_markdown, claims_text, counts
from agfrun.studies.claims import PAPER_CLAIMS

LONG = ("Whatever the weather and whoever looks, the angles of a triangle that is drawn in a plane are together two "
        "right angles, up to what the pen leaves: |a + b + c - pi| is small.")


def row(claim: str, verdict: str, **changes: object) -> dict[str, object]:
    return {"laboratory": "shapes", "paper": "Euclid, Elements", "subject": "triangle", "claim": claim,
            "statement": "It is so.", "expected": 1.0, "measured": 1.0 / 3, "tolerance": 0.1, "stated": "book I",
            "standing": "theorem", "why": "rounding", "verdict": verdict, "seconds": 0.25, **changes}


TABLE = rows_table(PAPER_CLAIMS, [
    row("angles_add_up", "holds", statement=LONG),
    row("sides_are_equal", "fails", sharper="two_sides_are_equal"),
    row("two_sides_are_equal", "holds", stated="agfrun", standing="ours", tolerance=None, why="a count is exact"),
    row("it_is_round", "undecided", subject="circle", expected=None, measured=None, tolerance=None,
        why="training ended (horizon) after 0 acquisitions"),
    row("it_is_red", "holds", laboratory="tints", paper="Newton, Opticks", subject="light", expected="red",
        measured="red", tolerance=None),
])


def test_claims_stand_under_their_laboratory_paper_and_subject() -> None:
    lines = claims_text(TABLE).splitlines()
    places = [lines.index(heading) for heading in (
        "shapes: Euclid, Elements", "  triangle", "  circle", "tints: Newton, Opticks", "  light")]
    assert places == sorted(places)
    assert lines[-1] == "5 claims of papers and ours: 3 hold, 1 fail, 1 undecided"
    assert counts(TABLE) == {"holds": 3, "fails": 1, "undecided": 1}


def test_each_statement_is_there_and_fits() -> None:
    text = claims_text(TABLE)
    assert max(map(len, text.splitlines())) <= WIDTH == 100
    assert LONG in " ".join(text.split())
    for verdict, claim in zip(TABLE["verdict"], TABLE["claim"], strict=True):
        assert any(line.split()[:2] == [verdict, claim] for line in text.splitlines())
    assert "expected 1, measured 0.3333, tolerance 0.1: rounding" in text
    assert "two_sides_are_equal (ours; 0.2 s)" in text


def test_a_failing_claim_names_the_sharper_one_and_its_verdict() -> None:
    lines = [line.strip() for line in claims_text(TABLE).splitlines()]
    place = next(place for place, line in enumerate(lines) if line.startswith("fails"))
    assert lines[place + 3] == "sharper: two_sides_are_equal, which holds"
    assert sum(line.startswith("sharper:") for line in lines) == 1


def test_an_undecided_claim_says_why_and_nothing_else() -> None:
    lines = [line.strip() for line in claims_text(TABLE).splitlines()]
    place = next(place for place, line in enumerate(lines) if line.startswith("undecided  it_is_round"))
    assert lines[place + 1: place + 4] == ["It is so.", "undecided: training ended (horizon) after 0 acquisitions", ""]


def test_a_document_has_a_table_for_each_subject() -> None:
    text = claims_markdown(TABLE)
    assert text.startswith("### Shapes: Euclid, Elements\n\n#### Triangle\n\n| claim |")
    assert "\n\n### Tints: Newton, Opticks\n\n#### Light\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(TABLE)
    assert "\\|a + b + c - pi\\| is small" in rows[0]
    assert rows[1].endswith("| **fails**; sharper: `two_sides_are_equal` |")
    assert rows[3].endswith("| - | - | - | **undecided**: training ended (horizon) after 0 acquisitions |")


def test_cells() -> None:
    assert [cell(value) for value in (None, "", float("nan"), pd.NA, 0.123456, "0.123456", "1 2 3", 40 * "x")] == [
        "-", "-", "-", "-", "0.1235", "0.1235", "1 2 3", 25 * "x" + "..."]
