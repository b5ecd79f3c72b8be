"""The paper's figure of linear attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from agfrun.labs.staircases.paper.figure import COMMON_TABLES, Case, PaperFigureConfig
from agfrun.study.registry import register_study
from agfrun.study.schema import RunConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables
    from agfrun.labs.staircases.run.pipeline import Result


BOUND = "incremental_bound_"


@register_study
@dataclass
class PaperAttentionConfig(PaperFigureConfig):
    """Linear attention (AGF paper, section 5): singular values with their bounds, loss, prediction against training."""

    name: str = "paper_attention"
    seeds: int = 8

    tables: ClassVar[tuple[str, ...]] = (*COMMON_TABLES, "features", "lower_bounds")

    def cases(self, config: RunConfig) -> list[Case]:
        """The configured network."""
        return [Case("linear attention", config)]

    def further_tables(self, result: Result) -> Mapping[str, pd.DataFrame]:
        """The bounds of section 5: each from the largest dormant head once the mode before it is learned."""
        rows = [(row["claim"].removeprefix(BOUND), row["expected"]) for row in result.claims
                if row["claim"].startswith(BOUND) and row["source"] == "training"]
        return {"lower_bounds": pd.DataFrame(rows, columns=["feature", "lower_bound"])}

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.single_network import plot_single_network

        yield "attention", plot_single_network(tables)
