"""Search of the configuration for a small, or large, number of the comparison of training with AGF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from agfrun.files.series import Tables, attempt, require_some, shown
from agfrun.labs.staircases.analysis.search_space import Dimension, dimensions, with_values
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.dynamics.statuses import GAVE_UP
from agfrun.labs.staircases.run.single import check_seeds, one_run
from agfrun.labs.staircases.studies.compare import NUMBERS
from agfrun.study.checks import MOST_SEEDS, one_of, require
from agfrun.study.claim import claim_counts
from agfrun.study.errors import AgfrunError, ConfigError
from agfrun.study.registry import register
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Number, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.run.result import Result
    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

ORDER_SHARE = "order_share"
ERRORS = ("worst_time_error", "worst_level_error")
# What the study `compare` says it measures, how many claims hold, and the share of the seeds that agree.
OBJECTIVES = (*(number.name for number in NUMBERS if number.kind != "flag"), "claims_hold", ORDER_SHARE)
DIRECTIONS = ("minimize", "maximize")

TRIALS = Schema("trials.csv", (
    Column("trial", "integer", "number of the trial, from 0"),
    Column("status", "text", "finished or failed"),
    Column("reason", "text", "why it failed"),
    Column("objective", "number", "value of study.objective; the median over the seeds"),
    Column("seeds", "integer", "initializations of the trial"),
    Column("predicted_acquisitions", "number", "acquisitions that AGF predicts, median over the seeds"),
    Column("measured_acquisitions", "number", "those of them that training shows, median over the seeds"),
    Column("order_share", "number", "share of the seeds that learn everything in the predicted order"),
    Column("seconds", "number", "wall seconds"),
), "one row for each trial", open=True)
TABLES = (TRIALS,)
FOUND = (
    Number("trials", "trials", "integer", in_figures=False, in_pages=False),
    Number("finished_trials", "trials that finished", "integer", of="trials", in_figures=False),
    Number("best_trial", "number of the best trial", "integer", in_figures=False, in_pages=False),
    Number("best_objective", "best value of the objective"),
)


@register("study")
@dataclass
class SearchConfig(Study):
    """Settings that make a number of the comparison small or large.

    They are proposed by Optuna's tree-structured Parzen estimator (J. Bergstra et al., "Algorithms for
    hyper-parameter optimization", NeurIPS 2011).

    `space` names the keys that vary and their ranges; null is `init.scale` from 1e-8 to 1e-2. `objective` is a number
    of `done.json`, its median where there are several `seeds`, or `order_share`. The sampler's seed is `seed`, and a
    trial's settings follow from those before it: the same command gives the same numbers. A trial fails where a seed
    does, and, if the objective is an error, where an acquisition is predicted that training does not show or none is
    predicted at all: an error over fewer acquisitions is no smaller one.
    """

    name: str = "search"
    space: dict[str, Any] | None = None
    objective: str = "worst_time_error"
    direction: str = "minimize"
    trials: int = 20
    seeds: int = 1

    settings: ClassVar[type] = RunConfig
    tables = TABLES
    numbers = FOUND

    def check(self, config: RunConfig) -> None:
        """See `Study.check`; also that Optuna is installed."""
        if find_spec("optuna") is None:
            raise ConfigError("study", "search", "optuna is not installed; pip install 'agfrun[search]'")
        one_of("study.objective", self.objective, OBJECTIVES)
        one_of("study.direction", self.direction, DIRECTIONS)
        require("study.trials", self.trials, 1 <= self.trials <= MOST_SEEDS,
                f"an integer from 1 to {MOST_SEEDS}")
        check_seeds(config, self.seeds)
        dimensions(config, self.space)

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`.

        Raises:
            ConfigError: Optuna is not installed.
        """
        space = dimensions(config, self.space)
        sampler = _sampler(self.direction, config.seed)
        tables, reasons = Tables(TABLES), list[str]()
        for number in shown(range(self.trials), bench.progress):
            trial = sampler.ask()
            values = {entry.key: entry.suggest(trial) for entry in space}
            row = bench.remember(f"trial {number}", partial(self._row, config, number, values))
            reasons.append(row.get("reason", ""))
            tables.add("trials", [row | values])
            _tell(sampler, trial, row.get("objective"))
            bench.save(tables.frames())
        require_some(reasons)
        return _found(tables.frames(), space, self)

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.report.figures.search import plot_search  # Matplotlib

        trials = saved.tables.get("trials")
        if trials is not None and trials["objective"].notna().any():
            keys = [name for name in trials.columns if name not in TRIALS.names]
            logarithmic = {key for key, choice in (self.space or {}).items() if list(choice)[2:] == ["log"]}
            yield "search", plot_search(trials, keys, logarithmic if self.space else set(keys), self.objective,
                                        self.direction == "minimize")

    def _row(self, config: RunConfig, number: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """The row of one trial, but for its settings."""
        made = attempt(partial(self._measured, config, values))
        row = made.outcome or {"status": "failed", "reason": made.reason}
        return {"trial": number, "seeds": self.seeds, "seconds": made.seconds} | row

    def _measured(self, config: RunConfig, values: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers of one trial.

        Raises:
            AgfrunError: a seed failed, or leaves nothing to compare.
        """
        results = _results(with_values(config, values), self.seeds)
        verdicts = [result.verdict | claim_counts(result.claims) for result in results]
        ordered = [result["in_predicted_order"] == result["predicted_acquisitions"] > 0 for result in verdicts]
        share = sum(ordered) / len(ordered)
        numbers = [share] if self.objective == ORDER_SHARE else [verdict[self.objective] for verdict in verdicts]
        if self.objective in ERRORS:
            _require_all_met(verdicts)
        acquisitions = {name: median(verdict[name] for verdict in verdicts)
                        for name in ("predicted_acquisitions", "measured_acquisitions")}
        return {"status": "finished", "objective": float(median(numbers)), ORDER_SHARE: share} | acquisitions


def _require_all_met(verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Refuse errors that are not over all that was predicted."""
    for verdict in verdicts:
        predicted, measured = verdict["predicted_acquisitions"], verdict["measured_acquisitions"]
        if not 0 < predicted == measured:
            raise AgfrunError(f"training shows {measured} of {predicted} predicted acquisitions")


def _results(config: RunConfig, seeds: int) -> list[Result]:
    """All runs of a trial.

    Raises:
        AgfrunError: one of them failed.
    """
    from agfrun.labs.staircases.ensemble.run import run_seeds  # torch
    from agfrun.labs.staircases.run.pipeline import run

    if seeds == 1:
        return [run(one_run(config), progress=False)]
    results = []
    for member in run_seeds(one_run(config), seeds, progress=False):
        if member.result is None or member.status in GAVE_UP:
            raise AgfrunError(f"seed {member.config.seed} {member.status}: {member.reason}")
        results.append(member.result)
    return results


def _sampler(direction: Any, seed: int) -> Any:
    """Optuna's study in memory."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=seed % 2**32))


def _tell(sampler: Any, trial: Any, objective: float | None) -> None:
    from optuna.trial import TrialState

    if objective is None:
        sampler.tell(trial, state=TrialState.FAIL)
    else:
        sampler.tell(trial, objective)


def _found(frames: dict[str, pd.DataFrame], space: list[Dimension], study: SearchConfig) -> StudyResult:
    trials = frames["trials"]
    finished = trials[trials["status"] == "finished"]
    values = finished["objective"].astype(float)
    best = finished.loc[values.idxmin() if study.direction == "minimize" else values.idxmax()]
    settings = " ".join(f"{entry.key}={_typed(best[entry.key])}" for entry in space)
    text = (f"{len(finished)} of {len(trials)} trials finished; best {study.objective}: {best['objective']:.6g} in "
            f"trial {best['trial']}, with\n  {settings}")
    return StudyResult(frames, [], {"trials": len(trials), "finished_trials": len(finished),
                                    "best_trial": int(best["trial"]), "best_objective": float(best["objective"])}, text)


def _typed(value: Any) -> str:
    return repr(float(value)) if isinstance(value, float) else str(value)


