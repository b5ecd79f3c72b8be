"""One unimodular matrix for a block of sub-carriers: joint walks, untrained and learned, against the bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.labs.lattices.claims import joint_claims
from agfrun.labs.lattices.comparison import paired
from agfrun.labs.lattices.config import check_policy, check_processor
from agfrun.labs.lattices.names import POLICIES
from agfrun.labs.lattices.wording import text_of_joint, verdict_of_joint
from agfrun.study.checks import require, require_a_day
from agfrun.study.claim import CLAIMS
from agfrun.study.memory import require_memory
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

BARS = ("raw", "centre", "mean_gram", "mean_gram_seysen")
JOINT = ("joint_product", "joint_learned")
LAGS = (0, 1, 2, 4, 8)
_SITE = Column("taps", "integer", "of the channel: the fewer, the more alike neighbours are")
JOINT_TABLE = Schema("joint.csv", (
    _SITE,
    Column("block", "integer", "sub-carriers that share a matrix; 1: each has its own"),
    Column("method", "text", "raw; LLL of the centre, reused; LLL or Seysen on the mean Gram matrix; joint walks; "
           "site_lll"),
    Column("mean", "number", "mean log defect over sub-carriers and channels"),
    Column("standard_error", "number", "of that mean, over channels"),
    Column("difference", "number", "less the best of raw, centre and both of the mean Gram matrix, whichever is least "
           "for each block"),
    Column("difference_error", "number", "standard error of that difference, paired over channels"),
    Column("verdict", "text", "better, worse or tie against these: two-sided at 5 % over the joint rows of the table"),
    Column("learning", "number", "joint_learned less joint_product"),
    Column("learning_error", "number", "standard error of that difference, paired over channels"),
    Column("learning_verdict", "text", "better, worse or tie: two-sided at 5 % over these rows"),
), "mean log defects of blocks of sub-carriers")
SITES = Schema("sites.csv", (
    _SITE, Column("method", "text", "see joint.csv"), Column("subcarrier", "integer", "from 0"),
    Column("log_defect", "number", "of the first channel, blocks of the last size"),
), "log defects over the grid", in_sweeps="none")
LAG_TABLE = Schema("lags.csv", (
    _SITE, Column("lag", "integer", "sub-carriers between the one that was reduced and the one that uses its matrix"),
    Column("mean", "number", "mean log defect over channels"),
), "LLL's matrix of one sub-carrier, used at another")


@register("study")
@dataclass
class JointStudy(Study):
    """Joint reduction of correlated lattices.

    Channels of `antennas` on both sides with `taps` independent taps, at `subcarriers` frequencies; a matrix serves
    `blocks` neighbouring ones. `channels` are counted from `seed`. `policy` is that of the learned joint walk, whose
    features are means over the sites of the block.
    """

    name: str = "joint"
    taps: list[int] = field(default_factory=lambda: [2, 4, 8])
    blocks: list[int] = field(default_factory=lambda: [4, 8])
    channels: int = 20
    subcarriers: int = 64
    antennas: int = 4
    policy: str = POLICIES[0]

    settings: ClassVar[type] = RunSettings
    tables = (JOINT_TABLE, SITES, LAG_TABLE)
    numbers = (
        Number("joint_difference", "learned joint walk less the best bar, largest over taps and blocks"),
    )
    key_names: ClassVar[Mapping[str, str]] = {"study.antennas": "antennas"}

    def check(self, config: RunSettings) -> None:
        """See `Study.check`."""
        check_processor(config)
        check_policy(self.policy)
        require("study.antennas", self.antennas, 1 <= self.antennas <= 16, "an integer from 1 to 16")
        require("study.subcarriers", self.subcarriers, 2 <= self.subcarriers <= 4096, "an integer from 2 to 4096")
        require("study.channels", self.channels, 1 <= self.channels <= 10_000, "an integer from 1 to 10000")
        require("study.taps", self.taps, len(set(self.taps)) == len(self.taps) >= 1
                and all(1 <= one <= self.subcarriers for one in self.taps),
                "different integers from 1 to study.subcarriers, at least one")
        require("study.blocks", self.blocks, len(set(self.blocks)) == len(self.blocks) >= 1
                and all(one >= 2 and self.subcarriers % one == 0 for one in self.blocks),
                "different integers of at least 2 that divide study.subcarriers, at least one")
        sites, n = float(self.channels * self.subcarriers), 2 * self.antennas
        require_memory(config, 8 * 8.0 * sites * n * n)
        require_a_day("study.channels", self.channels,
                      0.01 * sites * len(self.taps) * len(self.blocks) * (n / 8) ** 4, "reducing them")

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is the table joint.csv."""
        rows: list[dict[str, Any]] = []
        sites: list[dict[str, Any]] = []
        lags: list[dict[str, Any]] = []
        tables: dict[str, pd.DataFrame] = {}
        for taps in self.taps:
            with bench.clock.stage("reduce"):
                found = bench.remember(f"taps {taps}", partial(self._measure, taps, config.seed))
            rows += found["rows"]
            sites += found["sites"]
            lags += found["lags"]
            tables = {schema.name: rows_table(schema, part) for schema, part in zip(
                self.tables, (rows, sites, lags), strict=True)}
            bench.save(tables)
        table = tables[JOINT_TABLE.name]
        learned = table[table["method"] == "joint_learned"]
        return StudyResult(tables=tables, claims=joint_claims(table), text=text_of_joint(table), outcome=table,
                           numbers={"joint_difference": float(learned["difference"].max())})

    def _measure(self, taps: int, seed: int) -> dict[str, Any]:
        """Rows of all tables for one number of taps."""
        from agfrun.labs.lattices import joint  # compiled code, which help and figures do without
        from agfrun.labs.lattices.reducers import lll_batch, seysen_batch  # the same

        grid = joint.sites_of(taps, range(seed, seed + self.channels), self.subcarriers, self.antennas)
        raw = joint.site_defects(grid, lambda batch, generator: None)
        single = {"raw": raw, "site_lll": joint.site_defects(grid, lll_batch),
                  "site_seysen": joint.site_defects(grid, seysen_batch)}
        rows = [_row(taps, 1, method, values) for method, values in single.items()]
        shown: dict[str, Any] = {}
        for block in self.blocks:
            found = {"raw": raw} | {name: joint.block_defects(grid, block, method)
                                    for name, method in joint.block_methods(self.policy, seed).items()}
            means = {name: values.reshape(len(grid), -1, block).mean(2) for name, values in found.items()}
            best = np.min([means[name] for name in BARS], axis=0).mean(1)
            cases = len(self.taps) * len(self.blocks)
            for name, values in found.items():
                rows.append(_row(taps, block, name, values) | _against(
                    values.mean(1), best, len(JOINT) * cases, ("difference", "difference_error", "verdict")))
            rows[-1] |= _against(found["joint_learned"].mean(1), found["joint_product"].mean(1), cases,
                                 ("learning", "learning_error", "learning_verdict"))
            shown = single | found
        return {"rows": rows, "sites": [
            {"taps": taps, "method": name, "subcarrier": place, "log_defect": float(value)}
            for name, values in shown.items() for place, value in enumerate(values[0])],
                "lags": [{"taps": taps, "lag": lag, "mean": float(joint.lag_defects(grid, lag).mean())}
                         for lag in LAGS if lag < self.subcarriers]}

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.lattices.figures.joint import figures_of_run  # Matplotlib

        return figures_of_run(saved)

    def verdict(self, saved: Saved) -> Any:
        """See `Study.verdict`."""
        table = saved.tables.get(JOINT_TABLE.name)
        return verdict_of_joint(table, saved.tables.get(CLAIMS.name)) if table is not None and len(table) else None


def _against(first: Any, second: Any, tests: int, names: tuple[str, str, str]) -> dict[str, Any]:
    """A paired comparison under the names of its three columns."""
    found = paired(first, second, tests)
    return dict(zip(names, (found["difference"], found["standard_error"], found["verdict"]), strict=True))


def _row(taps: int, block: int, method: str, values: Any) -> dict[str, Any]:
    channels = values.mean(1)
    error = float(channels.std(ddof=1)) / len(channels) ** 0.5 if len(channels) > 1 else None
    return {"taps": taps, "block": block, "method": method, "mean": float(channels.mean()), "standard_error": error}
