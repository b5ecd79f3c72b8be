"""The paper's figure of linear attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.paper.figure import COMMON_TABLES, LEADING, TABLES_OF_RUN, Case, PaperFigureConfig
from agfrun.study.registry import register
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables
    from agfrun.labs.staircases.run.result import Result


BOUND = "incremental_bound_"


LOWER_BOUNDS = Schema("lower_bounds.csv", (
    *LEADING,
    Column("feature", "text", "label of the mode"),
    Column("lower_bound", "number", "time before which it is not learned"),
), "the bounds of section 5")


@register("study")
@dataclass
class PaperAttentionConfig(PaperFigureConfig):
    """Linear attention (AGF paper, section 5): singular values with their bounds, loss, prediction against training."""

    name: str = "paper_attention"
    seeds: int = 8

    tables = (*COMMON_TABLES, TABLES_OF_RUN["features"], LOWER_BOUNDS)

    def cases(self, config: RunConfig) -> list[Case]:
        """The configured network."""
        return [Case("linear attention", config)]

    def further_tables(self, result: Result) -> Mapping[str, pd.DataFrame]:
        """The bounds of section 5: each from the largest dormant head once the mode before it is learned."""
        rows = [(claim.claim.removeprefix(BOUND), claim.expected) for claim in result.claims
                if claim.claim.startswith(BOUND) and claim.source == "training" and claim.holds is not None]
        return {"lower_bounds": pd.DataFrame(rows, columns=["feature", "lower_bound"])}

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.single_network import plot_single_network  # Matplotlib

        yield "attention", plot_single_network(tables)
