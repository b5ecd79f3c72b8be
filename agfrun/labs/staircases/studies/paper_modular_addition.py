"""The paper's figures of modular addition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.paper.figure import COMMON_TABLES, LEADING, TABLES_OF_RUN, Case, PaperFigureConfig
from agfrun.study.checks import one_of
from agfrun.study.registry import register
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables
    from agfrun.labs.staircases.run.result import Result


PARTS = ("u", "v", "w")


STATES = Schema("states.csv", (
    *LEADING,
    Column("moment", "integer", "number of the plateau, from the start"),
    Column("time", "number", "its time; empty at the end of training"),
    Column("neuron", "integer", "index of the neuron, from 0"),
    Column("part", "text", "u, v or w"),
    Column("position", "integer", "position in the vector, from 0"),
    Column("value", "number", "the parameter"),
), "the neurons on every plateau")
TEMPLATE = Schema("template.csv", (
    *LEADING,
    Column("position", "integer", "position, from 0"),
    Column("value", "number", "the template there"),
), "the template")


@register("study")
@dataclass
class PaperModularAdditionConfig(PaperFigureConfig):
    """Modular addition (AGF paper, section 6): output amplitudes, loss, predictions and weights on the plateaus."""

    name: str = "paper_modular_addition"
    seeds: int = 5

    tables = (*COMMON_TABLES, TABLES_OF_RUN["features"], STATES, TEMPLATE)

    def cases(self, config: RunConfig) -> list[Case]:
        """The configured network."""
        return [Case("modular addition", config)]

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        one_of("model.name", config.model.name, ("quadratic_modadd",), f" with study={self.name}")
        super().check(config)

    def further_tables(self, result: Result) -> Mapping[str, pd.DataFrame]:
        """The template, and the neurons on every plateau."""
        from agfrun.labs.staircases.run.result import parameters  # torch

        arrays = parameters(result)
        template = arrays["template"]
        times: list[float | None] = [*arrays["plateau_times"].tolist(), None]
        names = ["neurons/initial", *(f"neurons/plateau_{k}" for k in range(len(times) - 1)), "neurons/final"]
        frames = []
        for moment, (name, time) in enumerate(zip(names, [0.0, *times], strict=True)):
            values = arrays[name]
            index = pd.MultiIndex.from_product([range(len(values)), PARTS, range(len(template))],
                                               names=["neuron", "part", "position"])
            frame = pd.DataFrame({"value": values.ravel()}, index=index).reset_index()
            frames.append(frame.assign(moment=moment, time=time)[STATES.names[2:]])
        return {"states": pd.concat(frames),
                "template": pd.DataFrame({"position": range(len(template)), "value": template})}

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.modular_addition import plot_network_states  # Matplotlib
        from agfrun.labs.staircases.paper.figures.single_network import plot_single_network  # Matplotlib

        yield "modular_addition", plot_single_network(tables)
        yield from plot_network_states(tables)
