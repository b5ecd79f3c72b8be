"""How much the random initialization decides: acquisition times over several seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pandas as pd
from matplotlib.figure import Figure

from agfrun import (
    Bench,
    Claim,
    Column,
    CompareConfig,
    Number,
    RunConfig,
    Saved,
    Schema,
    Study,
    StudyResult,
    new_figure,
    register,
    require,
    run,
)

TIMES = Schema("times.csv", (
    Column("seed", "integer", "seed of the initialization"),
    Column("feature", "text", "what is learned"),
    Column("time_predicted", "number", "predicted time"),
    Column("time_training", "number", "measured time"),
), "when each feature is learned")


@register("study")
@dataclass
class SeedSpread(Study):
    name: str = "seed_spread"
    seeds: int = 3

    settings: ClassVar[type] = RunConfig
    tables = (TIMES,)
    numbers = (Number("orders", "different orders", "integer"),)

    def check(self, config: RunConfig) -> None:
        require("study.seeds", self.seeds, self.seeds >= 2, "an integer of at least 2")

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        rows: list[dict[str, Any]] = []
        for seed in range(config.seed, config.seed + self.seeds):
            rows += bench.remember(f"seed {seed}", partial(times_of, config, seed))
            bench.save({"times": pd.DataFrame(rows)})
        times = pd.DataFrame(rows)
        orders = {" ".join(of_seed["feature"]) for _, of_seed in times.groupby("seed")}
        claim = Claim("one_order", "agf", "AGF acquires the features in one order, whatever the seed", 1, len(orders),
                      None, len(orders) == 1, standing="numerics")
        return StudyResult({"times": times}, [claim], {"orders": len(orders)},
                           f"orders found: {', '.join(sorted(orders))}")

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        if "times" in saved.tables:
            figure = new_figure(3.4, 2.6)
            axes = figure.add_subplot(xscale="log", yscale="log", xlabel="time predicted", ylabel="time measured")
            for feature, of_feature in saved.tables["times"].groupby("feature"):
                axes.plot(of_feature["time_predicted"], of_feature["time_training"], "o", label=str(feature))
            axes.axline((1, 1), (10, 10), color="0.6", linewidth=0.8)
            axes.legend(title="feature")
            yield "seed_spread", figure


def times_of(config: RunConfig, seed: int) -> list[dict[str, Any]]:
    """The rows of one seed."""
    result = run(replace(config, seed=seed, study=CompareConfig()), progress=False)
    return [{"seed": seed, "feature": row["feature"], "time_predicted": row["time_predicted"],
             "time_training": row["time_training"]} for row in result.main_rows if row["kind"] == "acquisition"]
