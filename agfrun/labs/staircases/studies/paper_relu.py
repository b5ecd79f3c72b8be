"""The paper's figure of ReLU networks on images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.paper.figure import Case, PaperFigureConfig
from agfrun.study.checks import require
from agfrun.study.registry import register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables


@register("study")
@dataclass
class PaperReluConfig(PaperFigureConfig):
    """ReLU networks of several widths on images (AGF paper, discussion): the staircase smooths as they widen."""

    name: str = "paper_relu"
    seeds: int = 2
    widths: list[int] = field(default_factory=lambda: [1, 2, 3])

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        require("study.widths", self.widths, 0 < len(set(self.widths)) == len(self.widths) and min(self.widths) > 0,
                "a list of different widths of at least 1")
        require("model", config.model.name, hasattr(config.model, "width"), "a network with a width")
        super().check(config)

    def cases(self, config: RunConfig) -> list[Case]:
        """The configured network at every width."""
        return [Case(f"width {width}", dataclasses.replace(config, model=dataclasses.replace(
            config.model, width=width))) for width in self.widths]  # type: ignore[call-arg]

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """See `PaperFigureConfig.draw`."""
        from agfrun.labs.staircases.paper.figures.widths import plot_widths  # Matplotlib

        yield "relu", plot_widths(tables)
