"""The table of strata that two studies share, and how a run measures it prime by prime."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES
from agfrun.labs.neuromanifolds.geometry.span import check_span
from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks, agreed_strata, modulo
from agfrun.study.errors import ConfigError
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NeuromanifoldConfig
    from agfrun.labs.neuromanifolds.stratum import Stratum
    from agfrun.study.bench import Bench

NODE, RAMIFIED = "node", "ramified"

STRATA = Schema("strata.csv", (
    Column("layer", "integer", "layer that is degenerate, from 1 on"),
    Column("kind", "text", "how: which weights of a neuron vanish (in, out, in&out), or another kind"),
    Column("words", "text", "the same in a few words"),
    Column("dimension", "integer", "dimension of the neuromanifold"),
    Column("rank", "integer", "rank of the Jacobian at a random point of the stratum"),
    Column("stratum_dimension", "integer", "dimension of the stratum's functions"),
    Column("union_rank", "integer", "dimension of the span of tangent vectors at weights of one function; empty: not "
           "asked for"),
    Column("exposed_dimension", "integer", "dimension of the targets that have a critical point in the stratum; empty: "
           "not asked for"),
    Column("span", "integer", "dimension of the span of all functions, where targets lie"),
    Column("verdict", "text", "singular or inconclusive; exposed or not exposed"),
    Column("type", "text", "of a singular point: node, where branches cross that are smooth for the parametrization, "
           "or ramified (cusp, pinch, boundary), where its rank drops; empty: not asked for"),
), "kinds of subnetworks, each at a random point", optional=("type",))


def check_strata(config: NeuromanifoldConfig) -> None:
    """Refuse a network without strata, or one whose functions span too large a space.

    Raises:
        UsageError: it is one of these.
    """
    if not config.model.strata():
        raise ConfigError("model.name", config.model.name, "names no strata: its class has no method `strata`")
    check_span(config.model, config.seed)


def measured_strata(config: NeuromanifoldConfig, bench: Bench, what: str) -> list[tuple[Stratum, StratumRanks]]:
    """All strata of the network, with integers on which two primes agree."""
    strata = config.model.strata()

    def taken(prime: int) -> list[StratumRanks]:
        rows = bench.remember(f"strata, {what}, modulo {prime}", lambda: [
            dataclasses.asdict(one) for one in modulo(config.model, strata, config.seed, what, prime)])
        return [StratumRanks(**row) for row in rows]

    with bench.clock.stage("strata"):
        return list(zip(strata, agreed_strata(taken, PRIMES), strict=True))


def strata_rows(found: list[tuple[Stratum, StratumRanks]], dimension: int,
                verdict: Callable[[StratumRanks], str]) -> list[dict[str, Any]]:
    """The rows of strata.csv."""
    return [{"layer": stratum.layer, "kind": stratum.kind, "words": stratum.words, "dimension": dimension,
             **dataclasses.asdict(ranks), "verdict": verdict(ranks), "type": singularity_type(ranks, dimension)}
            for stratum, ranks in found]


def singularity_type(ranks: StratumRanks, dimension: int) -> str | None:
    """`node` or `ramified` of a point that tangent vectors certify to be singular, None of another.

    Weights at which the Jacobian has full rank are mapped to a smooth branch near by, and one branch has tangent
    vectors of `dimension` dimensions only: more of them come from several branches.
    """
    if ranks.union_rank is None or ranks.union_rank <= dimension:
        return None
    return NODE if ranks.rank == dimension else RAMIFIED
