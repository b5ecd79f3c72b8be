"""Whether features are learned in AGF's order by other optimizers than gradient descent, and under regularization.

AGF is derived for gradient flow. For every variant of training and every seed the network is trained, and the order in
which its features come is held against AGF's, beside how much of the staircase is left.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from agfrun.files.series import Tables, attempt, require_some, shown
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.report.terminal import aligned
from agfrun.labs.staircases.run.single import RUN_COUNTS, check_seeds, one_run, seeds_of
from agfrun.labs.staircases.sources import TRAINING
from agfrun.labs.staircases.trainers.optimizer import OptimizerConfig
from agfrun.report.saved_sweep import flags
from agfrun.study.checks import one_of, require
from agfrun.study.claim import Claim, Statement
from agfrun.study.intervals import wilson_interval
from agfrun.study.registry import register
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.run.result import Result
    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

VARIANTS = {
    "gradient_descent": "gradient descent",
    "momentum": "momentum 0.9",
    "batches": "sampled batches",
    "weight_decay": "weight decay",
    "label_noise": "label noise",
    "cosine": "a cosine schedule",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
    "wide": "more width",
}
MOMENTUM = 0.9
# The order is kept where it is kept from more than this share of all initializations.
SHARE = 0.5
_CASE = (
    Column("variant", "text", "how it was trained"),
    Column("seed", "integer", "seed of the initialization"),
)
RUNS = Schema("runs.csv", (
    *_CASE,
    Column("status", "text", "how training ended; failed if it did not"),
    Column("reason", "text", "why"),
    Column("predicted", "integer", "features that AGF predicts"),
    Column("measured", "integer", "those of them that training shows"),
    Column("in_order", "integer", "those of them that come in AGF's order, up to the first that does not"),
    Column("order_kept", "flag", "whether all that training shows come in AGF's order; empty below two features"),
    Column("plateau_share", "number", "part of the log time between the first drop's start and the last one's end "
           "that is plateau"),
    Column("final_loss_share", "number", "final over initial loss"),
    Column("seconds", "number", "wall seconds of the run"),
), "one row for each run")
ACQUISITIONS = Schema("acquisitions.csv", (
    *_CASE,
    Column("feature", "text", "the feature"),
    Column("predicted_place", "integer", "its place in AGF's order, from 1; empty where AGF does not predict it"),
    Column("step", "number", "step at which half of it is learned"),
), "when each feature is learned")
ORDERS = Schema("orders.csv", (
    _CASE[0],
    Column("runs", "integer", "runs that show two features or more"),
    Column("order_kept", "integer", "those of them in AGF's order"),
    Column("lower", "number", "lower end of the 95% interval of the share that keeps the order"),
    Column("upper", "number", "upper end"),
    Column("plateau_share", "number", "median of the runs' shares of plateau"),
    Column("final_loss_share", "number", "median of final over initial loss"),
), "each variant")
TABLES = (RUNS, ACQUISITIONS, ORDERS)


@register("study")
@dataclass
class OptimizersConfig(Study):
    """Does the order of features survive momentum, batches, Adam, decay, noise and width?

    `variants` are names of `VARIANTS`; without any, all that the network has (more width needs model.width). The
    scalars are those of `train=optimizer`; `adaptive_rate` is the learning rate of RMSprop, Adam and AdamW.
    """

    name: str = "optimizers"
    variants: list[str] = field(default_factory=list)
    seeds: int = 8
    learning_rate: float = 0.02
    adaptive_rate: float = 0.002
    max_steps: int = 6000
    batch_size: int = 4
    weight_decay: float = 0.01
    label_noise: float = 1.0
    widening: int = 4

    settings: ClassVar[type] = RunConfig
    tables = TABLES
    numbers = RUN_COUNTS

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        for name in self.variants:
            one_of("study.variants", name, tuple(VARIANTS))
        require("study.variants", self.variants, len(set(self.variants)) == len(self.variants), "different names")
        require("study.variants", self.variants, "wide" not in self.variants or _has_width(config),
                f"without wide for model={config.model.name}, which has no key model.width")
        require("study.widening", self.widening, 2 <= self.widening <= 1000, "an integer from 2 to 1000")
        check_seeds(config, self.seeds)
        for name in self._names(config):
            self._training(name).check()

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        cases = [(name, seed) for name in self._names(config) for seed in seeds_of(config, self.seeds)]
        tables, reasons = Tables(TABLES), list[str]()
        for name, seed in shown(cases, bench.progress):
            made = bench.remember(f"{name}, seed {seed}", partial(self._rows, config, name, seed))
            reasons.append(made["reason"])
            for table in ("runs", "acquisitions"):
                tables.add(table, made[table])
            bench.save(tables.frames())
        require_some(reasons)
        orders = summarized(tables.frames()["runs"])
        tables.add("orders", orders)
        finished = reasons.count("")
        return StudyResult(tables.frames(), [order_claim(row) for row in orders],
                           {"runs": len(cases), "finished_runs": finished}, _text(orders, finished, len(cases)))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.report.figures.optimizers import plot_optimizers  # Matplotlib

        if "orders" in saved.tables and len(saved.tables["orders"]):
            yield "optimizers", plot_optimizers(saved.tables["orders"], saved.tables["acquisitions"], VARIANTS)

    def _names(self, config: RunConfig) -> list[str]:
        return self.variants or [name for name in VARIANTS if name != "wide" or _has_width(config)]

    def _training(self, variant: str) -> OptimizerConfig:
        """How a variant is trained."""
        plain = OptimizerConfig(learning_rate=self.learning_rate, max_steps=self.max_steps, loss_normalization="paper")
        changes: dict[str, dict[str, Any]] = {
            # A step lasts as long as without.
            "momentum": {"momentum": MOMENTUM, "learning_rate": self.learning_rate * (1 - MOMENTUM)},
            "batches": {"batch_size": self.batch_size},
            "weight_decay": {"weight_decay": self.weight_decay},
            "label_noise": {"label_noise": self.label_noise},
            "cosine": {"schedule": "cosine"},
            "rmsprop": {"optimizer": "RMSprop", "learning_rate": self.adaptive_rate},
            "adam": {"optimizer": "Adam", "learning_rate": self.adaptive_rate},
            "adamw": {"optimizer": "AdamW", "learning_rate": self.adaptive_rate, "weight_decay": self.weight_decay},
        }
        return dataclasses.replace(plain, **changes.get(variant, {}))

    def _rows(self, config: RunConfig, variant: str, seed: int) -> dict[str, Any]:
        """The rows of one run by table, and why it failed."""
        made = attempt(partial(self._result, config, variant, seed))
        case = {"variant": variant, "seed": seed}
        if made.outcome is None:
            return {"reason": made.reason, "acquisitions": [],
                    "runs": [{**case, "status": "failed", "reason": made.reason, "seconds": made.seconds}]}
        run = {**case, **_measured(made.outcome), "seconds": made.seconds}
        return {"reason": "", "runs": [run], "acquisitions": [case | row for row in _acquisitions(made.outcome)]}

    def _result(self, config: RunConfig, variant: str, seed: int) -> Result:
        from agfrun.labs.staircases.run.pipeline import run  # torch

        model: Any = config.model
        if variant == "wide":
            model = dataclasses.replace(model, width=model.width * self.widening)
        return run(one_run(config, train=self._training(variant), model=model, seed=seed), progress=False)


def _has_width(config: RunConfig) -> bool:
    return any(entry.name == "width" for entry in dataclasses.fields(config.model))


def _measured(result: Result) -> dict[str, Any]:
    """What runs.csv says of a run beside its case."""
    from agfrun.labs.staircases.analysis.sharpness import sharpness  # SciPy

    numbers, training = result.verdict, result.training
    measured, in_order = numbers["measured_acquisitions"], numbers["in_predicted_order"]
    path = training.trajectory
    return {"status": training.status, "reason": training.reason, "predicted": numbers["predicted_acquisitions"],
            "measured": measured, "in_order": in_order, "order_kept": in_order == measured if measured > 1 else None,
            "plateau_share": sharpness(path.times, path.loss).plateau_share,
            "final_loss_share": float(path.loss[-1] / path.loss[0])}


def _acquisitions(result: Result) -> Iterator[dict[str, Any]]:
    """The features that training acquires, by time."""
    predicted = [row["feature"] for row in result.main_rows if row["kind"] == "acquisition"]
    per_step = float(result.training.clock["flow_time_per_step"])
    for event in result.events[TRAINING]:
        if event.kind == "acquisition":
            place = predicted.index(event.feature) + 1 if event.feature in predicted else None
            yield {"feature": event.feature, "predicted_place": place, "step": event.time / per_step}


def summarized(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of orders.csv from those of runs.csv; a variant of which no run came to its end has none."""
    rows = []
    for variant, own in runs[runs["status"] != "failed"].groupby("variant", sort=False):
        order_kept = flags(own["order_kept"])
        counted, kept = int(np.isfinite(order_kept).sum()), int(np.nansum(order_kept))
        lower, upper = wilson_interval(kept, counted) if counted else (math.nan, math.nan)
        rows.append({"variant": variant, "runs": counted, "order_kept": kept, "lower": lower, "upper": upper,
                     "plateau_share": float(own["plateau_share"].median()),
                     "final_loss_share": float(own["final_loss_share"].median())})
    return rows


def order_claim(row: Mapping[str, Any]) -> Claim:
    """Whether the order survives a variant; undecided while the interval of its share holds one half."""
    statement = Statement(f"order_survives_{row['variant']}", TRAINING,
                          f"with {VARIANTS[row['variant']]} features come in AGF's order from most initializations",
                          "not stated by the paper", "ours")
    if not row["runs"]:
        return statement.undecided("no run shows two features")
    measured = f"{row['order_kept']} of {row['runs']} runs"
    if row["lower"] <= SHARE <= row["upper"]:
        return statement.undecided(f"{measured} keep it, which does not tell the share from {SHARE}")
    return statement.decided(f"a share above {SHARE}", measured, row["lower"] > SHARE,
                             f"the 95% interval is [{row['lower']:.2f}, {row['upper']:.2f}]")


def _text(orders: list[dict[str, Any]], finished: int, runs: int) -> str:
    """The table for the terminal."""
    rows = [("training with", "in AGF's order", "95% interval", "plateau", "loss left"), *(
        (VARIANTS[row["variant"]], f"{row['order_kept']} of {row['runs']}", f"{row['lower']:.2f} to {row['upper']:.2f}",
         f"{row['plateau_share']:.0%}", f"{row['final_loss_share']:.1e}") for row in orders)]
    return "\n".join([f"{finished} of {runs} runs finished", *aligned(rows)])
