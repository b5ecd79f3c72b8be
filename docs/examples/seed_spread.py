"""How much the random initialization decides: acquisition times over several seeds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from agfrun import Claim, RunConfig, Study, StudyResult, register, require, run
from agfrun.labs.staircases.studies.compare import CompareConfig


@register("study")
@dataclass
class SeedSpreadConfig(Study):
    name: str = "seed_spread"
    seeds: int = 3

    tables: ClassVar[tuple[str, ...]] = ("times",)

    def check(self, config: RunConfig) -> None:
        require("study.seeds", self.seeds, self.seeds >= 2, "an integer of at least 2")

    def study(self, config: RunConfig, save: Callable[[Mapping[str, pd.DataFrame]], None],
              progress: bool | None) -> StudyResult:
        rows = []
        for seed in range(config.seed, config.seed + self.seeds):
            result = run(replace(config, seed=seed, study=CompareConfig()), progress=progress)
            rows += [{"seed": seed, "feature": row["feature"], "time_agf": row["time_agf"],
                      "time_training": row["time_training"]}
                     for row in result.comparison if row["kind"] == "acquisition"]
            save({"times": pd.DataFrame(rows)})
        times = pd.DataFrame(rows)
        orders = {" ".join(of_seed["feature"]) for _, of_seed in times.groupby("seed")}
        claim = Claim("one_order", "agf", "AGF acquires the features in one order, whatever the seed", 1, len(orders),
                      None, len(orders) == 1)
        text = f"orders found: {', '.join(sorted(orders))}"
        return StudyResult({"times": times}, [claim], {"orders": len(orders)}, text)

    def figures(self, tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Figure]]:
        times = tables["times"]
        figure = Figure(figsize=(3.4, 2.6), layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale="log", xlabel="time predicted", ylabel="time measured")
        for feature, of_feature in times.groupby("feature"):
            axes.plot(of_feature["time_agf"], of_feature["time_training"], "o", label=str(feature))
        axes.axline((1, 1), (10, 10), color="0.6", linewidth=0.8)
        axes.legend(title="feature")
        yield "seed_spread", figure
