"""The paper's figure of fully connected linear networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pandas as pd

from agfrun.labs.staircases.config import DataConfig, RunConfig
from agfrun.labs.staircases.paper.figure import COMMON_TABLES, LEADING, TABLES_OF_RUN, Case, PaperFigureConfig
from agfrun.study import registry
from agfrun.study.checks import one_of
from agfrun.study.registry import register
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
    from agfrun.labs.staircases.paper.figures.cases import PaperTables
    from agfrun.labs.staircases.run.result import Result


DATA_SETS = {"commuting covariances": "commuting_linear_map", "non-commuting covariances": "noncommuting_linear_map"}


CONJECTURE = Schema("conjecture.csv", (
    *LEADING,
    Column("stage", "integer", "number of the saddle, from 0"),
    Column("time", "number", "when it is reached"),
    Column("index", "integer", "number of the singular value, from 1"),
    Column("value", "number", "singular value at the saddle"),
), "the saddles of conjecture 4.1")


@register("study")
@dataclass
class PaperLinearModesConfig(PaperFigureConfig):
    """Fully connected linear networks (AGF paper, section 4): singular values and loss, with conjecture 4.1."""

    name: str = "paper_linear_modes"
    seeds: int = 5

    tables = (*COMMON_TABLES, TABLES_OF_RUN["observables"], CONJECTURE)

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        one_of("model.name", config.model.name, ("fully_connected_linear",), f" with study={self.name}")
        super().check(config)

    def cases(self, config: RunConfig) -> list[Case]:
        """The configured network on data whose covariances commute, and on data whose do not."""
        return [Case(name, dataclasses.replace(config, data=registry.choices("data", DataConfig)[data]()))
                for name, data in DATA_SETS.items()]

    def further_tables(self, result: Result) -> Mapping[str, pd.DataFrame]:
        """Times and singular values of the saddles of conjecture 4.1."""
        architecture = cast("FullyConnectedLinear", result.problem.architecture)
        times = [0.0, *(event.time for event in result.events["theory"] if event.kind == "activation")]
        rows = [{"stage": stage, "time": time, "index": index + 1, "value": value}
                for stage, (time, spectrum) in enumerate(zip(times, architecture.stages.singular_values(), strict=True))
                for index, value in enumerate(spectrum.tolist())]
        return {"conjecture": pd.DataFrame(rows)}

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.linear_modes import plot_linear_modes  # Matplotlib

        yield "linear_modes", plot_linear_modes(tables)
