"""The exact dimension of the functions that a polynomial network can be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.files.tables import empty_table, rows_table
from agfrun.labs.neuromanifolds.arithmetic.prime_field import NOT_INSTALLED, PRIMES
from agfrun.labs.neuromanifolds.claims import claims_of
from agfrun.labs.neuromanifolds.config import NetworkConfig, NeuromanifoldConfig
from agfrun.labs.neuromanifolds.counts import ClosedForm, ModularRank
from agfrun.labs.neuromanifolds.exact_study import (
    KEY_NAMES,
    TOGETHER_KEYS,
    check_function,
    flint_version,
    remembered_rank,
)
from agfrun.labs.neuromanifolds.measurement import Measurement, measure
from agfrun.labs.neuromanifolds.precision import PreciseRank, precise_rank
from agfrun.labs.neuromanifolds.wording import sweep_sentence, text_of, verdict_on
from agfrun.study.checks import require
from agfrun.study.claim import CLAIMS
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

NUMBERS = (
    Number("dimension", "dimension", "integer"),
    Number("expected", "expected dimension", "integer"),
    Number("closed_form", "closed form", "integer", in_figures=False),
    Number("defect", "defect", "integer"),
    Number("filling", "fills its ambient space", "flag"),
    Number("parameters", "parameters", "integer"),
    Number("ambient", "ambient dimension", "integer", logarithmic=True),
    Number("fibre_dimension", "dimension of a fibre", "integer"),
    Number("bound", "proved upper bound", "integer", in_figures=False, in_pages=False),
    Number("proved", "dimension is proved", "flag", in_figures=False),
)
# What an integer of a table can hold; a space of more dimensions is left out.
LARGEST_INTEGER = 2**63 - 1

ARCHITECTURES = Schema("architectures.csv", (
    Column("network", "text", "name of the network"),
    Column("architecture", "text", "its sizes, such as 2-3-1"),
    Column("degree", "integer", "degree of the activation; empty: it has none"),
    Column("parameters", "integer", "weights"),
    Column("symmetries", "integer", "dimension of the known symmetries, which change weights and no function"),
    Column("ambient", "integer", "dimension of the space of all functions of the outputs' form; empty: unknown, or "
           "2^63 or more"),
    Column("expected", "integer", "the smaller of ambient and parameters less symmetries"),
    Column("bound", "integer", "least proved upper bound on the dimension"),
    Column("closed_form", "integer", "dimension that theory says; empty: no closed form is known"),
    Column("closed_form_source", "text", "which result says it"),
    Column("closed_form_standing", "text", "theorem, or ours: derived, and right wherever it was tested"),
    Column("dimension", "integer", "dimension of the neuromanifold: the largest rank found"),
    Column("defect", "integer", "expected less dimension"),
    Column("fibre_dimension", "integer", "parameters less dimension"),
    Column("filling", "flag", "whether the dimension is the ambient one"),
    Column("proved", "flag", "whether the dimension is certain: it meets the upper bound"),
    Column("seconds", "number", "wall seconds of the ranks"),
), "the network, what is counted of it and what was measured")
RANKS = Schema("ranks.csv", (
    Column("prime", "integer", "the modulus; empty: real numbers of many digits"),
    Column("rank", "integer", "rank of the Jacobian at random weights; modulo a prime it is at most the dimension"),
    Column("rows", "integer", "random evaluations"),
    Column("columns", "integer", "weights by which is differentiated"),
    Column("compression", "text", "of the columns to as many as there are rows: none, sparse or dense"),
    Column("digits", "integer", "decimal digits of real numbers; empty: modulo a prime nothing is rounded"),
    Column("gap", "number", "digits by which singular values drop after the last that counts"),
    Column("seconds", "number", "wall seconds"),
), "the rank modulo each prime, or in many digits", optional=("digits", "gap"))


@register("study")
@dataclass
class DimensionStudy(Study):
    """The exact dimension of the functions that a network can be: ranks of its Jacobian modulo primes.

    A network that is no polynomial, such as attention with softmax, has its rank in real numbers of 300 digits.
    `primes` is the least number of ranks, each modulo another prime; more are taken until two agree on the largest.
    """

    name: str = "dimension"
    primes: int = 2

    settings: ClassVar[type] = NeuromanifoldConfig
    tables = (ARCHITECTURES, RANKS)
    numbers = NUMBERS
    key_names: ClassVar[Mapping[str, str]] = KEY_NAMES
    preload = ("agfrun.labs.neuromanifolds.networks.mlp.network", "agfrun.labs.neuromanifolds.studies.dimension")
    together_keys = TOGETHER_KEYS

    def check(self, config: NeuromanifoldConfig) -> None:
        """See `Study.check`."""
        require("study.primes", self.primes, 1 <= self.primes <= len(PRIMES), f"an integer from 1 to {len(PRIMES)}")
        if not config.model.polynomial and find_spec("flint") is None:
            raise ConfigError("model.name", config.model.name, NOT_INSTALLED)
        if config.model.polynomial:
            check_function(config.model)

    def run(self, config: NeuromanifoldConfig, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is a `Measurement`."""
        ranks: list[ModularRank | PreciseRank] = []
        # A run that is killed in its first rank can be resumed all the same.
        bench.save({RANKS.name: empty_table(RANKS)})

        def step(prime: int, take: Callable[[], ModularRank]) -> ModularRank:
            found = remembered_rank(bench, prime, take)
            ranks.append(found)
            bench.save({RANKS.name: ranks_table(ranks)})
            return found

        with bench.clock.stage("ranks"):
            if config.model.polynomial:
                measured = measure(config.model, config.seed, at_least=self.primes, step=step)
            else:
                ranks.append(PreciseRank(**bench.remember("rank", lambda: dataclasses.asdict(
                    precise_rank(config.model, config.seed)))))
                measured = Measurement(config.model.counts(), tuple(ranks))
        known = config.model.closed_form()
        row = architecture_row(config.model, measured, known)
        return StudyResult(
            tables={ARCHITECTURES.name: rows_table(ARCHITECTURES, [row]), RANKS.name: ranks_table(ranks)},
            claims=claims_of(measured, known, config.model.why_no_closed_form()),
            numbers={number.name: row[number.name] for number in NUMBERS},
            text=text_of(config.model, measured, known), outcome=measured,
            provenance={} if config.model.polynomial else {"python_flint": flint_version()})

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        if ARCHITECTURES.name in saved.tables and len(saved.tables[ARCHITECTURES.name]):
            from agfrun.labs.neuromanifolds.figures.counts import plot_counts  # Matplotlib

            yield "counts", plot_counts(saved.tables[ARCHITECTURES.name].iloc[0])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(ARCHITECTURES.name)
        if table is None or not len(table):
            return None
        return verdict_on(table.iloc[0], saved.tables.get(CLAIMS.name))

    def sweep_figures(self, sweep: Any) -> Iterable[tuple[str, Figure]]:
        """See `Study.sweep_figures`."""
        from agfrun.labs.neuromanifolds.figures.sweep import figures_of_sweep  # Matplotlib

        return figures_of_sweep(sweep)

    def sweep_verdict(self, runs: pd.DataFrame) -> Verdict | None:
        """See `Study.sweep_verdict`."""
        return sweep_sentence(runs)

    def sweep_text(self, runs: pd.DataFrame) -> str:
        """See `Study.sweep_text`."""
        return sweep_sentence(runs).sentence

    def series(self, saved: Saved) -> Iterator[tuple[str, int, float]]:
        """See `Study.series`: the ranks by their number."""
        for place, rank in enumerate(saved.tables[RANKS.name]["rank"] if RANKS.name in saved.tables else ()):
            yield "rank", place, float(rank)


def ranks_table(ranks: Iterable[ModularRank | PreciseRank]) -> pd.DataFrame:
    """The table ranks.csv."""
    rows = []
    for found in ranks:
        if isinstance(found, PreciseRank):
            rows.append({"prime": None, "compression": "none", "gap": found.gap} | dataclasses.asdict(found))
        else:
            rows.append({"digits": None, "gap": None} | dataclasses.asdict(found))
    return rows_table(RANKS, [{name: row[name] for name in RANKS.names} for row in rows])


def architecture_row(network: NetworkConfig, measured: Measurement, known: ClosedForm | None) -> dict[str, Any]:
    """The row of architectures.csv."""
    counts = measured.counts
    ambient = counts.ambient if counts.ambient is None or counts.ambient <= LARGEST_INTEGER else None
    return {
        "network": network.name, "architecture": network.architecture(), "degree": network.activation_degree(),
        "parameters": counts.parameters, "symmetries": counts.symmetries, "ambient": ambient,
        "expected": counts.expected, "bound": counts.bound,
        "closed_form": known.dimension if known is not None else None,
        "closed_form_source": known.source if known is not None else None,
        "closed_form_standing": known.standing if known is not None else None,
        "dimension": measured.dimension, "defect": measured.defect, "fibre_dimension": measured.fibre_dimension,
        "filling": measured.filling, "proved": measured.proved, "seconds": sum(one.seconds for one in measured.ranks),
    }
