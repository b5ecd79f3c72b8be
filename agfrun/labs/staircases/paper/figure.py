"""What all figures of the paper share: some cases, each from some seeds, and the tables that are kept of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from agfrun.files.series import Attempt, Tables, attempt, require_some, shown
from agfrun.files.tables import even_indices
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.run.single import RUN_COUNTS, check_seeds, one_run, seeds_of
from agfrun.labs.staircases.run.tables import TABLES
from agfrun.labs.staircases.studies.compare import NUMBERS
from agfrun.report.html.numbers import percent
from agfrun.study.claim import claim_counts
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables
    from agfrun.labs.staircases.run.result import Result
    from agfrun.study.bench import Bench

LEADING = (Column("case", "text", "which of the figure's networks or settings"),
           Column("seed", "integer", "seed of the initialization"))
RUNS = Schema("runs.csv", (
    *LEADING,
    Column("status", "text", "how training ended; failed if it did not"),
    Column("reason", "text", "why"),
    Column("homogeneity_degree", "integer", "of a neuron in its parameters"),
    Column("feature_word", "text", "what one feature is"),
    Column("value_word", "text", "what its size in the output is"),
    Column("symbol", "text", "its mathematical symbol"),
    Column("log10_scale", "number", "decimal logarithm of the initialization scale"),
    Column("threshold", "number", "norm at which a neuron is active"),
    *(Column(number.name, number.kind, number.meaning) for number in NUMBERS if number.kind != "flag"),
    Column("claims_hold", "integer", "claims that hold"),
    Column("claims", "integer", "claims that were checked"),
    Column("claims_undecided", "integer", "claims among them that the run leaves open"),
    Column("seconds", "number", "wall seconds of the run"),
), "one row for each run", optional=("claims_undecided",))
TABLES_OF_RUN = {schema.name: schema.with_leading(LEADING) for schema in TABLES}
COMMON_TABLES = (RUNS, *(TABLES_OF_RUN[name] for name in ("loss", "events", "comparison")))
# Moments of a path that are kept: enough for a smooth curve a page wide.
MOST_MOMENTS = 500
TOLD = ("predicted_acquisitions", "measured_acquisitions", "in_predicted_order", "worst_time_error",
        "worst_level_error")


@dataclass(frozen=True)
class Case:
    """One of the networks or settings that a figure shows.

    Attributes:
        name: its title.
        config: what to run; its seed is the first of several.
    """

    name: str
    config: RunConfig


@dataclass
class PaperFigureConfig(Study):
    """A figure of the paper. `seeds` is the number of initializations of each case."""

    seeds: int = 1

    settings: ClassVar[type] = RunConfig
    tables: ClassVar[tuple[Schema, ...]] = COMMON_TABLES
    numbers = RUN_COUNTS

    def cases(self, config: RunConfig) -> list[Case]:
        """What the figure shows, in order."""
        raise NotImplementedError

    def further_tables(self, result: Result) -> Mapping[str, pd.DataFrame]:
        """Tables beyond those of a run, from the run of a case's first seed."""
        return {}

    def draw(self, tables: PaperTables) -> Iterator[tuple[str, Figure]]:
        """Names and figures."""
        raise NotImplementedError

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        check_seeds(config, self.seeds)

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        runs = [(case, seed) for case in self.cases(config) for seed in seeds_of(case.config, self.seeds)]
        tables, reasons = Tables(self.tables), list[str]()
        for case, seed in shown(runs, bench.progress):
            made = bench.remember(f"{case.name}, seed {seed}", partial(self._rows, case, seed))
            reasons.append(made["reason"])
            for name, rows in made["rows"].items():
                tables.add(name, [{"case": case.name, "seed": seed, **row} for row in rows])
            bench.save(tables.frames())
        require_some(reasons)
        finished, frames = reasons.count(""), tables.frames()
        return StudyResult(frames, [], {"runs": len(runs), "finished_runs": finished}, _text(frames["runs"], finished))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.paper.figures.cases import PaperTables  # Matplotlib

        if "loss" in saved.tables and len(saved.tables["loss"]):
            yield from self.draw(PaperTables(saved.tables))

    def _rows(self, case: Case, seed: int) -> dict[str, Any]:
        """The rows that are kept of one run, by table, and why it failed."""
        from agfrun.labs.staircases.run.pipeline import run  # torch

        made: Attempt[Result] = attempt(lambda: run(one_run(case.config, seed=seed), progress=False))
        kept = {"runs": pd.DataFrame([_run_row(made)])}
        if made.outcome is not None:
            first = seed == case.config.seed
            kept |= {**self._kept(made.outcome), **(self.further_tables(made.outcome) if first else {})}
        return {"reason": made.reason, "rows": {name: _records(frame) for name, frame in kept.items()}}

    def _kept(self, result: Result) -> dict[str, pd.DataFrame]:
        """The tables of a run that this figure draws from."""
        from agfrun.labs.staircases.run.result import tables_of  # torch

        paths = [path.at_rows(even_indices(len(path.times), MOST_MOMENTS)) for path in result.trajectories]
        made = tables_of(result, paths)
        return {schema.name: made[schema.name] for schema in self.tables if schema.name in made}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of plain values, None for what is missing."""
    cells = frame.astype(object).where(frame.notna(), None)
    return [{str(name): cell for name, cell in row.items()} for row in cells.to_dict("records")]


def _run_row(made: Attempt[Result]) -> dict[str, Any]:
    if made.outcome is None:
        return {"status": "failed", "reason": made.reason, "seconds": made.seconds}
    result = made.outcome
    architecture, wording = result.problem.architecture, result.problem.architecture.wording
    return {"status": result.training.status, "reason": result.training.reason, "seconds": made.seconds,
            "homogeneity_degree": architecture.homogeneity_degree, "feature_word": wording.feature,
            "value_word": wording.value, "symbol": wording.symbol, "threshold": result.config.agf.threshold,
            "log10_scale": result.config.init.log_scale / math.log(10),
            **claim_counts(result.claims), **{name: result.verdict[name] for name in TOLD}}


def _text(runs: pd.DataFrame, finished: int) -> str:
    """One line a case: order, and the worst errors over its seeds."""
    lines = [f"{finished} of {len(runs)} runs finished"]
    for name, rows in runs.groupby("case", sort=False):
        done = rows[rows["status"] != "failed"]
        in_order = int((done["in_predicted_order"] == done["predicted_acquisitions"]).sum())
        lines.append(f"  {name}: predicted order in {in_order} of {len(done)} runs; worst error of a time "
                     f"{percent(done['worst_time_error'].max())}, of a level "
                     f"{percent(done['worst_level_error'].max())}")
    return "\n".join(lines)
