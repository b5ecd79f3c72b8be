"""Put the table of a run of `agfrun claims` into docs/claims.md, between its two markers.

agfrun claims hydra.run.dir=outputs/claims/docs
python docs/make_claims.py outputs/claims/docs
"""

from __future__ import annotations

import argparse
from pathlib import Path

from agfrun import read_run
from agfrun.report.paper_claims import claims_markdown, counts

PAGE = Path(__file__).with_name("claims.md")
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def main() -> None:
    """Replace what lies between the markers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path, help="folder of a run of `agfrun claims`")
    _, saved = read_run(parser.parse_args().run_dir)
    table = saved.tables["paper_claims"]
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    found = counts(table)
    told = f"{len(table)} claims: {found['holds']} hold, {found['fails']} fail, {found['undecided']} undecided."
    PAGE.write_text(f"{before}{BEGIN}\n{told}\n\n{claims_markdown(table)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
