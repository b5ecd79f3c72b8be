"""Published single cells: two Poincare maps as they come beside the paper of the score, and a simulation.

Each map is a two-dimensional Poincare map (Klimovskaia, Lopez-Paz, Bottou & Nickel, Nature Communications 11 (2020)
2966) with the cells' types: of Olsson et al. (Nature 537 (2016) 698) 382 cells of 9 types, of Paul et al. (Cell 163
(2015) 1663) 2,730 of 20 (MIT licence). The simulation, of eleven genes of myeloid cells (Krumsiek, Marr, Schroeder &
Theis, PLoS ONE 6 (2011) e22649), is that of scanpy (BSD licence): four runs of 160 steps, the first halves progenitors,
the others the types that they end as. Licences are in `published`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agfrun.labs.hyperbolic.config import Labelled, SetsConfig
from agfrun.labs.hyperbolic.sets.files import EmbeddedConfig, read_labelled
from agfrun.study.registry import register

FOLDER = Path(__file__).resolve().parents[1] / "published"


@dataclass
class PublishedMap(SetsConfig):
    """A map that comes with agfrun."""

    def load(self) -> Labelled:
        """See `SetsConfig.load`."""
        return read_labelled("data.name", FOLDER / f"{self.name}.csv", "poincare", "label")


@register("data")
@dataclass
class OlssonConfig(PublishedMap):
    """Mouse blood: stem cells, and where monocytes and granulocytes part."""

    name: str = "olsson"


@register("data")
@dataclass
class PaulConfig(PublishedMap):
    """Mouse myeloid progenitors."""

    name: str = "paul"


@register("data")
@dataclass
class KrumsiekConfig(EmbeddedConfig):
    """Simulated myeloid cells, embedded by hydra: red cells and megakaryocytes, monocytes and neutrophils."""

    name: str = "krumsiek11"

    def load(self) -> Labelled:
        """See `SetsConfig.load`."""
        return self.embedded("data.name", FOLDER / "krumsiek11.csv", "label")
