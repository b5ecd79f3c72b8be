"""Defect against moves and multiply-adds: every method on one axis, policies against the product rule at equal work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.labs.lattices.anytime_tables import (
    EQUAL,
    PRODUCT,
    TABLES,
    equal_rows,
    product_moves,
    tables_of,
)
from agfrun.labs.lattices.claims import anytime_claims
from agfrun.labs.lattices.config import MOST_STEPS, LatticeSettings, check_policy
from agfrun.labs.lattices.names import POLICIES, TEMPERATURES
from agfrun.labs.lattices.wording import text_of_equal, verdict_of_equal
from agfrun.study.checks import require, require_a_day
from agfrun.study.claim import CLAIMS
from agfrun.study.memory import largest_key, require_memory
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

CLASSICAL = ("greedy", "seysen", "lll_99")
# Seconds of a move in 10 dimensions, and how much longer a policy's may take.
_SECONDS, _AT, _LONGER = 3e-5, 10.0, 10.0


@register("study")
@dataclass
class AnytimeStudy(Study):
    """How good is the best basis after so many moves, and after so much work?

    `policies` are those to be tried, shipped or files; `budgets` the moves at which they are compared with the product
    rule at the best of six temperatures: once it makes as many moves, once as many multiply-adds.
    """

    name: str = "anytime"
    policies: list[str] = field(default_factory=lambda: list(POLICIES))
    budgets: list[int] = field(default_factory=lambda: [60, 120])

    settings: ClassVar[type] = LatticeSettings
    tables = TABLES
    numbers = (
        Number("equal_moves_difference", "best policy less product rule, at equal moves and the first budget"),
        Number("equal_work_difference", "the same at equal work"),
    )
    key_names: ClassVar[Mapping[str, str]] = {"data.dimension": "dimension", "data.distribution": "kind of lattice"}

    def check(self, config: LatticeSettings) -> None:
        """See `Study.check`."""
        require("study.policies", self.policies, len(set(self.policies)) == len(self.policies) >= 1,
                "at least one policy, each once")
        for policy in self.policies:
            check_policy(policy, "study.policies")
        require("study.budgets", self.budgets, len(set(self.budgets)) == len(self.budgets) >= 1
                and all(1 <= moves <= MOST_STEPS for moves in self.budgets),
                f"different integers from 1 to {MOST_STEPS}, at least one")
        if (size := config.data.size()) is not None:
            self._require_affordable(config, *size)

    def _require_affordable(self, config: LatticeSettings, count: int, dimension: int) -> None:
        """Refuse lattices that need more memory than there is, or days."""
        moves = _LONGER * max(self.budgets)
        require_memory(config, 8.0 * count * (moves + 12 * dimension**2))
        key, value = largest_key(config)
        require_a_day(key, value, _SECONDS * count * moves * len(TEMPERATURES) * (dimension / _AT) ** 2, "walking")

    def run(self, config: LatticeSettings, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is the table equal.csv."""
        from agfrun.labs.lattices.anytime import AnytimeTrial  # compiled code, which help and figures do without
        from agfrun.labs.lattices.weights import read_policy  # the same

        with bench.clock.stage("data"):
            bases = config.data.build()
        self._require_affordable(config, *bases.shape[:2])
        policies = {name: read_policy(name) for name in self.policies}
        trial = AnytimeTrial(bases, bench, config.seed)
        for method in CLASSICAL:
            trial.classical(method)
        ratios = {name: trial.learned(name, *policy, self.budgets) for name, policy in policies.items()}
        needed = sorted({moves for budget in self.budgets for moves in (
            budget, *(product_moves(budget, ratio) for ratio in ratios.values()))})
        for temperature in TEMPERATURES:
            trial.product(temperature, needed)
        equal = equal_rows(
            {name: trial.at[f"learned_{name}"] for name in policies},
            {temperature: trial.at[f"{PRODUCT}{temperature:g}"] for temperature in TEMPERATURES}, ratios, self.budgets)
        tables = tables_of(trial.curves, equal)
        bench.save(tables)
        table = tables[EQUAL.name]
        return StudyResult(tables=tables, claims=anytime_claims(table), numbers=numbers_of(equal, self.budgets[0]),
                           text=text_of_equal(table, bases.shape, trial.optimum), outcome=table)

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.lattices.figures.anytime import figures_of_run  # Matplotlib

        return figures_of_run(saved)

    def verdict(self, saved: Saved) -> Any:
        """See `Study.verdict`."""
        table = saved.tables.get(EQUAL.name)
        return verdict_of_equal(table, saved.tables.get(CLAIMS.name)) if table is not None and len(table) else None


def numbers_of(equal: list[dict[str, Any]], budget: int) -> dict[str, float]:
    """The numbers of a result."""
    return {f"equal_{kind}_difference": min(row["difference"] for row in equal
                                            if row["equal"] == kind and row["moves"] == budget)
            for kind in ("moves", "work")}
