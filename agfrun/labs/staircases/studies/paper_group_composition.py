"""Staircases on five groups, after the follow-up of the AGF paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.paper.figure import COMMON_TABLES, TABLES_OF_RUN, Case, PaperFigureConfig
from agfrun.study.checks import one_of
from agfrun.study.registry import register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables

# Name of the group, neurons, irreps and their singular values. A5 of the paper is left out: with an irrep of dimension
# three alone its training takes many minutes.
GROUPS = (
    ("C11", 24, [1, 2, 3], [12.5, 10.0, 7.5]),
    ("C5xC5", 24, [1, 3, 9], [20.0, 15.0, 11.0]),
    ("D5", 30, [1, 2], [12.0, 9.0]),
    ("S4", 24, [1, 2], [12.0, 9.0]),
    ("Q8", 30, [1, 4], [12.0, 10.0]),
)


@register("study")
@dataclass
class PaperGroupCompositionConfig(PaperFigureConfig):
    """Five groups (arXiv 2602.03655): loss, predicted order, levels and times. Groups and widths are its own."""

    name: str = "paper_group_composition"

    tables = (*COMMON_TABLES, TABLES_OF_RUN["features"])

    def cases(self, config: RunConfig) -> list[Case]:
        """The configured network on each group: cyclic, a product, dihedral, octahedral rotations, quaternions."""
        from agfrun.labs.staircases.networks.group_composition.data import GroupSequencesConfig  # torch
        from agfrun.labs.staircases.networks.group_composition.network import GroupCompositionConfig  # torch

        return [Case(group, replace(config, model=GroupCompositionConfig(width=width), data=GroupSequencesConfig(
            group=group, irreps=irreps, singular_values=values))) for group, width, irreps, values in GROUPS]

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        one_of("model.name", config.model.name, ("group_composition",), f" with study={self.name}")
        super().check(config)

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.group_composition import plot_groups  # Matplotlib

        yield "group_composition", plot_groups(tables)
