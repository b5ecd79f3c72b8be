"""Lattices reduced by every method, with certificates, and the proven optimum where there is one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.labs.lattices.claims import reduction_claims
from agfrun.labs.lattices.config import MOST_STEPS, LatticeSettings, check_policy
from agfrun.labs.lattices.names import METHOD_WORDS, METHODS, POLICIES
from agfrun.labs.lattices.reduction_tables import SUMMARY, TABLES, tables_of
from agfrun.labs.lattices.wording import text_of_summary, verdict_of_summary
from agfrun.study.checks import one_of, require, require_a_day
from agfrun.study.claim import CLAIMS
from agfrun.study.memory import largest_key, require_memory
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.labs.lattices.bases import FloatArray
    from agfrun.study.bench import Bench

# Measured on one core: seconds for a lattice of 8 dimensions by all methods and their certificates.
_SECONDS, _AT = 0.05, 8.0
# Of these sweeps draw figures.
_SHOWN = ("lll_99", "product_sampled", "learned", "minima")
# Copies of the bases that a method holds, in numbers of eight bytes.
_COPIES = 12


@register("study")
@dataclass
class ReductionStudy(Study):
    """Every method on the same lattices: defects, moves, certificates, time, and paired comparisons.

    `methods` are those to be tried; `policy` is whose moves `learned` draws; `steps` are moves of a walk, null for
    dimension x (dimension + 3); `certificates` says whether determinants and Hermite normal forms are computed.
    """

    name: str = "reduction"
    methods: list[str] = field(default_factory=lambda: list(METHODS))
    policy: str = POLICIES[0]
    steps: int | None = None
    certificates: bool = True

    settings: ClassVar[type] = LatticeSettings
    tables = TABLES
    numbers = (
        *(Number(f"{method}_defect", f"mean log defect, {METHOD_WORDS[method]}", in_figures=method in _SHOWN,
                 in_pages=method in _SHOWN) for method in METHODS),
        Number("at_minima", "share of lattices whose minima form a basis", is_share=True, in_figures=False),
    )
    key_names: ClassVar[Mapping[str, str]] = {"data.dimension": "dimension", "data.distribution": "kind of lattice",
                                              "study.steps": "moves of a walk"}

    def check(self, config: LatticeSettings) -> None:
        """See `Study.check`."""
        for method in self.methods:
            one_of("study.methods", method, METHODS)
        require("study.methods", self.methods, len(set(self.methods)) == len(self.methods) >= 1,
                "at least one method, each once")
        check_policy(self.policy)
        require("study.steps", self.steps, self.steps is None or 1 <= self.steps <= MOST_STEPS,
                f"an integer from 1 to {MOST_STEPS}, or null for dimension x (dimension + 3)")
        if (size := config.data.size()) is not None:
            self._require_affordable(config, *size)

    def _require_affordable(self, config: LatticeSettings, count: int, dimension: int) -> None:
        """Refuse lattices that need more memory than there is, or days."""
        require_memory(config, 8.0 * _COPIES * count * dimension**2 + 300.0 * count * len(self.methods))
        key, value = largest_key(config)
        walks = 1 if self.steps is None else max(1.0, self.steps / (dimension * (dimension + 3)))
        require_a_day(key, value, _SECONDS * walks * count * (dimension / _AT) ** 4, "reducing them")

    def run(self, config: LatticeSettings, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is the table summary.csv."""
        with bench.clock.stage("data"):
            bases = config.data.build()
        self._require_affordable(config, *bases.shape[:2])
        found: dict[str, Any] = {}
        tables: dict[str, pd.DataFrame] = {}
        for method in self.methods:
            with bench.clock.stage("reduce"):
                found[method] = bench.remember(method, partial(self._measure, method, bases, config.seed))
            tables = tables_of(found)
            bench.save(tables)
        summary = tables[SUMMARY.name]
        return StudyResult(tables=tables, claims=reduction_claims(tables), numbers=numbers_of(summary),
                           text=text_of_summary(summary, bases.shape), outcome=summary)

    def _measure(self, method: str, bases: FloatArray, seed: int) -> dict[str, Any]:
        """What a method makes of the lattices, as plain values."""
        from agfrun.labs.lattices.certificates import certified  # compiled code, which help and figures do without
        from agfrun.labs.lattices.trial import reduced_batch  # the same

        reduced_batch(method, bases[:1], self.policy, self.steps, seed)  # compiling is not timed
        begun = time.perf_counter()
        batch = reduced_batch(method, bases, self.policy, self.steps, seed)
        seconds = time.perf_counter() - begun
        defects = batch.defects
        det_ok, hnf_ok = certified(batch) if self.certificates else ([None] * len(bases), [None] * len(bases))
        return {"defects": [float(value) if known else None for value, known in zip(defects, batch.found, strict=True)],
                "moves": batch.moves.tolist(), "at": batch.at.tolist(), "det_ok": det_ok, "hnf_ok": hnf_ok,
                "microseconds": 1e6 * seconds / len(bases)}

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.lattices.figures.reduction import figures_of_run  # Matplotlib

        return figures_of_run(saved)

    def verdict(self, saved: Saved) -> Any:
        """See `Study.verdict`."""
        table = saved.tables.get(SUMMARY.name)
        return verdict_of_summary(table, saved.tables.get(CLAIMS.name)) if table is not None and len(table) else None


def numbers_of(summary: pd.DataFrame) -> dict[str, float]:
    """The numbers of a result."""
    found = {f"{row.method}_defect": float(row.mean) for row in summary.itertuples() if row.mean == row.mean}
    for row in summary[summary["method"] == "minima"].itertuples():
        found["at_minima"] = float(row.at_minima)
    return found
