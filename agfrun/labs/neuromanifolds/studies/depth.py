"""How the dimension grows with depth, in three families of networks: formula and measurement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agfrun.files.tables import is_missing, rows_table
from agfrun.labs.neuromanifolds.claims import OURS
from agfrun.labs.neuromanifolds.config import NetworkConfig, check_exact
from agfrun.labs.neuromanifolds.exact_study import remembered_rank
from agfrun.labs.neuromanifolds.measurement import measure
from agfrun.labs.neuromanifolds.networks.attention.network import MOST_LAYERS, LightningAttentionConfig
from agfrun.labs.neuromanifolds.networks.cnn.network import LARGEST_DEGREE, PolynomialCnnConfig
from agfrun.labs.neuromanifolds.networks.mlp.network import MonomialMlpConfig
from agfrun.labs.neuromanifolds.studies.dimension import ARCHITECTURES, architecture_row
from agfrun.study.checks import require
from agfrun.study.claim import Claim, Statement
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

# What is told of each network, as in the table of `study=dimension`.
OF_NETWORK = ("architecture", "parameters", "expected", "closed_form", "closed_form_source", "closed_form_standing",
              "dimension", "proved", "seconds")
DEPTHS = Schema("depths.csv", (
    Column("family", "text", "name of the network"),
    Column("layers", "integer", "layers with weights"),
    *(column for column in ARCHITECTURES.columns if column.name in OF_NETWORK),
), "one row for each network")


@register("study")
@dataclass
class DepthStudy(Study):
    """The dimension against depth for layers of one width, convolutions of one filter size and attention of one rank.

    Networks of one layer (of two, where they are monomial) to `layers`: monomial layers of `width`, of `degree`;
    filters of size `filter`, of the same degree; attention on tokens of `width` entries with `rank` rows of queries
    and keys.
    """

    name: str = "depth"
    layers: int = 6
    width: int = 3
    degree: int = 2
    filter: int = 3
    rank: int = 2

    settings: ClassVar[type] = RunSettings
    tables = (DEPTHS,)
    numbers = (
        Number("networks", "networks", "integer", in_figures=False),
        Number("known", "with a closed form", "integer", in_figures=False),
        Number("agree", "closed form and measurement agree", "integer", of="known"),
    )

    def check(self, config: RunSettings) -> None:
        """See `Study.check`."""
        check_exact(config)
        require("study.layers", self.layers, 2 <= self.layers <= MOST_LAYERS, f"an integer from 2 to {MOST_LAYERS}")
        require("study.width", self.width, 1 <= self.width <= 20, "an integer from 1 to 20")
        require("study.filter", self.filter, 1 <= self.filter <= 20, "an integer from 1 to 20")
        require("study.rank", self.rank, 1 <= self.rank <= 20, "an integer from 1 to 20")
        require("study.degree", self.degree, self.degree >= 2, "an integer of at least 2")
        require("study.degree", self.degree, self.degree ** (self.layers - 1) <= LARGEST_DEGREE, f"smaller, or "
                f"study.layers: the outputs' degree, degree^{self.layers - 1}, may be {LARGEST_DEGREE} at most")

    def networks(self) -> list[tuple[int, NetworkConfig]]:
        """Layers and network, family by family; one layer of weights alone is no monomial network."""
        depths = range(1, self.layers + 1)
        return [
            *((n, MonomialMlpConfig(widths=[self.width] * (n + 1), degree=self.degree)) for n in depths[1:]),
            *((n, PolynomialCnnConfig(filters=[self.filter] * n, degree=self.degree)) for n in depths),
            *((n, LightningAttentionConfig(widths=[self.width] * (n + 1), ranks=[self.rank])) for n in depths),
        ]

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        rows: list[dict[str, Any]] = []
        with bench.clock.stage("ranks"):
            for layers, network in self.networks():
                rows.append(self._row(network, layers, config.seed, bench))
                bench.save({DEPTHS.name: rows_table(DEPTHS, rows)})
        table = rows_table(DEPTHS, rows)
        known, agree = agreement(table)
        return StudyResult(tables={DEPTHS.name: table}, claims=[claim_of(family, part) for family, part in
                                                                table.groupby("family", sort=False)],
                           numbers={"networks": len(table), "known": known, "agree": agree}, text=text_of(table))

    def _row(self, network: NetworkConfig, layers: int, seed: int, bench: Bench) -> dict[str, Any]:
        found = measure(network, seed, at_least=2, step=lambda prime, take: remembered_rank(
            bench, prime, take, f"{network.name} {network.architecture()}, "))
        row = architecture_row(network, found, network.closed_form())
        return {"family": network.name, "layers": layers, **{name: row[name] for name in OF_NETWORK}}

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        if DEPTHS.name in saved.tables and len(saved.tables[DEPTHS.name]):
            from agfrun.labs.neuromanifolds.figures.depths import plot_depths  # Matplotlib

            yield "depths", plot_depths(saved.tables[DEPTHS.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(DEPTHS.name)
        if table is None or not len(table):
            return None
        known, agree = agreement(table)
        return Verdict(f"Closed form and measured dimension agree for {agree} of the {known} networks that have one; "
                       f"{len(table) - known} have none.", "good" if agree == known else "bad")


def agreement(table: pd.DataFrame) -> tuple[int, int]:
    """Numbers of the networks that have a closed form, and of those whose dimension it is."""
    known = table[table["closed_form"].notna()]
    return len(known), int((known["closed_form"] == known["dimension"]).sum())


def claim_of(family: str, table: pd.DataFrame) -> Claim:
    """That a family's closed form is the dimension, at every depth at which there is one."""
    known = table[table["closed_form"].notna()]
    sources = "; ".join(known["closed_form_source"].unique())
    proved = set(known["closed_form_standing"]) <= {"theorem"}
    statement = Statement(f"dimension_by_depth_of_{family}", "ranks", f"{family}: the closed form is the dimension at "
                          "every depth at which there is one", sources or OURS, "theorem" if proved else "ours")
    if not len(known):
        return statement.undecided("no closed form is known at any of these depths")
    expected, found = known["closed_form"].astype(int), known["dimension"].astype(int)
    return statement.decided(", ".join(map(str, expected)), ", ".join(map(str, found)),
                             bool(np.array_equal(expected, found)), "integers")


def text_of(table: pd.DataFrame) -> str:
    """The lines for the terminal: dimensions by depth."""
    layers = sorted(table["layers"].unique())
    lines = [f"{'layers':<20}" + "".join(f"{depth:>9}" for depth in layers)]
    for family, part in table.groupby("family", sort=False):
        for name, column in ((family, "dimension"), ("  closed form", "closed_form"), ("  parameters", "parameters")):
            values = part.set_index("layers")[column].reindex(layers)
            lines.append(f"{name:<20}" + "".join(f"{'-' if is_missing(one) else int(one):>9}" for one in values))
    return "\n".join(lines)
