"""The table of claims of papers as text, for the terminal and for documents."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pandas as pd

from agfrun.files.tables import is_missing
from agfrun.study.claim import FAILS, HOLDS, UNDECIDED
from agfrun.study.paper_claim import OURS

WIDTH = 100
LONGEST_TEXT = 28
# Statements stand to the right of the verdicts.
VERDICT_WIDTH = len(UNDECIDED) + 2


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many claims have each verdict."""
    return {verdict: int((table["verdict"] == verdict).sum()) for verdict in (HOLDS, FAILS, UNDECIDED)}


def claims_text(table: pd.DataFrame) -> str:
    """By laboratory, paper and subject: each verdict, statement and what was found, and a line of counts.

    A failing claim is followed by our sharper statement, an undecided one by the reason.
    """
    verdicts = dict(zip(table["claim"], table["verdict"], strict=True))
    lines = []
    for laboratory, paper, subjects in _grouped(table):
        lines += [*textwrap.wrap(f"{laboratory}: {paper}", WIDTH), ""]
        for subject, rows in subjects:
            lines.append(f"  {subject}")
            lines += [line for row in rows for line in _lines(row, verdicts)]
            lines.append("")
    found = counts(table)
    told = f"{found[HOLDS]} hold, {found[FAILS]} fail, {found[UNDECIDED]} undecided"
    return "\n".join([*lines, f"{len(table)} {'claim' if len(table) == 1 else 'claims'} of papers and ours: {told}"])


def _lines(row: dict[str, object], verdicts: dict[str, str]) -> Iterator[str]:
    said = "ours" if row["stated"] == OURS else f"{row['stated']}; {row['standing']}"
    where = f"{row['claim']} ({said}; {row['seconds']:.1f} s)"
    yield from _wrapped(where, str(row["verdict"]))
    yield from _wrapped(str(row["statement"]))
    if row["verdict"] == UNDECIDED:
        yield from _wrapped(f"undecided: {row['why']}")
        return
    tolerance = "" if is_missing(row["tolerance"]) else f", tolerance {cell(row['tolerance'])}"
    yield from _wrapped(f"expected {cell(row['expected'])}, measured {cell(row['measured'])}{tolerance}: {row['why']}")
    if row["verdict"] == FAILS and row["sharper"] in verdicts:
        yield from _wrapped(f"sharper: {row['sharper']}, which {_says(verdicts[str(row['sharper'])])}")


def _says(verdict: str) -> str:
    return "is undecided" if verdict == UNDECIDED else verdict


def _wrapped(text: str, verdict: str = "") -> list[str]:
    """A text in a column of its own, the verdict before its first line."""
    return textwrap.wrap(text, WIDTH, initial_indent=f"    {verdict.ljust(VERDICT_WIDTH)}",
                         subsequent_indent=" " * (4 + VERDICT_WIDTH), break_long_words=False, break_on_hyphens=False)


def cell(value: object) -> str:
    """A number with 4 digits, or a text cut to what fits; `-` for nothing."""
    if is_missing(value) or value == "":
        return "-"
    if isinstance(value, int | float):
        return f"{value:.4g}"
    text = str(value)
    try:
        return f"{float(text):.4g}"  # read back from a file, where numbers and texts share a column
    except ValueError:
        pass
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."


def claims_markdown(table: pd.DataFrame) -> str:
    """The table for a document: a row a claim, those that do not hold in bold, under headings of paper and subject."""
    lines = []
    for laboratory, paper, subjects in _grouped(table):
        lines += ["", f"### {laboratory.capitalize()}: {paper}"]
        for subject, rows in subjects:
            lines += ["", f"#### {subject.replace('_', ' ').capitalize()}", "",
                      "| claim | stated | standing | expected | measured | tolerance | verdict |",
                      "|---|---|---|---|---|---|---|", *(_markdown_row(row) for row in rows)]
    return "\n".join(lines).strip()


def _markdown_row(row: dict[str, object]) -> str:
    verdict = row["verdict"] if row["verdict"] == HOLDS else f"**{row['verdict']}**"
    if row["verdict"] == UNDECIDED:
        verdict = f"{verdict}: {row['why']}"
    elif row["verdict"] == FAILS and not is_missing(row["sharper"]) and row["sharper"]:
        verdict = f"{verdict}; sharper: `{row['sharper']}`"
    cells = [f"`{row['claim']}`: {row['statement']}", row["stated"], row["standing"], cell(row["expected"]),
             cell(row["measured"]), cell(row["tolerance"]), verdict]
    return f"| {' | '.join(str(text).replace('|', chr(92) + '|') for text in cells)} |"


def _grouped(table: pd.DataFrame) -> Iterator[tuple[str, str, list[tuple[str, list[dict[str, object]]]]]]:
    """Laboratory, paper, and their subjects with the rows of each, in the table's order."""
    for (laboratory, paper), of_paper in table.groupby(["laboratory", "paper"], sort=False):
        yield str(laboratory), str(paper), [(str(subject), rows.to_dict("records"))
                                            for subject, rows in of_paper.groupby("subject", sort=False)]
