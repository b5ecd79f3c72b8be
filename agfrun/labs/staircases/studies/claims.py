"""The claims of the AGF paper, each decided by the smallest experiments that can (`agfrun claims`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from tqdm import tqdm

from agfrun.files.tables import rows_table
from agfrun.study.checks import require, require_seeds
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Number, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

PAPER_CLAIMS = Schema("paper_claims.csv", (
    Column("claim", "text", "its name"),
    Column("network", "text", "what it is about"),
    Column("stated", "text", "where: theorem, section or equation"),
    Column("standing", "text", "theorem, conjecture, numerics, bound or ours"),
    Column("statement", "text", "the claim in words"),
    Column("expected", "number or text", "what it says"),
    Column("measured", "number or text", "what the experiments show; of several the worst"),
    Column("seeds", "text", "seeds of the initializations that were tried"),
    Column("tolerance", "number", "how far measured may be from expected"),
    Column("deviation", "number", "distance of measured from expected in units of the tolerance"),
    Column("why", "text", "why that tolerance, or why nothing could be decided"),
    Column("verdict", "text", "holds, fails or undecided"),
    Column("seconds", "number", "wall seconds"),
    Column("sharper", "text", "of one that fails, the statement to put beside it"),
), "the claims of the paper and their verdicts")
NUMBERS = (
    Number("holds", "claims that hold", "integer", in_figures=False),
    Number("fails", "claims that fail", "integer", in_figures=False),
    Number("undecided", "claims that are undecided", "integer", in_figures=False),
)


@register("study")
@dataclass
class ClaimsConfig(Study):
    """The claims of the AGF paper, each decided by the smallest experiments that can.

    `only` are claims or networks by name, null is all; `seeds` is the number of initializations that each
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
                "a list of claims or networks, or null for all")
        if self.only is not None:
            from agfrun.labs.staircases.paper.claims.paper_claim import chosen_claims

            chosen_claims(self.only)

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        from agfrun.labs.staircases.paper.claims.laboratory import Laboratory
        from agfrun.labs.staircases.paper.claims.paper_claim import as_claims, chosen_claims, decide
        from agfrun.labs.staircases.paper.claims.text import claims_text, counts

        laboratory = Laboratory(range(config.seed, config.seed + self.seeds), config.device)
        rows, chosen = list[dict[str, Any]](), chosen_claims(self.only)
        hidden = not (sys.stderr.isatty() if bench.progress is None else bench.progress)
        with tqdm(chosen, disable=hidden, desc="claims", file=sys.stderr, leave=False) as bar:
            for claim in bar:
                bar.set_postfix_str(claim.name)
                rows.append(bench.remember(claim.name, partial(decide, claim, laboratory)))
                bench.save({PAPER_CLAIMS.name: rows_table(PAPER_CLAIMS, rows)})
        table = rows_table(PAPER_CLAIMS, rows)
        return StudyResult({PAPER_CLAIMS.name: table}, as_claims(rows), counts(table), claims_text(table))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        table = saved.tables.get(PAPER_CLAIMS.name)
        if table is not None and len(table):
            from agfrun.labs.staircases.paper.figures.claims import plot_claims  # Matplotlib

            yield PAPER_CLAIMS.name, plot_claims(table)

