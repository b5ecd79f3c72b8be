"""The paper's figure of a diagonal linear network at scales large to small."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.paper.figure import COMMON_TABLES, LEADING, TABLES_OF_RUN, Case, PaperFigureConfig
from agfrun.study.checks import distinct_scales, one_of
from agfrun.study.registry import register
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables
    from agfrun.labs.staircases.run.result import Result


# Large initializations learn at once: on a clock of log(1/scale) they would never be seen to end.
SHORTEST_HORIZON = 100.0
RESCALED_HORIZON = 12.0


LEAST_SQUARES = Schema("least_squares.csv", (
    *LEADING,
    Column("feature", "text", "label of the coefficient"),
    Column("value", "number", "where training ends"),
), "the coefficients of least squares")


@register("study")
@dataclass
class PaperDiagonalScalesConfig(PaperFigureConfig):
    """Diagonal network from large to small scales (AGF paper, section 3): a staircase appears."""

    name: str = "paper_diagonal_scales"
    init_scales: list[float] = field(default_factory=lambda: [0.99, 0.9, 0.5, 1e-1, 1e-2, 1e-4, 1e-8, 1e-16])

    tables = (*COMMON_TABLES, TABLES_OF_RUN["features"], LEAST_SQUARES)

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        one_of("model.name", config.model.name, ("diagonal_linear",), f" with study={self.name}")
        distinct_scales("study.init_scales", self.init_scales)
        super().check(config)

    def cases(self, config: RunConfig) -> list[Case]:
        """The configured network at every scale, from the largest."""
        cases = []
        for scale in sorted(self.init_scales, reverse=True):
            init = dataclasses.replace(config.init, scale=scale, log10_scale=None)
            horizon = max(SHORTEST_HORIZON, -RESCALED_HORIZON * math.log(scale))
            train = dataclasses.replace(config.train, horizon=horizon)
            cases.append(Case(f"scale {scale:g}", dataclasses.replace(config, init=init, train=train)))
        return cases

    def further_tables(self, result: Result) -> Mapping[str, pd.DataFrame]:
        """The coefficients of least squares, which training ends at."""
        features, path = result.problem.architecture.feature_names, result.training.trajectory
        return {"least_squares": pd.DataFrame({"feature": features, "value": path.features[-1]})}

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.diagonal_scales import plot_diagonal_scales  # Matplotlib

        yield "diagonal_scales", plot_diagonal_scales(tables)
