"""Put the tables of a sweep of `study=agreement` into docs/agreement.md, between their two markers (`make agreement`).

python docs/make_agreement.py outputs/agreement
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from agfrun.labs.staircases.sources import LADDER, NAMES
from agfrun.report.html.numbers import percent

PAGE = Path(__file__).with_name("agreement.md")
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
# Of the presets that the sweep is over.
NETWORKS = {
    "diagonal_5d": "Diagonal, two layers, five coefficients",
    "diagonal_deep": "Diagonal, three layers, five coefficients",
    "linear_commuting": "Fully connected linear, commuting, ten modes",
    "linear_noncommuting": "Fully connected linear, non-commuting, ten modes",
    "attention_rank_one": "Linear attention, heads of rank one, four modes",
    "attention_rank_two": "Linear attention, heads of rank two, four modes",
    "relu_orthogonal": "ReLU on four orthonormal inputs",
    "modadd_small_scale": "Quadratic on modular addition, three frequencies",
}


def tables(agreement: pd.DataFrame) -> Iterator[str]:
    """A heading and a table for each network."""
    for network, title in NETWORKS.items():
        rows = agreement[agreement["experiment"] == network]
        if not len(rows):
            raise SystemExit(f"the sweep has no runs of experiment={network}")
        yield f"### {title}\n\n`experiment={network}`\n\n{table(rows)}"


def table(rows: pd.DataFrame) -> str:
    """A line for each prediction and scale."""
    lines = ["| prediction | scale | order | events | median time | worst time | worst level | within its bar | cost |",
             "|---|---|---|---|---|---|---|---|---|"]
    for source in LADDER:
        name = NAMES[source]
        for row in rows[rows["source"] == source].itertuples():
            within = "-" if pd.isna(row.within_predicted_error) else f"{row.within_predicted_error:.0f}/{row.events}"
            of = f"{row.events}/{row.predicted}" + (" activations" if row.kind == "activation" else "")
            errors = map(percent, (row.median_time_error, row.worst_time_error, row.worst_level_error))
            cells = (name, f"1e{row.log10_scale:g}", f"{row.order}/{row.runs}", of, *errors, within,
                     f"{row.share_of_training:.2g}")
            lines.append(f"| {' | '.join(cells)} |")
            name = ""
    return "\n".join(lines)


def main() -> None:
    """Replace what lies between the markers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, help="folder of the sweep")
    agreement = pd.read_csv(parser.parse_args().sweep / "agreement.csv")
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    written = "\n\n".join(tables(agreement))
    PAGE.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
