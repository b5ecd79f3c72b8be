"""The claims of the AGF paper, each decided by the smallest experiments that can (`agfrun claims`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
from tqdm import tqdm

from agfrun.study.checks import require, require_seeds
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register_study
from agfrun.study.schema import RunConfig, StudyConfig
from agfrun.study.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "paper_claims"
# What a configuration may set for a study that brings its own experiments.
OWN_EXPERIMENTS = ("model", "data", "init", "train", "agf", "ensemble")


@register_study
@dataclass
class ClaimsConfig(StudyConfig):
    """The claims of the AGF paper, each decided by the smallest experiments that can.

    `only` are claims or networks by name, null is all; `seeds` is the number of initializations that each
    experiment is repeated from, counted from `seed`.
    """

    name: str = "claims"
    only: list[str] | None = None
    seeds: int = 3

    tables: ClassVar[tuple[str, ...]] = (TABLE,)

    def check(self, config: RunConfig) -> None:
        """See `StudyConfig.check`."""
        require_seeds(self.seeds)
        require("dtype", config.dtype, config.dtype == "float64", "float64 with study=claims")
        require("study.only", self.only, self.only is None or len(self.only) > 0,
                "a list of claims or networks, or null for all")
        usual = RunConfig()
        for group in OWN_EXPERIMENTS:
            chosen = getattr(config, group)
            if chosen != getattr(usual, group):
                raise ConfigError(group, getattr(chosen, "name", "..."), "study=claims brings its own experiments; "
                                  "choose among the claims with study.only=[NETWORK or CLAIM, ...]")
        if self.only is not None:
            from agfrun.labs.staircases.paper.claims.paper_claim import chosen_claims

            chosen_claims(self.only)

    def study(self, config: RunConfig, save: Callable[[Mapping[str, pd.DataFrame]], None],
              progress: bool | None) -> StudyResult:
        """See `StudyConfig.study`."""
        from agfrun.labs.staircases.paper.claims.laboratory import Laboratory
        from agfrun.labs.staircases.paper.claims.paper_claim import COLUMNS, as_claims, chosen_claims, decide
        from agfrun.labs.staircases.paper.claims.text import claims_text, counts

        laboratory = Laboratory(range(config.seed, config.seed + self.seeds), config.device)
        rows, chosen = list[dict[str, Any]](), chosen_claims(self.only)
        hidden = not (sys.stderr.isatty() if progress is None else progress)
        with tqdm(chosen, disable=hidden, desc="claims", file=sys.stderr, leave=False) as bar:
            for claim in bar:
                bar.set_postfix_str(claim.name)
                rows.append(decide(claim, laboratory))
                save({TABLE: pd.DataFrame(rows, columns=list(COLUMNS))})
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return StudyResult({TABLE: table}, as_claims(rows), counts(table), claims_text(table))

    def figures(self, tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Figure]]:
        """See `StudyConfig.figures`."""
        if TABLE in tables and len(tables[TABLE]):
            from agfrun.labs.staircases.paper.figures.claims import plot_claims

            yield TABLE, plot_claims(tables[TABLE])

