"""The table of claims as text."""

from __future__ import annotations

import pandas as pd

from agfrun.study.claim import FAILS, HOLDS, UNDECIDED

HEADING = ("verdict", "claim", "network", "stated", "expected", "measured", "tolerance", "seconds")
NUMBERS = HEADING[4:]
LONGEST_TEXT = 28
SHARPER = "  sharper: "


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many claims have each verdict."""
    return {verdict: int((table["verdict"] == verdict).sum()) for verdict in (HOLDS, FAILS, UNDECIDED)}


def claims_text(table: pd.DataFrame) -> str:
    """Aligned lines: one a claim, a failing one followed by our sharper statement, and a line of counts."""
    shown = table.set_index("claim", drop=False)
    cells: list[tuple[str, ...]] = [HEADING]
    for _, row in table.iterrows():
        cells.append(_cells(row))
        if row["verdict"] == FAILS and row["sharper"] in shown.index:
            cells.append(_cells(shown.loc[row["sharper"]], SHARPER))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.rjust(width) if name in NUMBERS else cell.ljust(width)
                       for name, cell, width in zip(HEADING, line, widths, strict=True)).rstrip() for line in cells]
    found = counts(table)
    reasons = [f"{row['claim']} is undecided: {row['why']}" for _, row in table.iterrows()
               if row["verdict"] == UNDECIDED]
    told = f"{found[HOLDS]} hold, {found[FAILS]} fail, {found[UNDECIDED]} undecided"
    return "\n".join([*lines, *reasons, f"{len(table)} claims of the paper and ours: {told}"])


def _cells(row: pd.Series, before: str = "") -> tuple[str, ...]:
    return (row["verdict"], before + row["claim"], row["network"], row["stated"], cell(row["expected"]),
            cell(row["measured"]), cell(row["tolerance"]), f"{row['seconds']:.1f}")


def cell(value: object) -> str:
    """A number with 4 digits, or a text cut to what fits; `-` for nothing."""
    if value is None or value == "" or (isinstance(value, float) and value != value):
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
    """The table for a document: a row a claim, failing ones in bold, each network under a heading of its own."""
    lines = []
    for network, claims in table.groupby("network", sort=False):
        lines += ["", f"### {str(network).replace('_', ' ').capitalize()}", "",
                  "| claim | stated | standing | expected | measured | tolerance | verdict |",
                  "|---|---|---|---|---|---|---|"]
        for _, row in claims.iterrows():
            verdict = row["verdict"] if row["verdict"] == HOLDS else f"**{row['verdict']}**"
            if row["verdict"] == FAILS:
                verdict += f"; sharper: `{row['sharper']}`"
            statement = str(row["statement"]).replace("|", "\\|")
            lines.append(f"| `{row['claim']}`: {statement} | {row['stated']} | {row['standing']} | "
                         f"{cell(row['expected'])} | {cell(row['measured'])} | {cell(row['tolerance'])} | {verdict} |")
    return "\n".join(lines).strip()
