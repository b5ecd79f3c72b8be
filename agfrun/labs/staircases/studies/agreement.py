"""How well every prediction of the ladder agrees with training: several scales, several seeds, one network."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from agfrun.files.series import Tables, attempt, require_some, shown
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.report.terminal import aligned
from agfrun.labs.staircases.run.single import RUN_COUNTS, check_log10_scales, check_seeds, run_at, seeds_of
from agfrun.labs.staircases.run.tables import LADDER
from agfrun.labs.staircases.sources import LADDER as RUNGS
from agfrun.labs.staircases.sources import NAMES, TRAINING
from agfrun.report.html.numbers import percent
from agfrun.study.registry import register
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

_CASE = (
    Column("log10_scale", "number", "decimal logarithm of the initialization scale"),
    Column("seed", "integer", "seed of the initialization"),
)
RUNS = Schema("runs.csv", (
    *_CASE,
    Column("status", "text", "how training ended; failed if it did not"),
    Column("reason", "text", "why"),
), "one row for each run")
RUNG_OF_RUN = Schema("rungs.csv", (*_CASE, *LADDER.columns), "the ladder of each run")
AGREEMENT = Schema("agreement.csv", (
    _CASE[0],
    Column("source", "text", "who predicts: theory, own_size, agf or decoupled"),
    Column("runs", "integer", "runs in which it predicts anything that training shows"),
    Column("order", "integer", "those of them in which all that training shows of it comes in the predicted order"),
    Column("kind", "text", "which events are counted: acquisitions, or activations where there are no others"),
    Column("predicted", "integer", "events that it predicts, in all runs, also after the end of training"),
    Column("events", "integer", "those of them that training shows"),
    Column("median_time_error", "number", "median over runs of the median relative error of a time"),
    Column("worst_time_error", "number", "worst relative error of a time"),
    Column("worst_level_error", "number", "worst error of a level after an event, as a share of the drop"),
    Column("within_predicted_error", "integer", "events off by no more than was estimated before "
           "training, and what training's times are uncertain by"),
    Column("share_of_training", "number", "median of its evaluations over the gradients that training took"),
), "each prediction at each scale")
TABLES = (RUNS, RUNG_OF_RUN, AGREEMENT)


@register("study")
@dataclass
class AgreementConfig(Study):
    """How well every prediction agrees with training: order, times, levels and cost of each rung of the ladder.

    `log10_scales` are the scales' decimal exponents, in place of the configured scale; `seeds` is the number of
    initializations at each. Which rungs there are is said by `agf`, all of them unless told otherwise.
    """

    name: str = "agreement"
    log10_scales: list[float] = field(default_factory=lambda: [-2.0, -3.0, -4.0])
    seeds: int = 10

    settings: ClassVar[type] = RunConfig
    tables = TABLES
    numbers = RUN_COUNTS

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        check_log10_scales(self.log10_scales, 1)
        check_seeds(config, self.seeds)

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        cases = [(scale, seed) for scale in self.log10_scales for seed in seeds_of(config, self.seeds)]
        tables, reasons = Tables(TABLES), list[str]()
        for scale, seed in shown(cases, bench.progress):
            made = bench.remember(f"scale {scale!r}, seed {seed}", partial(_rows, config, scale, seed))
            reasons.append(made["reason"])
            for name in ("runs", "rungs"):
                tables.add(name, made[name])
            bench.save(tables.frames())
        require_some(reasons)
        tables.add("agreement", summarized(tables.frames()["rungs"]))
        frames, finished = tables.frames(), reasons.count("")
        return StudyResult(frames, (), {"runs": len(cases), "finished_runs": finished},
                           _text(frames["agreement"], finished, len(cases)))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.report.figures.agreement import plot_agreement  # Matplotlib

        if "agreement" in saved.tables and len(saved.tables["agreement"]):
            yield "agreement", plot_agreement(saved.tables["rungs"])


def summarized(rungs: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of agreement.csv from those of rungs.csv, in the order of the ladder."""
    rows = []
    for scale, at_scale in rungs.groupby("log10_scale", sort=False):
        trained = at_scale[at_scale["source"] == TRAINING].set_index("seed")["evaluations"]
        for source in RUNGS:
            own = at_scale[(at_scale["source"] == source) & (at_scale["measured"].fillna(0) > 0)]
            if len(own):
                rows.append({"log10_scale": scale, "source": source, **_of_rung(own, trained)})
    return rows


def _of_rung(own: pd.DataFrame, trained: pd.Series) -> dict[str, Any]:
    shares = [row.evaluations / trained[row.seed] for row in own.itertuples()]
    return {
        "runs": len(own), "order": int((own["in_order"] == own["measured"]).sum()),
        "kind": own["kind"].iloc[0], "predicted": int(own["predicted"].sum()), "events": int(own["measured"].sum()),
        "median_time_error": float(own["median_time_error"].median()),
        "worst_time_error": float(own["worst_time_error"].max()),
        "worst_level_error": float(own["worst_level_error"].max()),
        "within_predicted_error": int(own["within_predicted_error"].sum())
        if own["within_predicted_error"].notna().any() else None,
        "share_of_training": statistics.median(shares)}


def _rows(config: RunConfig, log10_scale: float, seed: int) -> dict[str, Any]:
    """The rows of one run by table, and why it failed."""
    made = attempt(lambda: run_at(config, log10_scale, seed))
    case = {"log10_scale": log10_scale, "seed": seed}
    if made.outcome is None:
        return {"reason": made.reason, "runs": [{**case, "status": "failed", "reason": made.reason}], "rungs": []}
    training = made.outcome.training
    return {"reason": "", "runs": [{**case, "status": training.status, "reason": training.reason}],
            "rungs": [case | row for row in made.outcome.ladder]}


def _text(agreement: pd.DataFrame, finished: int, runs: int) -> str:
    """The table for the terminal."""
    rows: list[Sequence[str]] = [("scale", "prediction", "in order", "median", "worst", "level", "of training"), *(
        (f"1e{row.log10_scale:g}", NAMES[row.source], f"{row.order}/{row.runs}", percent(row.median_time_error),
         percent(row.worst_time_error), percent(row.worst_level_error), f"{row.share_of_training:.2g}")
        for row in agreement.itertuples())]
    return "\n".join([f"{finished} of {runs} runs finished", *aligned(rows, words=2)])
