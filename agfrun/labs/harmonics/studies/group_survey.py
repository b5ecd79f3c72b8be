"""Every group of small order, read from networks that are invariant to it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agfrun.files.tables import rows_table
from agfrun.groups import (
    GROUPS_OF_ORDER,
    LARGEST_ORDER,
    IntArray,
    identify,
    irrep_dimensions,
    is_commutative,
    named_group,
)
from agfrun.labs.harmonics.claims import HARMONICS, TRAINING
from agfrun.labs.harmonics.config import check_processor, check_size, group_or_none
from agfrun.labs.harmonics.network.fit import CERTIFICATE, fit
from agfrun.labs.harmonics.network.layout import Slots
from agfrun.labs.harmonics.recovery import read_table, representations_of
from agfrun.study.checks import require
from agfrun.study.claim import Claim, Statement
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

CERTIFIED, OPEN = "certified", "not certified"

GROUPS = Schema("groups.csv", (
    Column("order", "integer", "number of elements"),
    Column("number", "integer", "among the groups of this order, as the small groups library counts"),
    Column("group", "text", "name"),
    Column("dimensions", "text", "dimensions of the irreps"),
    Column("commutative", "flag", "whether it is"),
    Column("restarts", "integer", "initializations that were trained until one was certified"),
    Column("certified", "integer", "of them, those that are"),
    Column("certificate", "number", "the least"),
    Column("table_correct", "flag", "whether the table read from the best has all entries right"),
    Column("read", "text", "the group whose table was read; empty where it is no group's"),
    Column("verdict", "text", f"{CERTIFIED} or {OPEN}"),
    Column("seconds", "number", "wall seconds"),
), "a row a group")


@register("study")
@dataclass
class GroupSurveyStudy(Study):
    """All groups of order up to `largest`: rounds of `restarts` initializations until one is certified."""

    name: str = "group_survey"
    largest: int = LARGEST_ORDER
    restarts: int = 12
    rounds: int = 8

    settings: ClassVar[type] = RunSettings
    tables = (GROUPS,)
    numbers = (
        Number("groups", "groups", "integer"),
        Number("certified", "groups that are certified", "integer", of="groups"),
        Number("tables_correct", "groups whose table is right", "integer", of="groups"),
    )
    key_names: ClassVar[Mapping[str, str]] = {"study.largest": "largest order"}

    def check(self, config: RunSettings) -> None:
        """See `Study.check`."""
        check_processor(config)
        require("study.largest", self.largest, 1 <= self.largest <= LARGEST_ORDER,
                f"an integer from 1 to {LARGEST_ORDER}")
        for key, value in (("restarts", self.restarts), ("rounds", self.rounds)):
            require(f"study.{key}", value, 1 <= value <= 1000, "an integer from 1 to 1000")
        check_size(config, Slots((1,) * self.largest), self.largest, self.restarts)

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        rows: list[dict[str, Any]] = []
        with bench.clock.stage("groups"):
            for order in range(1, self.largest + 1):
                for number, group in enumerate(GROUPS_OF_ORDER[order], start=1):
                    rows.append(bench.remember(f"{order}:{number}", partial(
                        self._row, order, number, group, config.seed)))
                    bench.save({GROUPS.name: rows_table(GROUPS, rows)})
        certified = sum(row["verdict"] == CERTIFIED for row in rows)
        correct = sum(row["table_correct"] for row in rows)
        return StudyResult(tables={GROUPS.name: rows_table(GROUPS, rows)}, claims=claims_of(rows), text=text_of(rows),
                           numbers={"groups": len(rows), "certified": certified, "tables_correct": correct})

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        if GROUPS.name in saved.tables and len(saved.tables[GROUPS.name]):
            from agfrun.labs.harmonics.figures.survey import plot_survey  # Matplotlib

            yield "survey", plot_survey(saved.tables[GROUPS.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(GROUPS.name)
        if table is None or not len(table):
            return None
        certified, right = int((table["verdict"] == CERTIFIED).sum()), int(table["table_correct"].sum())
        missing = ", ".join(table.loc[table["verdict"] != CERTIFIED, "group"])
        words = f"{certified} of {len(table)} groups are certified, and {right} tables are right"
        return Verdict(f"{words}; not certified: {missing}." if missing else f"{words}.",
                       "good" if certified == right == len(table) else "open")

    def _row(self, order: int, number: int, group: str, seed: int) -> dict[str, Any]:
        """A row of groups.csv."""
        began = time.perf_counter()
        table = named_group(group)
        slots = Slots(tuple(irrep_dimensions(table)))
        generator = np.random.default_rng((seed, order, number))
        drawn, certified, best = 0, 0, float("inf")
        found: IntArray | None = None
        while drawn < self.rounds * self.restarts and not certified:
            made = fit(slots, table, slots.initial(self.restarts, generator))
            drawn += self.restarts
            certified += int((made.certificates < CERTIFICATE).sum())
            if made.certificates[made.best] < best:
                best = float(made.certificates[made.best])
                found = read_table(representations_of(slots, made.weights[made.best]))
        assert found is not None
        return {"order": order, "number": number, "group": group, "dimensions": " ".join(map(str, slots.dimensions)),
                "commutative": is_commutative(table), "restarts": drawn, "certified": certified,
                "certificate": best, "table_correct": bool((found == table).all()),
                "read": identify(found) if group_or_none(found) is not None else None,
                "verdict": CERTIFIED if certified else OPEN, "seconds": time.perf_counter() - began}


def claims_of(rows: list[dict[str, Any]]) -> list[Claim]:
    """That every group is certified, that certified tables are right, and that groups are told apart."""
    done = [row for row in rows if row["certified"]]
    right = sum(row["table_correct"] for row in done)
    told = sum(row["read"] == row["group"] for row in done)
    return [
        Statement("every_group_is_learned", TRAINING, "for every group some restart ends at its irreps", HARMONICS,
                  "numerics").decided(len(rows), len(done), len(done) == len(rows), "certificates"),
        Statement("certified_tables_are_right", TRAINING, "every certified group has its Cayley table in the weights, "
                  "entry by entry", HARMONICS, "theorem").decided(len(done), right, right == len(done), "integers"),
        Statement("groups_are_told_apart", TRAINING, "the table that is read is of this group and of no other of its "
                  "order", HARMONICS, "theorem").decided(len(done), told, told == len(done), "isomorphism tests")]


def text_of(rows: list[dict[str, Any]]) -> str:
    """The lines for the terminal."""
    lines = [f"{'group':<14}{'order':>6}  {'irreps':<34}{'certified':>12}{'seconds':>9}  read"]
    for row in rows:
        dimensions = row["dimensions"].split()
        short = " ".join(f"{d}^{count}" if (count := dimensions.count(d)) > 1 else d for d in dict.fromkeys(dimensions))
        lines.append(f"{row['group']:<14}{row['order']:>6}  {short:<34}{row['certified']:>5} of {row['restarts']:>3}"
                     f"{row['seconds']:>9.2f}  {row['read'] or '-'}{'' if row['table_correct'] else ', table wrong'}")
    return "\n".join(lines)
