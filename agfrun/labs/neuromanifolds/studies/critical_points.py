"""All critical points of a quadratic loss: how many complex ones there are, which are real, and where training ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any

from agfrun.files.tables import empty_table, rows_table, table_from
from agfrun.labs.neuromanifolds.arithmetic.fields import PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES
from agfrun.labs.neuromanifolds.config import NeuromanifoldConfig
from agfrun.labs.neuromanifolds.evaluation import number_of_outputs
from agfrun.labs.neuromanifolds.exact_study import ExactStudy, flint_version
from agfrun.labs.neuromanifolds.landscape import counting, wording
from agfrun.labs.neuromanifolds.landscape.counting import Count
from agfrun.labs.neuromanifolds.landscape.equations import EVERY, NONE, Equations
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
from agfrun.labs.neuromanifolds.landscape.loss import Loss
from agfrun.labs.neuromanifolds.landscape.msolve import NOT_INSTALLED, Timer, Unfinished, executable
from agfrun.labs.neuromanifolds.landscape.real_points import RealPoint, isolated, real_points
from agfrun.labs.neuromanifolds.landscape.samples import Samples, given_samples, random_samples
from agfrun.labs.neuromanifolds.landscape.surface import inner_weights, loss_surface
from agfrun.labs.neuromanifolds.landscape.tables import COUNTS, DESCENTS, POINTS, REAL_COUNTS, SURFACE
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register
from agfrun.study.study import Saved, StudyResult
from agfrun.study.table import Number
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

MOST_DATA_SETS, MOST_STARTS, MOST_SAMPLES = 10_000, 100_000, 1000


@register("study")
@dataclass
class CriticalPointsStudy(ExactStudy):
    """Critical points of the squared error of a polynomial network, by polynomial equations (msolve).

    The data set is `data`, of `inputs` and `targets`, or `samples` random ones (null: twice the dimension). `datasets`
    of them, this one included, have their real points counted. `sample_counts` are numbers of random samples whose
    critical points are counted (null: one less than the dimension, and as many), `starts` random weights follow
    gradient flow. After `seconds` what has not been found is left out. `groebner=false` gives closed forms alone.
    `monodromy` finds the critical points of a generic loss by numerical continuation too, in `seconds` of its own.
    """

    name: str = "critical_points"
    seconds: float = 60.0
    samples: int | None = None
    data: dict[str, Any] | None = None
    datasets: int = 5
    starts: int = 30
    sample_counts: list[int] | None = None
    inner_products: list[str] = field(default_factory=lambda: [counting.IDENTITY, counting.BOMBIERI])
    groebner: bool = True
    monodromy: bool = False

    tables = (COUNTS, POINTS, REAL_COUNTS, DESCENTS, SURFACE)
    numbers = (
        Number("dimension", "dimension", "integer"),
        Number("degree", "degree", "integer", logarithmic=True),
        Number("generic_count", "complex critical points of a generic loss", "integer", logarithmic=True),
        Number("monodromy_count", "complex critical points of a generic loss that continuation found", "integer",
               logarithmic=True),
        Number("data_count", "complex critical points of this data set", "integer", logarithmic=True),
        Number("real", "real critical points", "integer"),
        Number("minima", "minima", "integer", of="real"),
        Number("spurious", "spurious points", "integer", of="real"),
        Number("reached", "random starts that end at one of them", "integer", in_figures=False),
    )

    def check(self, config: NeuromanifoldConfig) -> None:
        """See `Study.check`."""
        super().check(config)
        require("study.seconds", self.seconds, 0 < self.seconds <= 86400, "above 0 and at most 86400")
        require("study.datasets", self.datasets, 0 <= self.datasets <= MOST_DATA_SETS,
                f"an integer from 0 to {MOST_DATA_SETS}")
        require("study.starts", self.starts, 0 <= self.starts <= MOST_STARTS, f"an integer from 0 to {MOST_STARTS}")
        for key, values in (("samples", [] if self.samples is None else [self.samples]),
                            ("sample_counts", self.sample_counts or [])):
            require(f"study.{key}", getattr(self, key), all(1 <= one <= MOST_SAMPLES for one in values),
                    f"from 1 to {MOST_SAMPLES}")
        special = (counting.IDENTITY, counting.BOMBIERI)
        require("study.inner_products", self.inner_products, set(self.inner_products) <= set(special),
                f"a list of some of {', '.join(special)}")
        if self.groebner or self.monodromy:
            self._check_size(config)
        if self.data is not None:
            given_samples(self.data, prod(config.model.input_shape()),
                          number_of_outputs(config.model, PrimeField(PRIMES[0])))

    def _check_size(self, config: NeuromanifoldConfig) -> None:
        if self.groebner and executable() is None:
            raise ConfigError("study", self.name, f"{NOT_INSTALLED} (study.groebner=false needs nothing, and gives "
                              "closed forms)")
        why = counting.too_large(config.model)
        require("model.name", config.model.name, why is None,
                f"a smaller network: {why} (study.groebner=false: closed forms)")

    def run(self, config: NeuromanifoldConfig, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` are the `RealPoint`s of this data set, None: they are not known."""
        bench.save({COUNTS.name: empty_table(COUNTS)})
        dimension = self.dimension(config, bench).dimension
        if not self.groebner:
            return self._closed_forms(config, bench, dimension)
        survey = _Survey(self, config, bench, dimension)
        with bench.clock.stage("counts"):
            survey.count_all()
        with bench.clock.stage("real points"):
            survey.find_real_points()
        with bench.clock.stage("descents"):
            survey.descend()
        survey.rows += self._continued(bench, survey.equations)
        return survey.result()

    def _continued(self, bench: Bench, equations: Equations) -> list[Count]:
        """The row of monodromy, where it is asked for."""
        if not self.monodromy:
            return []
        with bench.clock.stage("monodromy"):
            found = bench.remember("monodromy", lambda: dataclasses.asdict(
                counting.continued(equations, self.seconds)))
        return [Count(**found)]

    def _closed_forms(self, config: NeuromanifoldConfig, bench: Bench, dimension: int) -> StudyResult:
        rows = [Count(question, None, None, value, counting.CLOSED_FORM, value, source)
                for question, (value, source) in counting.closed_forms(config.model).items() if value < 2**63]
        if self.monodromy:
            rows += self._continued(bench, counting.equations_of(config.model, dimension, config.seed))
        counts = {row.question: row.count for row in rows}
        return StudyResult(
            tables={COUNTS.name: rows_table(COUNTS, [dataclasses.asdict(row) for row in rows])},
            numbers={"dimension": dimension, "degree": counts.get(counting.DEGREE),
                     "generic_count": counts.get(counting.GENERIC),
                     "monodromy_count": counts.get(counting.MONODROMY)},
            claims=list(wording.claims_of_monodromy(rows)), text=wording.text_of(config.model, rows, None, []),
            provenance={"python_flint": flint_version()})

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        tables = {name: table for name, table in saved.tables.items() if len(table)}
        from agfrun.labs.neuromanifolds.figures import critical_points  # Matplotlib

        if POINTS.name in tables and SURFACE.name in tables:
            yield "surface", critical_points.plot_surface(tables[SURFACE.name], tables[POINTS.name])
        if REAL_COUNTS.name in tables:
            yield "real_counts", critical_points.plot_real_counts(tables[REAL_COUNTS.name])
        if POINTS.name in tables:
            yield "critical_values", critical_points.plot_critical_values(tables[POINTS.name],
                                                                          tables.get(DESCENTS.name))

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        counts = saved.tables.get(COUNTS.name)
        if counts is None or not len(counts):
            return None
        claims = saved.tables.get("claims")
        return wording.verdict_on(counts, saved.tables.get(POINTS.name), claims)


class _Survey:
    """One run: what was found so far, and where it is written."""

    def __init__(self, study: CriticalPointsStudy, config: NeuromanifoldConfig, bench: Bench, dimension: int) -> None:
        self.study, self.model, self.seed, self.bench, self.dimension = (
            study, config.model, config.seed, bench, dimension)
        self.timer = Timer(study.seconds)
        self.equations = counting.equations_of(config.model, dimension, config.seed)
        self.rows: list[Count] = []
        self.points: list[RealPoint] | None = None
        self.left_out = NONE
        self.real_rows: list[dict[str, Any]] = []
        self.descents: list[Any] = []
        self.tables: dict[str, Any] = {}
        self.unfinished = ""
        self._data = self._loss(0)

    @property
    def outputs(self) -> int:
        """The number of outputs that are not 0."""
        return int(self.equations.expansion.terms[:, 0].max()) + 1

    def _samples(self, number: int) -> Samples:
        study, expansion = self.study, self.equations.expansion
        if number == 0 and study.data is not None:
            return given_samples(study.data, expansion.terms.shape[1] - 1, self.outputs)
        return random_samples(expansion, study.samples or 2 * self.dimension, self.seed, number)

    def _loss(self, number: int) -> Loss:
        return Loss.of_samples(self.equations.expansion, *self._samples(number))

    def count_all(self) -> None:
        """Degree and counts, the quickest first."""
        study, equations, known = self.study, self.equations, counting.closed_forms(self.model)
        try:
            per_function = self.bench.remember("weights of one function",
                                               lambda: equations.points_of_one_function(self.timer))
        except Unfinished:
            per_function = None
        near = [max(1, self.dimension - 1), self.dimension] if study.sample_counts is None else study.sample_counts
        asked: list[tuple[str, int | None]] = [(counting.DEGREE, None), (counting.GENERIC, None), (counting.DATA, None),
                                               *((name, None) for name in study.inner_products),
                                               *((counting.SAMPLES, count) for count in near)]
        for question, samples in asked:
            def solve(question: str = question, samples: int | None = samples) -> int | None:
                return self.bench.remember(f"{question} {samples}", lambda: self._solutions(question, samples))

            self.rows.append(counting.counted(question, samples, solve, per_function, known.get(question)))
            self._save(COUNTS, [dataclasses.asdict(row) for row in self.rows])

    def _solutions(self, question: str, samples: int | None) -> int | None:
        if question == counting.DATA:
            return self.equations.solved(self.equations.gradient(self._data), EVERY, self.timer)
        return counting.solutions(self.equations, self.dimension, question, samples, self.timer)

    def find_real_points(self) -> None:
        """Real points of all data sets, those of this one in a table."""
        if self.equations.slices:
            self.unfinished = "real points are not sought: a continuous symmetry is left that no chart takes away"
            return
        for number in range(max(1, self.study.datasets)):
            try:
                found = self.bench.remember(f"real points {number}", lambda n=number: self._real(n))  # type: ignore[misc]
            except Unfinished as error:
                self.unfinished = f"real points of data set {number}: {error}"
                return
            if found is None:
                self.unfinished = "real critical points are not finite in number"
                return
            left_out = str(found["left_out"])
            points = [RealPoint(**(row | {"weights": tuple(map(Fraction, row["weights"]))})) for row in found["points"]]
            if number == 0:
                self.points, self.left_out = points, left_out
                self._save_points()
            self.real_rows.append(wording.real_row(number, points, left_out == NONE))
            self._save(REAL_COUNTS, self.real_rows)

    def _real(self, number: int) -> dict[str, Any] | None:
        loss = self._data if number == 0 else self._loss(number)
        finite = isolated(self.equations, loss, self.timer)
        points = None if finite is None else real_points(self.equations, loss, finite[0], self.timer)
        if finite is None or points is None:
            return None
        return {"left_out": finite[0], "points": [
            dataclasses.asdict(one) | {"weights": list(map(str, one.weights))} for one in points]}

    def descend(self) -> None:
        """Gradient flow, and the loss over the inner weights."""
        if self.points is None:
            return
        expansion = self.equations.expansion
        inner = inner_weights(expansion)
        if inner is not None:
            self.tables[SURFACE.name] = table_from(SURFACE, loss_surface(expansion, self._data, inner))
        if not self.study.starts:
            return
        from agfrun.labs.neuromanifolds.landscape.descent import Descent, descents  # SciPy's integrators

        points, study = self.points, self.study
        rows = self.bench.remember("descents", lambda: [dataclasses.asdict(one) for one in descents(
            self.equations, self._full(), self._data, points, study.starts)])
        self.descents = [Descent(**row) for row in rows]
        self._save(DESCENTS, [{"start": i, **dataclasses.asdict(one)} for i, one in enumerate(self.descents)])
        self._save_points()

    def _full(self) -> Expansion:
        """In all weights, with the coordinates of the chart's expansion."""
        full, charted = Expansion.of(self.model, self.seed, charted=False), self.equations.expansion
        wanted = [tuple(row) for row in charted.terms.tolist()]
        places = {tuple(row): i for i, row in enumerate(full.terms.tolist())}
        return dataclasses.replace(full, coefficients=full.coefficients[[places[row] for row in wanted]],
                                   terms=charted.terms)

    def _save_points(self) -> None:
        assert self.points is not None
        ends = [one.point for one in self.descents]
        self._save(POINTS, [wording.point_row(i, one, self.equations, ends.count(i) if self.descents else None)
                            for i, one in enumerate(self.points)])

    def _save(self, schema: Any, rows: list[dict[str, Any]]) -> None:
        self.tables[schema.name] = rows_table(schema, rows)
        self.bench.save({schema.name: self.tables[schema.name]})

    def result(self) -> StudyResult:
        """All of it."""
        self._save(COUNTS, [dataclasses.asdict(row) for row in self.rows])
        found = {row.question: row for row in self.rows if row.question != counting.SAMPLES}
        generic = found[counting.GENERIC]
        points = self.points
        numbers = {
            "dimension": self.dimension, "degree": found[counting.DEGREE].count or found[counting.DEGREE].expected,
            "generic_count": generic.count if generic.count is not None else generic.expected,
            "monodromy_count": found[counting.MONODROMY].count if counting.MONODROMY in found else None,
            "data_count": found[counting.DATA].count, "real": None if points is None else len(points),
            "minima": None if points is None else sum(one.index == 0 for one in points),
            "spurious": None if points is None else sum(not one.pure for one in points),
            "reached": sum(one.point is not None for one in self.descents) if self.descents else None}
        return StudyResult(
            tables=self.tables, numbers=numbers, outcome=points, provenance={"python_flint": flint_version()},
            claims=wording.claims_of(self.model, self.outputs, self.dimension, self.rows, self.real_rows, points,
                                     self.descents, self.unfinished),
            text=wording.text_of(self.model, self.rows, points, self.descents, self.unfinished, self.left_out))
