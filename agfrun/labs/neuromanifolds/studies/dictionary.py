"""The dictionary between algebraic geometry and learning, for one network: an expository paper as a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

from agfrun.files.tables import rows_table
from agfrun.labs.neuromanifolds.claims import claims_of
from agfrun.labs.neuromanifolds.config import NeuromanifoldConfig
from agfrun.labs.neuromanifolds.counts import Invariants, Known
from agfrun.labs.neuromanifolds.exact_study import ExactStudy, flint_version
from agfrun.labs.neuromanifolds.geometry.fibres import Fibre, generic_fibre
from agfrun.labs.neuromanifolds.landscape import counting
from agfrun.labs.neuromanifolds.landscape.msolve import executable
from agfrun.labs.neuromanifolds.measurement import Measurement
from agfrun.labs.neuromanifolds.strata_table import check_strata, measured_strata
from agfrun.study.checks import require
from agfrun.study.registry import register
from agfrun.study.study import Saved, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks
    from agfrun.labs.neuromanifolds.stratum import Stratum
    from agfrun.study.bench import Bench

DICTIONARY = Schema("dictionary.csv", (
    Column("learning", "text", "the question of learning"),
    Column("geometry", "text", "what answers it"),
    Column("value", "text", "its value for this network; empty: not known"),
    Column("meaning", "text", "what that means, in a sentence"),
    Column("source", "text", "measured here, or the result that gives it"),
), "Marchetti, Shahverdi, Mereta, Trager & Kohn, arXiv:2501.18915, for one network")
MEASURED = "measured here"
COUNTED = f"{MEASURED}, by Groebner bases modulo a prime"
NOT_COUNTED = "no closed form is known, and no count came to its end"


@register("study")
@dataclass
class DictionaryStudy(ExactStudy):
    """One table that says of a network what algebraic geometry says about learning with it.

    `accuracy` is that to which functions are to be told apart, in the sample complexity. Degree and critical points
    without a closed form are counted where msolve is installed and `seconds` suffice; 0: they are not.
    """

    name: str = "dictionary"
    accuracy: float = 0.1
    seconds: float = 10.0

    tables = (DICTIONARY,)
    numbers = (
        Number("dimension", "dimension", "integer"),
        Number("parameters", "parameters", "integer"),
        Number("degree", "degree", "integer", logarithmic=True),
        Number("critical_points", "complex critical points of a generic loss", "integer", logarithmic=True),
        Number("sample_term", "m log(d / eps)"),
        Number("singular", "kinds of subnetworks certified singular", "integer"),
        Number("exposed", "kinds of subnetworks critically exposed", "integer"),
    )

    def check(self, config: NeuromanifoldConfig) -> None:
        """See `Study.check`."""
        super().check(config)
        require("study.accuracy", self.accuracy, 0 < self.accuracy < 1, "above 0 and below 1")
        require("study.seconds", self.seconds, 0 <= self.seconds <= 86400, "from 0 to 86400")
        if config.model.strata():
            check_strata(config)

    def run(self, config: NeuromanifoldConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        model = config.model
        measured = self.dimension(config, bench)
        strata = bool(model.strata())
        unions = measured_strata(config, bench, "union") if strata else []
        exposed = measured_strata(config, bench, "exposed") if strata else []
        with bench.clock.stage("symmetries"):
            fibre = generic_fibre(model, measured.dimension, config.seed)
        known = self._invariants(config, bench, measured.dimension)
        term = None if known.degree is None else measured.dimension * log(known.degree.value / self.accuracy)
        rows = [*_of_dimension(measured, known.degree, term, self.accuracy), *_of_fibre(fibre),
                *_of_strata(measured.dimension, unions, exposed),
                *_of_landscape(known.critical_points, known.nearest_points)]
        singular = sum((ranks.union_rank or 0) > measured.dimension for _, ranks in unions)
        return StudyResult(
            tables={DICTIONARY.name: rows_table(DICTIONARY, [dataclasses.asdict(row) for row in rows])},
            claims=claims_of(measured, model.closed_form(), model.why_no_closed_form()),
            numbers={"dimension": measured.dimension, "parameters": measured.counts.parameters,
                     "degree": _value(known.degree), "critical_points": _value(known.critical_points),
                     "sample_term": term, "singular": singular if strata else None,
                     "exposed": sum(ranks.exposed for _, ranks in exposed) if strata else None},
            text=text_of(config, rows), provenance={"python_flint": flint_version()}, outcome=rows)

    def _invariants(self, config: NeuromanifoldConfig, bench: Bench, dimension: int) -> Invariants:
        """Closed forms, and where there is none what Groebner bases count in a few seconds."""
        model = config.model
        known = model.invariants()
        if not self.seconds or executable() is None or counting.too_large(model) is not None:
            return known

        def found(question: str, closed: Known | None) -> Known | None:
            if closed is not None:
                return closed
            value = bench.remember(question, lambda: counting.count_functions(
                model, dimension, question, None, config.seed, self.seconds).count)
            return None if value is None else Known(value, COUNTED, proved=False)

        with bench.clock.stage("counts"):
            return Invariants(found(counting.DEGREE, known.degree), found(counting.GENERIC, known.critical_points),
                              known.nearest_points)

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(DICTIONARY.name)
        if table is None or not len(table):
            return None
        return Verdict(str(table.iloc[0]["meaning"]), "good")


@dataclass(frozen=True)
class Entry:
    """A row of dictionary.csv."""

    learning: str
    geometry: str
    value: str | None
    meaning: str
    source: str


def _of_dimension(measured: Measurement, degree: Known | None, term: float | None, accuracy: float) -> Iterator[Entry]:
    counts = measured.counts
    yield Entry("expressivity", "dimension", str(measured.dimension),
                f"Of {counts.parameters} weights the functions tell {measured.dimension} directions apart.", MEASURED)
    if counts.ambient is not None:
        fills = "fill, up to closure, their whole space" if measured.filling else "are a thin set in their space"
        yield Entry("universality", "codimension", str(counts.ambient - measured.dimension),
                    f"The functions {fills} of {counts.ambient} dimensions.", MEASURED)
    yield Entry("curvature of the model", "degree", None if degree is None else str(degree.value),
                "A generic linear space of complementary dimension meets the complex functions in so many points.",
                NOT_COUNTED if degree is None else degree.source)
    yield Entry("sample complexity", "m log(d / eps)", None if term is None else f"{term:.3g}",
                f"Samples needed to learn to {accuracy:g} grow in proportion to this, up to factors that are not "
                "explicit in the theorem.", "arXiv:2501.18915, covering number")


def _of_fibre(fibre: Fibre) -> Iterator[Entry]:
    words = "; ".join(f"{one.name} ({one.formula})" for one in fibre.symmetries) or "no symmetry is known"
    yield Entry("identifiability", "generic fibre", str(fibre.fibre_dimension),
                "Generic weights are determined by their function up to finitely many choices."
                if not fibre.fibre_dimension else
                f"{fibre.fibre_dimension} directions of generic weights do not change the function.", MEASURED)
    yield Entry("hidden symmetry", "group actions", str(fibre.orbit_dimension), f"Known: {words}.", MEASURED)
    yield Entry("implicit bias", "conserved quantities", str(len(fibre.conserved)),
                "So many quadratic forms of the weights stay what they are at the start of gradient flow, whatever the "
                "loss.", MEASURED)


def _of_strata(dimension: int, unions: list[tuple[Stratum, StratumRanks]],
               exposed: list[tuple[Stratum, StratumRanks]]) -> Iterator[Entry]:
    if not unions:
        return
    singular = [f"{stratum.kind} (layer {stratum.layer})" for stratum, ranks in unions
                if (ranks.union_rank or 0) > dimension]
    critical = [f"{stratum.kind} (layer {stratum.layer})" for stratum, ranks in exposed if ranks.exposed]
    yield Entry("subnetworks", "singular locus", f"{len(singular)} of {len(unions)}",
                f"Singular points: {', '.join(singular) or 'none is certified'}.", MEASURED)
    yield Entry("attraction by subnetworks", "critical exposedness", f"{len(critical)} of {len(exposed)}",
                f"Critical for an open set of targets: {', '.join(critical) or 'none'}.", MEASURED)


def _of_landscape(points: Known | None, nearest: Known | None) -> Iterator[Entry]:
    yield Entry("loss landscape", "generic Euclidean distance degree", None if points is None else str(points.value),
                "So many complex functions are critical for a quadratic loss with generic targets and data; how many "
                "are real depends on the targets.", NOT_COUNTED if points is None else points.source)
    if nearest is not None:
        yield Entry("loss landscape, whitened data", "Euclidean distance degree", str(nearest.value),
                    "With whitened data there are fewer.", nearest.source)


def _value(known: Known | None) -> int | None:
    return None if known is None or known.value >= 2**63 else known.value


def text_of(config: NeuromanifoldConfig, rows: list[Any]) -> str:
    """The lines for the terminal."""
    width = max(len(row.geometry) for row in rows)
    return "\n".join([f"{config.model.name} {config.model.architecture()}",
                      *(f"  {row.geometry:<{width}}  {row.value or '-':>10}  {row.meaning}" for row in rows)])
