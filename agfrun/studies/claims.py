"""The claims of the papers, each decided by the smallest experiments that can (`agfrun claims`)."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from tqdm import tqdm

from agfrun.files.series import attempt
from agfrun.files.tables import rows_table
from agfrun.report.paper_claims import claims_text, counts
from agfrun.study.checks import require, require_seeds
from agfrun.study.claim import CLAIMS, Claim
from agfrun.study.paper_claim import OURS, Contexts, Finding, Inconclusive, PaperClaim, chosen_claims, undecided
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Number, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

PAPER_CLAIMS = Schema("paper_claims.csv", (
    Column("laboratory", "text", "which laboratory decides it"),
    Column("paper", "text", "which paper it is of, or about"),
    Column("subject", "text", "the network or object that it is about"),
    *CLAIMS.columns,
    Column("seeds", "text", "seeds of the initializations that were tried"),
    Column("deviation", "number", "distance of measured from expected in units of the tolerance"),
    Column("verdict", "text", "holds, fails or undecided"),
    Column("seconds", "number", "wall seconds"),
), "the claims of the papers and their verdicts")
NUMBERS = (
    Number("holds", "claims that hold", "integer", in_figures=False),
    Number("fails", "claims that fail", "integer", in_figures=False),
    Number("undecided", "claims that are undecided", "integer", in_figures=False),
)


@register("study")
@dataclass
class ClaimsConfig(Study):
    """The claims of the papers, each decided by the smallest experiments that can.

    `only` are claims, subjects or laboratories by name, null is all; `seeds` is the number of initializations that each
    experiment is repeated from, counted from `seed`.
    """

    name: str = "claims"
    only: list[str] | None = None
    seeds: int = 3

    settings: ClassVar[type] = RunSettings
    tables = (PAPER_CLAIMS,)
    numbers = NUMBERS

    def check(self, config: RunSettings) -> None:
        """See `Study.check`."""
        require_seeds(self.seeds)
        require("dtype", config.dtype, config.dtype == "float64", "float64 with study=claims")
        require("study.only", self.only, self.only is None or len(self.only) > 0,
                "a list of claims, subjects or laboratories, or null for all")
        if self.only is not None:
            chosen_claims(self.only)

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        contexts = Contexts(range(config.seed, config.seed + self.seeds), config.device)
        rows, chosen = list[dict[str, Any]](), chosen_claims(self.only)
        bench.save({PAPER_CLAIMS.name: rows_table(PAPER_CLAIMS, rows)})  # what is remembered is kept from here on
        with tqdm(chosen, disable=not bench.shows, desc="claims", file=sys.stderr, leave=False) as bar:
            for claim in bar:
                bar.set_postfix_str(claim.name)
                rows.append(bench.remember(claim.name, partial(decide, claim, contexts)))
                bench.save({PAPER_CLAIMS.name: rows_table(PAPER_CLAIMS, rows)})
        table = rows_table(PAPER_CLAIMS, rows)
        return StudyResult({PAPER_CLAIMS.name: table}, as_claims(rows), counts(table), claims_text(table))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        table = saved.tables.get(PAPER_CLAIMS.name)
        if table is not None and len(table):
            from agfrun.report.figures.paper_claims import plot_claims  # Matplotlib

            yield PAPER_CLAIMS.name, plot_claims(table)


def decide(claim: PaperClaim, contexts: Contexts) -> dict[str, Any]:
    """Row of paper_claims.csv: the claim, what the experiments say, and the seconds they took.

    A failure of its own experiments leaves a claim undecided; an interruption is passed on.
    """
    made = attempt(lambda: _finding(claim, contexts))
    finding = made.outcome if made.outcome is not None else undecided(made.reason, contexts.seeds_text)
    return {"laboratory": claim.paper.laboratory, "paper": claim.paper.name, "subject": claim.subject,
            **dataclasses.asdict(claim.decided(finding)), "seeds": finding.seeds, "deviation": finding.deviation,
            "verdict": finding.verdict, "seconds": made.seconds}


def _finding(claim: PaperClaim, contexts: Contexts) -> Finding:
    try:
        return claim.decide(contexts.of(claim.paper))
    except Inconclusive as reason:
        return undecided(str(reason), contexts.seeds_text)


def as_claims(rows: Iterable[Mapping[str, Any]]) -> list[Claim]:
    """The rows as rows of claims.csv, where `stated` names the paper too."""
    return [Claim(**{**{name: row[name] for name in CLAIMS.names}, "stated": _stated(row)}) for row in rows]


def _stated(row: Mapping[str, Any]) -> str:
    return str(row["stated"]) if row["stated"] == OURS else f"{row['paper']}, {row['stated']}"
