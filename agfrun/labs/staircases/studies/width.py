"""How the staircase smooths as a network grows wider (a limitation that the AGF paper states).

For every width and seed the network is trained, and the sharpness of its loss curve measured
(`staircases.analysis.sharpness`); a rank correlation says whether it decreases with the width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from agfrun.files.series import Attempt, Tables, attempt, require_some, shown
from agfrun.files.tables import empty_table
from agfrun.labs.staircases.analysis.distances import Curve, thinned
from agfrun.labs.staircases.config import ModelConfig, RunConfig
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.run.single import RUN_COUNTS, check_seeds, one_run, seeds_of
from agfrun.study.checks import require
from agfrun.study.claim import Claim, undecided
from agfrun.study.errors import ConfigError
from agfrun.study.registry import choices, register
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

# Which way each measure goes as a staircase smooths, and how that reads.
MEASURES = {
    "drop_duration": (1, "drops last longer, relative to their time"),
    "plateau_share": (-1, "less of the log time between the first and the last drop is spent on plateaus"),
    "steepest_fall": (-1, "less of the fall happens while time grows by 10%"),
}
SIGNIFICANCE = 0.05
STATED = "AGF paper, limitations"
DRAWN_ROWS = 400

RUNS = Schema("runs.csv", (
    Column("width", "integer", "neurons"),
    Column("seed", "integer", "seed of the initialization"),
    Column("source", "text", "training, agf or decoupled"),
    Column("status", "text", "how training ended; failed if it did not"),
    Column("reason", "text", "why"),
    Column("drops", "integer", "drops of the loss"),
    Column("drop_duration", "number", "ln(end/start) of a drop from 5% to 95% "
           "of its fall, averaged with the falls as weights"),
    Column("plateau_share", "number", "part of the log time between the first drop's "
           "start and the last one's end that is plateau"),
    Column("steepest_fall", "number", "largest part of the whole fall that happens while time grows by 10%"),
    Column("final_loss_share", "number", "final over initial loss"),
    Column("seconds", "number", "wall seconds of the run"),
), "how sharp each staircase is")
CURVES = Schema("curves.csv", (
    Column("width", "integer", "neurons"),
    Column("seed", "integer", "seed of the initialization"),
    Column("source", "text", "training, agf or decoupled"),
    Column("time", "number", "gradient-flow time"),
    Column("loss_share", "number", "loss over the initial loss"),
), "losses over time")
TRENDS = Schema("trends.csv", (
    Column("measure", "text", "drop_duration, plateau_share or steepest_fall"),
    Column("smoother", "text", "whether a smoother staircase makes the measure rise or fall"),
    Column("kendall_tau", "number", "Kendall's rank correlation of the measure with the width"),
    Column("p_value", "number", "probability of a correlation as large by chance"),
    Column("points", "integer", "runs behind it"),
), "rank correlations with the width")
TABLES = (RUNS, CURVES, TRENDS)


@register("study")
@dataclass
class WidthConfig(Study):
    """How the staircase smooths as a network grows wider (a limitation that the AGF paper states).

    `widths` stand in for `model.width`; `seeds` is the number of initializations at each width. With
    `predict`, AGF runs too: its own staircase is measured, and the horizon of training follows from it.
    """

    name: str = "width"
    widths: list[int] = field(default_factory=lambda: [4, 8, 16, 32])
    seeds: int = 3
    predict: bool = True

    settings: ClassVar[type] = RunConfig
    tables = TABLES
    numbers = RUN_COUNTS

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        if not _has_width(type(config.model)):
            having = ", ".join(name for name, model in choices("model", ModelConfig).items() if _has_width(model))
            raise ConfigError("study", self.name,
                              f"model={config.model.name} has no key model.width; those with one are {having}")
        require("study.widths", self.widths, len(set(self.widths)) == len(self.widths) >= 2,
                "at least two different widths")
        for width in self.widths:
            _with_width(config, width).model.check()
        check_seeds(config, self.seeds)
        if not self.predict:
            from agfrun.labs.staircases.run.training import require_length  # torch

            require_length(config)

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        cases = [(width, seed) for width in self.widths for seed in seeds_of(config, self.seeds)]
        tables, reasons = Tables(TABLES), list[str]()
        for width, seed in shown(cases, bench.progress):
            case = {"width": width, "seed": seed}
            rows = bench.remember(f"width {width}, seed {seed}", partial(self._rows, config, case))
            reasons.append(rows["reason"])
            tables.add("runs", rows["runs"])
            tables.add("curves", rows["curves"])
            bench.save(tables.frames())
        require_some(reasons)
        trends = find_trends(tables.frames()["runs"])
        tables.add("trends", trends)
        finished = reasons.count("")
        return StudyResult(tables.frames(), [claim for row in trends for claim in trend_claims(row)],
                           {"runs": len(cases), "finished_runs": finished}, _text(trends, finished, len(cases)))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.report.figures.width import plot_width  # Matplotlib

        tables = saved.tables
        if "curves" in tables and len(tables["curves"]):
            trends = tables["trends"] if "trends" in tables else empty_table(TRENDS)
            yield "width", plot_width(tables["runs"], tables["curves"], trends)

    def _rows(self, config: RunConfig, case: dict[str, Any]) -> dict[str, Any]:
        """The rows of one run, and why it failed."""
        made = attempt(partial(self._paths, _with_width(config, case["width"], seed=case["seed"])))
        return {"reason": made.reason, **_recorded(made, case)}

    def _paths(self, config: RunConfig) -> Paths:
        """Train, and predict if asked to."""
        if not self.predict:
            from agfrun.labs.staircases.run.training import train_alone  # torch

            trained = train_alone(config)
            return Paths(trained.trajectory, None, trained.status, trained.reason)
        from agfrun.labs.staircases.run.pipeline import run  # torch

        result = run(config, progress=False)
        training = result.training
        return Paths(training.trajectory, result.prediction.trajectory, training.status, training.reason)


@dataclass(frozen=True)
class Paths:
    """What one run leaves: training's path and how it ended, and the main prediction's path or None."""

    training: Trajectory
    predicted: Trajectory | None
    status: str
    reason: str


def find_trends(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of trends.csv: Kendall's rank correlation of each measure of training with the width, over all runs.

    Ties in width are taken into account (tau b); a measure without two different widths and values is left out.
    """
    from scipy.stats import kendalltau

    rows = []
    for measure, (direction, _) in MEASURES.items():
        known = runs[(runs["source"] == "training") & runs[measure].notna()]
        widths, values = known["width"].to_numpy(dtype=float), known[measure].to_numpy(dtype=float)
        if len(np.unique(widths)) > 1 and len(np.unique(values)) > 1:
            found = kendalltau(widths, values)
            rows.append({"measure": measure, "smoother": "rises" if direction > 0 else "falls",
                         "kendall_tau": float(found.statistic), "p_value": float(found.pvalue), "points": len(known)})
    return rows


def _has_width(model: type) -> bool:
    return any(entry.name == "width" for entry in dataclasses.fields(model))


def _with_width(config: RunConfig, width: int, **changes: Any) -> RunConfig:
    model: Any = config.model
    return one_run(config, model=dataclasses.replace(model, width=width), **changes)


def _recorded(made: Attempt[Paths], case: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of one run by table."""
    from agfrun.labs.staircases.analysis.sharpness import sharpness  # SciPy

    if made.outcome is None:
        failed = {"source": "training", "status": "failed", "reason": made.reason, "seconds": made.seconds}
        return {"runs": [case | failed], "curves": []}
    paths, rows = made.outcome, dict[str, list[dict[str, Any]]](runs=[], curves=[])
    for path in (paths.training, paths.predicted):
        if path is None:
            continue
        share, of_source = path.loss / path.loss[0], case | {"source": path.source}
        measured = dataclasses.asdict(sharpness(path.times, path.loss)) | {"final_loss_share": share[-1]}
        rows["runs"].append(of_source | measured | {"status": paths.status, "reason": paths.reason,
                                                    "seconds": made.seconds})
        drawn = thinned(Curve(path.times, share), DRAWN_ROWS)
        rows["curves"] += [of_source | {"time": time, "loss_share": loss}
                           for time, loss in zip(drawn.times.tolist(), drawn.values.tolist(), strict=True)]
    return rows


def trend_claims(trend: Mapping[str, Any]) -> list[Claim]:
    """A claim on one measure, undecided where its trend is not significant either way."""
    direction, reading = MEASURES[trend["measure"]]
    if not trend["p_value"] < SIGNIFICANCE:
        name = f"smooths_with_width_{trend['measure']}"
        return [undecided(name, "training", f"the staircase smooths as width grows: {reading}",
                          f"p = {trend['p_value']:.2g} is not below {SIGNIFICANCE}", STATED, "numerics")]
    return [Claim(
        f"smooths_with_width_{trend['measure']}", "training",
        f"the staircase smooths as width grows: {reading} (Kendall's tau, p = {trend['p_value']:.2g})",
        f"tau {'above' if direction > 0 else 'below'} 0", trend["kendall_tau"], None,
        direction * trend["kendall_tau"] > 0, STATED, "numerics", f"p below {SIGNIFICANCE}")]


def _text(trends: list[dict[str, Any]], finished: int, runs: int) -> str:
    """The trends for the terminal."""
    lines = [f"{finished} of {runs} runs finished; rank correlation of training's staircase with width:"]
    for row in trends:
        smooths = MEASURES[row["measure"]][0] * row["kendall_tau"] > 0
        verdict = "undecided" if not row["p_value"] < SIGNIFICANCE else "smoother" if smooths else "sharper"
        lines.append(f"  {row['measure']}: tau = {row['kendall_tau']:+.2f}, p = {row['p_value']:.2g}, "
                     f"{row['points']} runs: {verdict}")
    return "\n".join(lines)
