"""Encoders with heads of other networks: absolute, cosine and robust, with and without densification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.labs.stitching.claims import claims_of
from agfrun.labs.stitching.config import DensificationConfig, StitchingSettings
from agfrun.labs.stitching.names import TRANSFORM_NAMES
from agfrun.labs.stitching.stitching_tables import SUMMARY, TABLES, RowFound, tables_of
from agfrun.labs.stitching.wording import text_of, verdict_of_summary
from agfrun.study.checks import one_of, require, require_a_day, require_seeds
from agfrun.study.claim import CLAIMS
from agfrun.study.memory import largest_key, require_memory
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.labs.stitching.datasets.sides import Sides
    from agfrun.study.bench import Bench

ROWS = tuple((transform, topology) for transform in TRANSFORM_NAMES for topology in (False, True))
# Measured on one core: seconds of a step of a hundred samples and anchors, with layers of the default widths.
_SECONDS_OF_STEP = 0.006
_SAMPLES, _WEIGHTS = 100.0, 128.0 * 64
# Copies of weights and batches that training holds.
_COPIES = 12


def number_name(transform: str, topology: bool, column: str) -> str:
    """Name of a number of the result, such as `robust_topology_stitched`."""
    return f"{transform}{'_topology' if topology else ''}_{column}"


@dataclass
class StitchingStudySettings(StitchingSettings):
    """The settings of `study=stitching`: also those of densification."""

    topology: DensificationConfig = field(default_factory=DensificationConfig)

    def check(self) -> None:
        """See `RunSettings.check`."""
        super().check()
        self.topology.check()


@register("study")
@dataclass
class StitchingStudy(Study):
    """The stitching matrix of networks that were trained apart, for every transform.

    `seeds` are counted from `seed`; `transforms` are those that networks are trained with; `densified` adds a row with
    densification for each; `maps` adds orthogonal, affine and canonical maps between absolute latents; `spreads` are
    those of the disturbances of scales.
    """

    name: str = "stitching"
    seeds: int = 3
    transforms: list[str] = field(default_factory=lambda: list(TRANSFORM_NAMES))
    densified: bool = True
    maps: bool = True
    spreads: list[float] = field(default_factory=lambda: [0.0, 0.25, 0.5, 1.0, 1.5, 2.0])

    settings: ClassVar[type] = StitchingStudySettings
    tables = TABLES
    numbers = (
        *(Number(number_name(*row, column), f"{column}, {row[0]}{' with densification' if row[1] else ''}")
          for row in ROWS for column in ("same", "stitched")),
        Number("robust_topology_gap", "same less stitched, robust with densification"),
        Number("majority", "accuracy of the most frequent class", in_figures=False),
    )
    key_names: ClassVar[Mapping[str, str]] = {
        "data.anchors": "anchors", "topology.beta": "beta", "topology.weight": "weight of densification",
        "train.steps": "steps", "train.per_class": "samples of a class in a batch"}

    def check(self, config: StitchingStudySettings) -> None:
        """See `Study.check`."""
        require_seeds(self.seeds)
        for transform in self.transforms:
            one_of("study.transforms", transform, TRANSFORM_NAMES)
        require("study.transforms", self.transforms, len(set(self.transforms)) == len(self.transforms) >= 1,
                "at least one transform, each once")
        require("study.spreads", self.spreads, all(0 <= one <= 10 for one in self.spreads), "numbers from 0 to 10")
        batch = config.train.per_class * 10 + getattr(config.data, "anchors", 300)
        widths = [getattr(config.data, "features", 1000), *config.encoder.widths]
        weights = float(sum(a * b for a, b in zip(widths, widths[1:], strict=False)))
        require_memory(config, 8 * (_COPIES * weights + batch * (sum(widths) + batch)) * config.data.sides())
        rows = len(self.transforms) * (1 + self.densified) * self.seeds * config.data.sides()
        later = sum(a * b for a, b in zip(config.encoder.widths, config.encoder.widths[1:], strict=False))
        seconds = rows * config.train.steps * _SECONDS_OF_STEP * batch / _SAMPLES * max(1.0, later / _WEIGHTS)
        key, value = ("study.seeds", self.seeds) if self.seeds > 20 else largest_key(config)
        require_a_day(key, value, seconds, "training")

    def run(self, config: StitchingStudySettings, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is the table summary.csv."""
        from agfrun.labs.stitching.row import measure_row  # torch, which help, plot and report do without

        with bench.clock.stage("data"):
            sides = config.data.build()
        self._check_dimensions(config, sides)
        names = [side.name for side in sides.parts]
        found: list[RowFound] = []
        tables: dict[str, pd.DataFrame] = {}
        for seed in range(config.seed, config.seed + self.seeds):
            for transform, topology in self.rows():
                bars = self.maps and (transform, topology) == ("absolute", False)
                with bench.clock.stage("train"):
                    measured = bench.remember(f"{transform} {topology} {seed}", partial(
                        measure_row, config, sides, bench, transform, config.topology if topology else None, seed,
                        self.spreads, bars))
                found += [RowFound(name, topology, seed, values) for name, values in measured.items()]
                tables = tables_of(found, names, sides.majority, config.topology.beta)
                bench.save(tables)
        summary = tables[SUMMARY.name]
        return StudyResult(tables=tables, claims=claims_of(summary), numbers=numbers_of(summary),
                           text=text_of(summary, names), outcome=summary)

    def rows(self) -> list[tuple[str, bool]]:
        """Transform and densification of every row, in the order in which they are trained."""
        ways = (False, True) if self.densified else (False,)
        return [(transform, topology) for transform in self.transforms for topology in ways]

    def _check_dimensions(self, config: StitchingStudySettings, sides: Sides) -> None:
        """Heads of absolute latents need latents of one dimension."""
        dimensions = {side.train.shape[1] for side in sides.parts}
        require("study.transforms", self.transforms, bool(config.encoder.widths) or len(dimensions) == 1
                or "absolute" not in self.transforms, "cosine or robust: the latents have the dimensions "
                f"{', '.join(map(str, sorted(dimensions)))}, and no head takes another's")

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.stitching.figures.run import figures_of_run  # Matplotlib

        return figures_of_run(saved)

    def verdict(self, saved: Saved) -> Any:
        """See `Study.verdict`."""
        table = saved.tables.get(SUMMARY.name)
        return verdict_of_summary(table, saved.tables.get(CLAIMS.name)) if table is not None and len(table) else None

    def sweep_figures(self, sweep: Any) -> Iterable[tuple[str, Figure]] | None:
        """See `Study.sweep_figures`."""
        from agfrun.labs.stitching.figures.sweep import figures_of_sweep  # Matplotlib

        return figures_of_sweep(sweep)


def numbers_of(summary: pd.DataFrame) -> dict[str, float]:
    """The numbers of a result."""
    found = {"majority": float(summary["majority"].iloc[0])}
    for row in summary.itertuples():
        if (row.transform, bool(row.topology)) in ROWS:
            for column in ("same", "stitched"):
                found[number_name(row.transform, row.topology, column)] = float(getattr(row, column))
            if (row.transform, bool(row.topology)) == ("robust", True):
                found["robust_topology_gap"] = float(row.gap)
    return found
