"""The paper's illustration of a diagonal linear network in the plane."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.paper.figure import COMMON_TABLES, LEADING, TABLES_OF_RUN, Case, PaperFigureConfig
from agfrun.study.checks import distinct_scales, one_of, require
from agfrun.study.registry import register
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
    from agfrun.labs.staircases.paper.figures.cases import PaperTables
    from agfrun.labs.staircases.run.result import Result


GRID = 81
MARGIN = 0.25


LANDSCAPE = Schema("landscape.csv", (
    *LEADING,
    Column("coefficient_1", "number", "first coefficient"),
    Column("coefficient_2", "number", "second coefficient"),
    Column("loss", "number", "loss there"),
), "the loss on a grid of coefficients")


@register("study")
@dataclass
class PaperDiagonalPlaneConfig(PaperFigureConfig):
    """Diagonal network with two coefficients (AGF paper, section 3): neurons, utilities, landscape and loss."""

    name: str = "paper_diagonal_plane"
    init_scales: list[float] = field(default_factory=lambda: [0.5, 1e-1, 1e-2, 1e-4, 1e-6])

    tables = (*COMMON_TABLES, TABLES_OF_RUN["features"], TABLES_OF_RUN["neurons"], LANDSCAPE)

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        one_of("model.name", config.model.name, ("diagonal_linear",), f" with study={self.name}")
        require("model.depth", getattr(config.model, "depth", None), getattr(config.model, "depth", None) == 2,
                "2, for neurons that lie in a plane")
        distinct_scales("study.init_scales", self.init_scales)
        super().check(config)

    def cases(self, config: RunConfig) -> list[Case]:
        """The configured network at every scale, from the largest."""
        return [Case(f"scale {scale:g}", dataclasses.replace(
            config, init=dataclasses.replace(config.init, scale=scale, log10_scale=None)))
            for scale in sorted(self.init_scales, reverse=True)]

    def further_tables(self, result: Result) -> Mapping[str, pd.DataFrame]:
        """The loss on a grid around the path of the coefficients.

        Raises:
            ConfigError: there are not two coefficients.
        """
        architecture = cast("DiagonalLinear", result.problem.architecture)
        require("data.dimension", architecture.width, architecture.width == 2, "2 for a landscape")
        seen = np.concatenate([path.features for path in result.trajectories if np.isfinite(path.features).all()])
        low, high = np.minimum(seen.min(0), 0.0), np.maximum(seen.max(0), 0.0)
        axes = [np.linspace(a - MARGIN * (b - a), b + MARGIN * (b - a), GRID) for a, b in zip(low, high, strict=True)]
        first, second = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
        inputs, targets = architecture.data.inputs.cpu().numpy(), architecture.data.targets.cpu().numpy()
        loss = 0.5 * np.square(np.stack([first, second], 1) @ inputs.T - targets).mean(1)
        return {"landscape": pd.DataFrame({"coefficient_1": first, "coefficient_2": second, "loss": loss})}

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.diagonal_plane import plot_diagonal_plane  # Matplotlib

        yield "diagonal_plane", plot_diagonal_plane(tables)
