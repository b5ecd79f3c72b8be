"""Whether subnetworks are singular points of the neuromanifold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agfrun.files.tables import empty_table, rows_table
from agfrun.labs.neuromanifolds.claims import HENRY, OURS, SHAHVERDI_CNN, SHAHVERDI_MLP
from agfrun.labs.neuromanifolds.config import NeuromanifoldConfig
from agfrun.labs.neuromanifolds.exact_study import ExactStudy, flint_version
from agfrun.labs.neuromanifolds.geometry.pinch import pinched_surface
from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks
from agfrun.labs.neuromanifolds.strata_table import STRATA, check_strata, measured_strata, strata_rows
from agfrun.study.claim import Claim, Statement
from agfrun.study.registry import register
from agfrun.study.study import Saved, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.labs.neuromanifolds.stratum import Stratum
    from agfrun.study.bench import Bench

SINGULAR, INCONCLUSIVE = "singular", "inconclusive"

PINCH = Schema("pinch.csv", (
    Column("outgoing", "number", "factor s of the last neuron's outgoing weights; the subnetwork is at 0"),
    Column("turn", "number", "angle t by which its incoming weights are turned"),
    Column("first", "number", "the function's place along the widest direction of the surface"),
    Column("second", "number", "along the second"),
    Column("third", "number", "along the third"),
), "a surface of functions through a subnetwork, for the figure", in_sweeps="none")


@register("study")
@dataclass
class SingularitiesStudy(ExactStudy):
    """For every kind of subnetwork: is its function a singular point of the neuromanifold?

    Tangent vectors at all weights of one function lie in the tangent space of the neuromanifold there. If they span
    more than its dimension, the point is singular; if not, nothing is decided.
    """

    name: str = "singularities"

    tables = (STRATA, PINCH)
    numbers = (
        Number("dimension", "dimension", "integer"),
        Number("span", "dimension of the span of all functions", "integer"),
        Number("strata", "kinds of subnetworks", "integer", in_figures=False),
        Number("singular", "kinds that are certified singular", "integer", of="strata"),
    )

    def check(self, config: NeuromanifoldConfig) -> None:
        """See `Study.check`."""
        super().check(config)
        check_strata(config)

    def run(self, config: NeuromanifoldConfig, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` are pairs of `Stratum` and `StratumRanks`."""
        dimension = self.dimension(config, bench).dimension
        found = measured_strata(config, bench, "union")
        rows = strata_rows(found, dimension, lambda ranks: verdict_of(ranks, dimension))
        certified = sum(row["verdict"] == SINGULAR for row in rows)
        span = found[0][1].span
        return StudyResult(
            tables={STRATA.name: rows_table(STRATA, rows), PINCH.name: pinch_table(config)},
            claims=claims_of(found, dimension),
            numbers={"dimension": dimension, "span": span, "strata": len(rows), "singular": certified},
            text=text_of(config, rows, dimension), provenance={"python_flint": flint_version()}, outcome=found)

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        if STRATA.name in saved.tables and len(saved.tables[STRATA.name]):
            from agfrun.labs.neuromanifolds.figures.strata import plot_ranks  # Matplotlib

            yield "ranks", plot_ranks(saved.tables[STRATA.name])
        if PINCH.name in saved.tables and len(saved.tables[PINCH.name]):
            from agfrun.labs.neuromanifolds.figures.pinch import plot_pinch  # Matplotlib, in three dimensions

            yield "pinch", plot_pinch(saved.tables[PINCH.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(STRATA.name)
        if table is None or not len(table):
            return None
        open_ones = table[table["verdict"] != SINGULAR]
        words = [f"{len(table) - len(open_ones)} of {len(table)} kinds of subnetworks are singular points"]
        if len(open_ones):
            names = ", ".join(f"{row.kind} (layer {row.layer})" for row in open_ones.itertuples())
            words.append(f"inconclusive: {names}")
        return Verdict("; ".join(words) + ".", "good" if not len(open_ones) else "open")


def pinch_table(config: NeuromanifoldConfig) -> pd.DataFrame:
    """The table pinch.csv; empty for a network without neurons."""
    surface = pinched_surface(config.model, config.seed)
    if surface is None:
        return empty_table(PINCH)
    return rows_table(PINCH, [dict(zip(surface, map(float, values), strict=True))
                              for values in zip(*surface.values(), strict=True)])


def verdict_of(ranks: StratumRanks, dimension: int) -> str:
    """`singular` if tangent vectors at weights of one function span more than the dimension."""
    assert ranks.union_rank is not None
    return SINGULAR if ranks.union_rank > dimension else INCONCLUSIVE


def claims_of(found: list[tuple[Stratum, StratumRanks]], dimension: int) -> list[Claim]:
    """One claim a stratum on singularity, one on the dimension of strict subnetworks, one on ranks."""
    claims = []
    for stratum, ranks in found:
        statement = Statement(f"singular_{slug(stratum)}", "tangent spaces", f"{stratum.words}: the function is a "
                              "singular point of the neuromanifold", *_stated(stratum))
        assert ranks.union_rank is not None
        if ranks.union_rank > dimension:
            claims.append(statement.decided(f"more than {dimension}", ranks.union_rank, True, "the tangent vectors at "
                                            "weights of one function span more than the dimension"))
        else:
            claims.append(statement.undecided(f"the tangent vectors that were found span {ranks.union_rank}, no more "
                                              f"than the dimension {dimension}: the test is sufficient, not necessary"))
    strict = [ranks for stratum, ranks in found if stratum.strict]
    if strict:
        statement = Statement("rank_at_strict_subnetworks", "ranks", "where all weights of a neuron vanish the rank is "
                              "the dimension of the smaller network", OURS, "ours")
        claims.append(statement.decided(", ".join(str(ranks.stratum_dimension) for ranks in strict),
                                        ", ".join(str(ranks.rank) for ranks in strict),
                                        all(ranks.rank == ranks.stratum_dimension for ranks in strict), "integers"))
    return claims


def _stated(stratum: Stratum) -> tuple[str, str]:
    """Where that is stated, and as what."""
    if stratum.kind in ("rank_one", "boundary"):
        return f"{HENRY}, theorem 3.4", "theorem"
    if stratum.kind.startswith("node"):
        return SHAHVERDI_CNN, "theorem"
    if stratum.kind in ("in&out", "out", "in", "duplicate"):
        return f"{SHAHVERDI_MLP}, theorem 4.2", "theorem"
    return OURS, "ours"


def slug(stratum: Stratum) -> str:
    """A stratum as part of a claim's name."""
    return f"{stratum.kind.replace('&', '_and_').replace(' ', '_').replace('-', '_')}_{stratum.layer}"


def text_of(config: NeuromanifoldConfig, rows: list[dict[str, Any]], dimension: int) -> str:
    """The lines for the terminal."""
    lines = [f"{config.model.name} {config.model.architecture()}: dimension {dimension}, functions span "
             f"{rows[0]['span']} dimensions",
             f"{'layer':>5}  {'kind':<10}{'rank':>6}{'stratum':>9}{'tangents':>10}  verdict"]
    lines += [f"{row['layer']:>5}  {row['kind']:<10}{row['rank']:>6}{row['stratum_dimension']:>9}"
              f"{row['union_rank']:>10}  {', '.join(filter(None, (row['verdict'], row['type'])))}" for row in rows]
    return "\n".join(lines)
