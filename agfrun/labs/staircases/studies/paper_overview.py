"""The paper's overview of what networks learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.paper.figure import Case, PaperFigureConfig
from agfrun.study.registry import register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables


NETWORKS = {
    "ReLU": ["model=relu", "init.scale=1e-8"],
    "diagonal linear": ["model=diagonal_linear", "data=random_regression", "init=deterministic", "init.scale=1e-16"],
    "fully connected linear": ["model=fully_connected_linear", "init.scale=1e-15"],
    "linear attention": ["model=linear_attention", "agf=decoupled", "init.scale=1e-3"],
    "modular addition": ["model=quadratic_modadd", "agf=decoupled"],
}


@register("study")
@dataclass
class PaperOverviewConfig(PaperFigureConfig):
    """Five networks (AGF paper, figure 1): what each one is, what it learns one after another, and its staircase.

    They are networks of their own: of the configuration around this study only the seed counts.
    """

    name: str = "paper_overview"

    def cases(self, config: RunConfig) -> list[Case]:
        """The five networks of the paper, with this package's settings of each."""
        from agfrun.configuration.composition import load_config  # Hydra

        return [Case(name, load_config([*overrides, f"seed={config.seed}", f"device={config.device}"]))
                for name, overrides in NETWORKS.items()]

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.overview import plot_overview  # Matplotlib

        yield "overview", plot_overview(tables)
