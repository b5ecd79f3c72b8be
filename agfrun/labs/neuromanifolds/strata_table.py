"""The table of strata that two studies share, and how a run measures it prime by prime."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES
from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks, agreed_strata, modulo
from agfrun.study.errors import ConfigError
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NeuromanifoldConfig
    from agfrun.labs.neuromanifolds.stratum import Stratum
    from agfrun.study.bench import Bench

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
), "kinds of subnetworks, each at a random point")


def measured_strata(config: NeuromanifoldConfig, bench: Bench, what: str) -> list[tuple[Stratum, StratumRanks]]:
    """All strata of the network, with integers on which two primes agree.

    Raises:
        ConfigError: the network names no strata.
    """
    strata = config.model.strata()
    if not strata:
        raise ConfigError("model.name", config.model.name, "names no strata: its class has no method `strata`")

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
             **dataclasses.asdict(ranks), "verdict": verdict(ranks)} for stratum, ranks in found]
