"""Whether subnetworks are critically exposed: critical points of the loss for an open set of targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agfrun.files.tables import empty_table, rows_table
from agfrun.labs.neuromanifolds.claims import OURS, SHAHVERDI_CNN, SHAHVERDI_MLP
from agfrun.labs.neuromanifolds.config import NeuromanifoldConfig
from agfrun.labs.neuromanifolds.exact_study import ExactStudy, flint_version
from agfrun.labs.neuromanifolds.geometry.perturbation import Perturbed, perturbed_targets
from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks
from agfrun.labs.neuromanifolds.strata_table import STRATA, check_strata, measured_strata, strata_rows
from agfrun.labs.neuromanifolds.studies.singularities import slug
from agfrun.study.checks import require
from agfrun.study.claim import Claim, Statement
from agfrun.study.registry import register
from agfrun.study.study import Saved, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.neuromanifolds.stratum import Stratum
    from agfrun.study.bench import Bench

EXPOSED, NOT_EXPOSED = "exposed", "not exposed"

TRIALS = Schema("trials.csv", (
    Column("layer", "integer", "layer of the stratum"),
    Column("kind", "text", "kind of the stratum"),
    Column("trials", "integer", "random targets near one for which a point of the stratum is critical"),
    Column("followed", "integer", "of them that have a critical point of the stratum near by"),
    Column("largest_gradient", "number", "largest gradient left over all trials, of a gradient of about 1 before"),
), "the exact test confirmed in floats: targets are moved, and a critical point is looked for in the stratum")


@register("study")
@dataclass
class ExposednessStudy(ExactStudy):
    """For every kind of subnetwork: is it a critical point of the loss for an open set of targets?

    `trials` targets near by are tried in floats for each kind, as a confirmation; 0 leaves it out.
    """

    name: str = "exposedness"
    trials: int = 5

    tables = (STRATA, TRIALS)
    numbers = (
        Number("dimension", "dimension", "integer"),
        Number("span", "dimension of the span of all functions", "integer"),
        Number("strata", "kinds of subnetworks", "integer", in_figures=False),
        Number("exposed", "kinds that are critically exposed", "integer", of="strata"),
    )

    def check(self, config: NeuromanifoldConfig) -> None:
        """See `Study.check`."""
        super().check(config)
        require("study.trials", self.trials, 0 <= self.trials <= 1000, "an integer from 0 to 1000")
        check_strata(config)

    def run(self, config: NeuromanifoldConfig, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` are pairs of `Stratum` and `StratumRanks`."""
        dimension = self.dimension(config, bench).dimension
        found = measured_strata(config, bench, "exposed")
        rows = strata_rows(found, dimension, lambda ranks: EXPOSED if ranks.exposed else NOT_EXPOSED)
        table = rows_table(STRATA, rows)
        bench.save({STRATA.name: table})
        with bench.clock.stage("trials"):
            trials = [self._tried(config, bench, pair, i) for i, pair in enumerate(found) if self.trials]
        tried = rows_table(TRIALS, [dataclasses.asdict(one) for one in trials]) if trials else empty_table(TRIALS)
        return StudyResult(
            tables={STRATA.name: table, TRIALS.name: tried}, claims=claims_of(found, trials),
            numbers={"dimension": dimension, "span": found[0][1].span, "strata": len(rows),
                     "exposed": sum(row["verdict"] == EXPOSED for row in rows)},
            text=text_of(config, rows, trials), provenance={"python_flint": flint_version()}, outcome=found)

    def _tried(self, config: NeuromanifoldConfig, bench: Bench, pair: tuple[Stratum, StratumRanks], place: int
               ) -> Perturbed:
        stratum, ranks = pair
        return Perturbed(**bench.remember(f"trials {place}", lambda: dataclasses.asdict(
            perturbed_targets(config.model, stratum, ranks.span, self.trials, config.seed))))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        if STRATA.name in saved.tables and len(saved.tables[STRATA.name]):
            from agfrun.labs.neuromanifolds.figures.strata import plot_exposedness  # Matplotlib

            yield "exposedness", plot_exposedness(saved.tables[STRATA.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(STRATA.name)
        if table is None or not len(table):
            return None
        exposed = table[table["verdict"] == EXPOSED]
        names = ", ".join(f"{row.kind} (layer {row.layer})" for row in exposed.itertuples())
        return Verdict(f"{len(exposed)} of {len(table)} kinds of subnetworks are critically exposed"
                       f"{': ' + names if names else ''}.", "good")


def claims_of(found: list[tuple[Stratum, StratumRanks]], trials: list[Perturbed]) -> list[Claim]:
    """What the papers say of strict subnetworks and of filters, and whether floats confirm each verdict."""
    claims = []
    for stratum, ranks in found:
        exposed = EXPOSED if ranks.exposed else NOT_EXPOSED
        if stratum.strict:
            statement = Statement(f"strict_is_exposed_{slug(stratum)}", "exposed dimension", f"{stratum.words}: "
                                  "critically exposed", f"{SHAHVERDI_MLP}, theorem 4.3", "theorem")
            claims.append(statement.decided(EXPOSED, exposed, ranks.exposed, "integers"))
        elif stratum.kind.startswith("node"):
            statement = Statement(f"filters_are_not_exposed_{slug(stratum)}", "exposed dimension", f"{stratum.words}: "
                                  "not critically exposed", f"{SHAHVERDI_MLP}, theorem 4.5; {SHAHVERDI_CNN}", "theorem")
            claims.append(statement.decided(NOT_EXPOSED, exposed, not ranks.exposed, "integers"))
    for (stratum, ranks), one in zip(found, trials, strict=False):
        statement = Statement(f"floats_confirm_{slug(stratum)}", "trials", f"{stratum.words}: random targets near by "
                              "have a critical point of the same kind only if it is exposed", OURS, "numerics")
        # Targets of a stratum that is not exposed have measure zero: none is met at random. Of one that is, Newton's
        # method may lose some where weights are badly scaled.
        holds = one.followed > 0 if ranks.exposed else one.followed == 0
        claims.append(statement.decided("some" if ranks.exposed else "none", f"{one.followed} of {one.trials}", holds,
                                        "a gradient below 1e-6 of what moving the targets made of it counts as zero"))
    return claims


def text_of(config: NeuromanifoldConfig, rows: list[dict[str, Any]], trials: list[Perturbed]) -> str:
    """The lines for the terminal."""
    lines = [f"{config.model.name} {config.model.architecture()}: targets with a critical point in a stratum, of "
             f"{rows[0]['span']} dimensions",
             f"{'layer':>5}  {'kind':<10}{'rank':>6}{'targets':>9}  {'verdict':<13}" + ("floats" if trials else "")]
    for i, row in enumerate(rows):
        confirmed = f"{trials[i].followed} of {trials[i].trials} followed" if trials else ""
        lines.append(f"{row['layer']:>5}  {row['kind']:<10}{row['rank']:>6}{row['exposed_dimension']:>9}  "
                     f"{row['verdict']:<13}{confirmed}".rstrip())
    return "\n".join(lines)
