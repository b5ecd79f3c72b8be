"""What all figures of the paper share: some cases, each from some seeds, and the tables that are kept of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from agfrun.files.tables import even_indices
from agfrun.report.html.numbers import percent
from agfrun.study.schema import RunConfig, StudyConfig
from agfrun.study.series import Attempt, attempt, check_seeds, one_run, require_some, seeds_of, shown
from agfrun.study.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.paper.figures.cases import PaperTables
    from agfrun.labs.staircases.run.pipeline import Result

COMMON_TABLES = ("runs", "loss", "events", "comparison")
# Moments of a path that are kept: enough for a smooth curve a page wide.
MOST_MOMENTS = 500
RUN_COLUMNS = ("case", "seed", "status", "reason", "homogeneity_degree", "feature_word", "value_word", "symbol",
               "log10_scale", "threshold", "predicted_acquisitions", "measured_acquisitions", "in_predicted_order",
               "worst_time_error", "worst_level_error", "claims_hold", "claims", "seconds")


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
class PaperFigureConfig(StudyConfig):
    """A figure of the paper. `seeds` is the number of initializations of each case."""

    seeds: int = 1

    tables: ClassVar[tuple[str, ...]] = COMMON_TABLES

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
        """See `StudyConfig.check`."""
        check_seeds(config, self.seeds)

    def study(self, config: RunConfig, save: Callable[[Mapping[str, pd.DataFrame]], None],
              progress: bool | None) -> StudyResult:
        """See `StudyConfig.study`."""
        from agfrun.labs.staircases.run.pipeline import run

        runs = [(case, seed) for case in self.cases(config) for seed in seeds_of(case.config, self.seeds)]
        frames: dict[str, list[pd.DataFrame]] = {name: [] for name in self.tables}
        tables: dict[str, pd.DataFrame] = {}
        reasons = []
        for case, seed in shown(runs, progress):
            configured = one_run(case.config, seed=seed)
            made: Attempt[Result] = attempt(lambda: run(configured, progress=False))  # noqa: B023 - called at once
            reasons.append(made.reason)
            kept = {"runs": pd.DataFrame([_run_row(made)], columns=list(RUN_COLUMNS[2:]))}
            if made.outcome is not None:
                first = seed == case.config.seed
                kept |= {**self._kept(made.outcome), **(self.further_tables(made.outcome) if first else {})}
            for name, frame in kept.items():
                frame.insert(0, "case", case.name)
                frame.insert(1, "seed", seed)
                frames[name].append(frame)
            tables = {name: pd.concat(of_name) for name, of_name in frames.items() if of_name}
            save(tables)
        require_some(reasons)
        finished = reasons.count("")
        return StudyResult(tables, [], {"runs": len(runs), "finished_runs": finished},
                           _text(tables["runs"], finished))

    def figures(self, tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Figure]]:
        """See `StudyConfig.figures`."""
        from agfrun.labs.staircases.paper.figures.cases import PaperTables

        if "loss" in tables:
            yield from self.draw(PaperTables(tables))

    def _kept(self, result: Result) -> dict[str, pd.DataFrame]:
        """The tables of a run that this figure draws from."""
        from agfrun.labs.staircases.run.in_memory import table_makers

        paths = [path.at_rows(even_indices(len(path.times), MOST_MOMENTS)) for path in result.trajectories]
        makers = table_makers(result, paths)
        return {name: make() for name, make in makers.items() if name in self.tables}


def _run_row(made: Attempt[Result]) -> dict[str, Any]:
    if made.outcome is None:
        return {"status": "failed", "reason": made.reason, "seconds": made.seconds}
    result = made.outcome
    architecture, wording = result.problem.architecture, result.problem.architecture.wording
    told = ("predicted_acquisitions", "measured_acquisitions", "in_predicted_order", "worst_time_error",
            "worst_level_error", "claims_hold", "claims")
    return {"status": result.training.status, "reason": result.training.reason, "seconds": made.seconds,
            "homogeneity_degree": architecture.homogeneity_degree, "feature_word": wording.feature,
            "value_word": wording.value, "symbol": wording.symbol, "threshold": result.config.agf.threshold,
            "log10_scale": result.config.init.log_scale / math.log(10),
            **{name: result.verdict[name] for name in told}}


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
