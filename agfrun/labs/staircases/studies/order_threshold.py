"""The scale of the initialization below which AGF's order of acquisitions is right, found by bisection."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from agfrun.files.series import Tables
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.run.single import one_run
from agfrun.study.checks import MOST_SEEDS, require, require_seeds
from agfrun.study.claim import Claim
from agfrun.study.registry import register
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Number, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

RIGHT, WRONG, UNDECIDED = "right", "wrong", "undecided"

SCALES = Schema("scales.csv", (
    Column("log10_scale", "number", "decimal logarithm of the initialization scale"),
    Column("scale", "number", "initialization scale"),
    Column("seeds", "integer", "initializations trained so far"),
    Column("compared", "integer", "those of them that could be compared"),
    Column("in_order", "integer", "those that learn everything in the predicted order"),
    Column("share", "number", "in_order / compared"),
    Column("low", "number", "lower end of the exact interval, a failed seed counted as out of order"),
    Column("high", "number", "upper end, a failed seed counted as in order"),
    Column("verdict", "text", "right, wrong or undecided"),
    Column("decided", "flag", "whether this is the last look at the scale"),
), "one row for each look at a scale")
TABLES = (SCALES,)
NUMBERS = (
    Number("threshold_log10_scale", "log10 of the largest scale with the right order"),
    Number("next_log10_scale", "log10 of the next scale, where that is not shown", in_figures=False),
    Number("looks", "most looks at a scale", "integer", in_figures=False, in_pages=False),
    Number("scales", "scales that were tried", "integer", in_figures=False, in_pages=False),
    Number("undecided_scales", "undecided scales", "integer", of="scales", in_figures=False),
)


@register("study")
@dataclass
class OrderThresholdConfig(Study):
    """The scale below which the order of AGF's acquisitions is right, with confidence.

    At a scale the order is `right` if it is so for at least `share` of all initializations, as far as seeds can tell:
    the lower end of an exact interval for that probability (Clopper and Pearson, Biometrika 26 (1934) 404-413) is at
    least `share`; it is `wrong` if the upper end is below `share`, else `undecided`, and the seeds are doubled, up to
    `max_seeds`. A seed that failed or has nothing to compare counts against whichever of the two is asked.

    Looking several times, at several scales, each time at 95%, would be wrong far more often than in 5% of the
    studies. So the risk 1 - `confidence` is divided evenly by all looks that the study can take at all, and all its
    decisions are right together with probability `confidence`, however the seeds of the scales are related (they are
    the same). The price: with n seeds that are all in order, the lower end is (risk / (2 looks))^(1/n); at the default
    of 5% and 15 looks that is 0.82 for 32 seeds, 0.90 for 61 and 0.95 for 125. With less, nothing is ever `right`.

    Bisection takes for granted that the order gets no worse as the scale falls; a scale that is undecided is treated
    as not right, so that the threshold is one below which the order is right, not the last such.
    """

    name: str = "order_threshold"
    largest_log10_scale: float = -0.5
    smallest_log10_scale: float = -4.0
    resolution: float = 0.5
    share: float = 0.8
    confidence: float = 0.95
    seeds: int = 32
    max_seeds: int = 128

    settings: ClassVar[type] = RunConfig
    tables = TABLES
    numbers = NUMBERS

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        largest, smallest = self.largest_log10_scale, self.smallest_log10_scale
        require("study.largest_log10_scale", largest, -1e6 <= largest < 0, "an exponent from -1e6 up to below 0")
        require("study.smallest_log10_scale", smallest, -1e6 <= smallest < largest, "below study.largest_log10_scale")
        require("study.resolution", self.resolution, 0 < self.resolution <= largest - smallest,
                "above 0, and at most the distance of the two scales, in decades")
        require("study.share", self.share, 0 < self.share < 1, "between 0 and 1")
        require("study.confidence", self.confidence, 0 < self.confidence < 1, "between 0 and 1")
        require_seeds(self.seeds)
        require("study.max_seeds", self.max_seeds, self.seeds <= self.max_seeds <= MOST_SEEDS,
                f"at least study.seeds, and at most {MOST_SEEDS}")
        needed = math.log(self.risk / 2) / math.log(self.share)
        require("study.max_seeds", self.max_seeds, self.max_seeds >= needed,
                f"at least {math.ceil(needed)}: with fewer seeds, even all in order, such confidence is out of reach")
        require("init.name", config.init.name, config.init.name != "deterministic", "random, so that seeds differ")

    @property
    def looks(self) -> int:
        """Most decisions that the study can take: at both ends and each halving, at each number of seeds."""
        halvings = math.ceil(math.log2((self.largest_log10_scale - self.smallest_log10_scale) / self.resolution))
        return (2 + halvings) * len(self.sizes)

    @property
    def risk(self) -> float:
        """Of one look: that its interval does not hold the truth."""
        return (1 - self.confidence) / self.looks

    @property
    def sizes(self) -> list[int]:
        """Numbers of seeds at which a scale is looked at."""
        sizes = [self.seeds]
        while sizes[-1] < self.max_seeds:
            sizes.append(min(2 * sizes[-1], self.max_seeds))
        return sizes

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        tables = Tables(TABLES)

        def is_right(log10_scale: float) -> bool:
            verdict = ""
            for row in self._looks_at(config, log10_scale, bench):
                tables.add("scales", [row])
                bench.save(tables.frames())
                verdict = row["verdict"]
            return verdict == RIGHT

        threshold, above = bisected(is_right, self.smallest_log10_scale, self.largest_log10_scale, self.resolution)
        return self._told(tables.frames(), threshold, above)

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.report.figures.order_threshold import plot_order_threshold  # Matplotlib

        if "scales" in saved.tables and len(saved.tables["scales"]):
            yield "order_threshold", plot_order_threshold(saved.tables["scales"], self.share)

    def _looks_at(self, config: RunConfig, log10_scale: float, bench: Bench) -> Iterator[dict[str, Any]]:
        """Rows of scales.csv, one a look, until it is decided; later seeds are added to the earlier ones."""
        seeds = compared = in_order = 0
        for size in self.sizes:
            more = bench.remember(f"scale {log10_scale!r}, seeds {seeds} to {size}", partial(
                _orders, config, log10_scale, config.seed + seeds, size - seeds, bench.progress))
            seeds, compared, in_order = size, compared + len(more), in_order + sum(more)
            low = exact_interval(in_order, seeds, self.risk)[0]
            high = exact_interval(in_order + seeds - compared, seeds, self.risk)[1]
            verdict = RIGHT if low >= self.share else WRONG if high < self.share else UNDECIDED
            decided = verdict != UNDECIDED or size == self.max_seeds
            yield {"log10_scale": log10_scale, "scale": 10.0**log10_scale, "seeds": seeds, "compared": compared,
                   "in_order": in_order, "share": in_order / compared if compared else None, "low": low, "high": high,
                   "verdict": verdict, "decided": decided}
            if decided:
                return

    def _told(self, frames: dict[str, pd.DataFrame], threshold: float | None, above: float | None) -> StudyResult:
        """Claim, numbers and text."""
        level = f"at least {self.share:.0%} of initializations, with {self.confidence:.0%} confidence"
        if threshold is None:
            text = f"at no scale that was tried is the order right for {level}"
        elif above is None:
            text = f"the order is right for {level}, up to the largest scale, 10^{threshold:g}"
        else:
            text = f"the order is right for {level}, at scale 10^{threshold:g}; not shown at 10^{above:g}"
        final = frames["scales"][frames["scales"]["decided"].astype(bool)]
        smallest = final.loc[final["log10_scale"].astype(float).idxmin()]
        share = None if pd.isna(smallest["share"]) else float(smallest["share"])
        claims = [Claim(
            "order_right_at_smallest_scale", "agf", f"AGF's order of acquisitions is right for {level}, at scale "
            f"10^{smallest['log10_scale']:g}", f"probability of at least {self.share:g}", share, None,
            None if smallest["verdict"] == UNDECIDED else bool(smallest["verdict"] == RIGHT), "agfrun", "numerics",
            f"the interval of {smallest['seeds']} seeds: {smallest['low']:.3f} to {smallest['high']:.3f}")]
        lines = [f"  10^{row['log10_scale']:g}: {row['in_order']} of {row['seeds']} in order, probability "
                 f"{row['low']:.3f} to {row['high']:.3f}: {row['verdict']}" for _, row in final.iterrows()]
        return StudyResult(frames, claims, {
            "threshold_log10_scale": threshold, "next_log10_scale": above, "looks": self.looks,
            "scales": len(final), "undecided_scales": int((final["verdict"] == UNDECIDED).sum())},
            "\n".join([text, *lines]))


def bisected(is_right: Callable[[float], bool], smallest: float, largest: float,
             resolution: float) -> tuple[float | None, float | None]:
    """Largest exponent found right and the smallest above it found not to be, at most `resolution` apart.

    Returns:
        (None, None) if the smallest is not right already; (largest, None) if the largest is.
    """
    if not is_right(smallest):
        return None, None
    if is_right(largest):
        return largest, None
    right, not_right = smallest, largest
    halvings = math.ceil(math.log2((largest - smallest) / resolution))
    for _ in range(halvings):
        middle = 0.5 * (right + not_right)
        if is_right(middle):
            right = middle
        else:
            not_right = middle
    return right, not_right


def exact_interval(successes: int, trials: int, risk: float) -> tuple[float, float]:
    """Clopper and Pearson's interval: it misses the probability to either side with probability risk / 2 at most."""
    from scipy.stats import beta

    low = 0.0 if successes == 0 else float(beta.ppf(risk / 2, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(1 - risk / 2, successes + 1, trials - successes))
    return low, high


def _orders(config: RunConfig, log10_scale: float, first_seed: int, seeds: int,
            progress: bool | None) -> list[bool]:
    """Whether the order is right, for each of the seeds that can be compared; trained together."""
    from agfrun.labs.staircases.ensemble.run import run_seeds  # torch

    init = dataclasses.replace(config.init, log10_scale=log10_scale)
    members = run_seeds(one_run(config, init=init, seed=first_seed), seeds, progress=progress)
    return [member.order_agrees for member in members if member.order_agrees is not None]
