"""How fast training approaches AGF as the initialization vanishes.

For every scale and seed, training and AGF run from one initialization; what separates their paths on the
accelerated clock (`staircases.analysis.approach`) is fitted by a power of the clock's rate, which is
1 / log(1/scale) at homogeneity degree 2 and scale^(degree - 2) above.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from agfrun.files.series import Attempt, Tables, attempt, require_some, shown
from agfrun.files.tables import empty_table
from agfrun.labs.staircases.analysis.rates import CONFIDENCE, PowerLaw, fit_power_law
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.run.single import RUN_COUNTS, check_log10_scales, check_seeds, run_at, seeds_of
from agfrun.labs.staircases.sources import AGF, DECOUPLED, THEORY
from agfrun.study.claim import Claim, Statement
from agfrun.study.registry import register
from agfrun.study.study import Study, StudyResult
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.analysis.approach import AcceleratedClock
    from agfrun.labs.staircases.run.result import Result
    from agfrun.study.bench import Bench
    from agfrun.study.study import Saved

# Below about 1e-14 a neuron that has grown along one feature has lost the next one to rounding, in training as in
# AGF; only the diagonal network, whose neurons move on curves of their own, can go on.
SCALES_OF_DEGREE_2 = (-4.0, -5.0, -6.0, -8.0, -10.0, -12.0)
CLOCK_RATES_ABOVE = (-1.5, -2.0, -2.5, -3.0)
FITTED = ("loss", "features", "time")
# An exponent whose interval is wider than this to either side tells 0 (no approach) from 1 (the law) no more.
DECISIVE = 0.5
NOT_PROVED = "not proved"

RUNS = Schema("runs.csv", (
    Column("log10_scale", "number", "decimal logarithm of the initialization scale"),
    Column("seed", "integer", "seed of the initialization"),
    Column("clock", "text", "the accelerated clock, as a formula"),
    Column("clock_rate", "number", "accelerated over gradient-flow time"),
    Column("status", "text", "how training ended; failed if it did not"),
    Column("reason", "text", "why"),
    Column("predicted_acquisitions", "integer", "acquisitions that the main prediction predicts"),
    Column("measured_acquisitions", "integer", "those of them that training shows"),
    Column("in_predicted_order", "integer", "acquisitions up to the first out of order"),
    Column("worst_time_error", "number", "largest relative error of a predicted time"),
    Column("worst_level_error", "number", "largest error of a predicted level, as a share of the drop"),
    Column("window", "number", "end, on the accelerated clock, of the time over which paths are compared"),
    Column("seconds", "number", "wall seconds of the run"),
), "one row for each run")
CURVES = Schema("curves.csv", (
    Column("log10_scale", "number", "decimal logarithm of the initialization scale"),
    Column("seed", "integer", "seed of the initialization"),
    Column("source", "text", "training, agf, decoupled or theory"),
    Column("clock_time", "number", "accelerated time"),
    Column("loss_share", "number", "loss over the initial loss"),
), "losses on the accelerated clock")
DISTANCES = Schema("distances.csv", (
    Column("log10_scale", "number", "decimal logarithm of the initialization scale"),
    Column("seed", "integer", "seed of the initialization"),
    Column("clock_rate", "number", "accelerated over gradient-flow time"),
    Column("reference", "text", "what training is compared with: agf, decoupled or theory"),
    Column("quantity", "text", "what is compared: time, loss, features or plateaus"),
    Column("feature", "text", "the feature; empty for all together"),
    Column("occurrence", "integer", "which acquisition of that feature, from 1"),
    Column("clock_time", "number", "accelerated time of the reference's event"),
    Column("distance", "number", "how far training is from the reference"),
    Column("resolved", "flag", "whether the distance is far enough above the integration's error"),
), "what separates training from its reference")
RATES = Schema("rates.csv", (
    Column("reference", "text", "agf, decoupled or theory"),
    Column("quantity", "text", "time, loss or features"),
    Column("feature", "text", "the feature; empty for all together"),
    Column("exponent", "number", "of distance = prefactor * clock_rate^exponent"),
    Column("low", "number", "lower end of the exponent's interval"),
    Column("high", "number", "upper end of the exponent's interval"),
    Column("confidence", "number", "of the interval"),
    Column("prefactor", "number", "of the fit"),
    Column("points", "integer", "distances that were fitted"),
    Column("groups", "integer", "seeds, each with a prefactor of its own"),
    Column("smallest_clock_rate", "number", "of those that were fitted"),
    Column("largest_clock_rate", "number", "of those that were fitted"),
), "the fitted powers of the clock's rate")
TABLES = (RUNS, CURVES, DISTANCES, RATES)


@register("study")
@dataclass
class VanishingInitConfig(Study):
    """How fast training approaches AGF as the initialization vanishes (AGF paper, section 3, theorem 3.1).

    `log10_scales` are the scales' decimal exponents, in place of the configured scale; null chooses them by
    the network's homogeneity degree. `seeds` is the number of initializations at each scale.
    """

    name: str = "vanishing_init"
    log10_scales: list[float] | None = None
    seeds: int = 1

    settings: ClassVar[type] = RunConfig
    tables = TABLES
    numbers = RUN_COUNTS

    def check(self, config: RunConfig) -> None:
        """See `Study.check`."""
        if self.log10_scales is not None:
            check_log10_scales(self.log10_scales, 3, ", or null")
        check_seeds(config, self.seeds)

    def run(self, config: RunConfig, bench: Bench) -> StudyResult:
        """See `Study.run`."""
        clock = _clock(config)
        scales = self.log10_scales if self.log10_scales is not None else default_log10_scales(clock.degree)
        cases = [(scale, seed) for scale in scales for seed in seeds_of(config, self.seeds)]
        tables, reasons = Tables(TABLES), list[str]()
        for scale, seed in shown(cases, bench.progress):
            rows = bench.remember(f"scale {scale!r}, seed {seed}", partial(_rows, config, clock, scale, seed))
            reasons.append(rows["reason"])
            for name in ("runs", "curves", "distances"):
                tables.add(name, rows.get(name, []))
            bench.save(tables.frames())
        require_some(reasons)
        fits = fit_rates(tables.frames()["distances"])
        tables.add("rates", [rate_row(key, law) for key, law in fits.items()])
        claims = [claim for key, law in fits.items() for claim in rate_claims(config, clock, key, law)]
        finished = reasons.count("")
        return StudyResult(tables.frames(), claims, {"runs": len(cases), "finished_runs": finished},
                           _text(clock, fits, finished, len(cases)))

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.staircases.report.figures.vanishing_init import plot_vanishing_init  # Matplotlib

        tables = saved.tables
        if "curves" in tables and len(tables["curves"]):
            shown_tables = {schema.name: tables.get(schema.name, empty_table(schema)) for schema in TABLES}
            yield "vanishing_init", plot_vanishing_init(
                shown_tables["runs"], shown_tables["curves"], shown_tables["distances"], shown_tables["rates"])


@dataclass(frozen=True)
class Quantity:
    """What one rate is of: a reference, a quantity, and its feature; None for all of them."""

    reference: str
    quantity: str
    feature: str | None = None


def default_log10_scales(degree: int) -> list[float]:
    """Decimal exponents of the scales to study at a homogeneity degree."""
    if degree == 2:
        return list(SCALES_OF_DEGREE_2)
    return [exponent / (degree - 2) for exponent in CLOCK_RATES_ABOVE]


def fit_rates(distances: pd.DataFrame) -> dict[Quantity, PowerLaw]:
    """The power of the clock's rate by which every distance shrinks, from the table distances.csv.

    Seeds, and acquisitions of one feature, have a prefactor of their own and share the exponent. Of the times also
    their mean is fitted. Left out are distances below the resolution, and quantities with too few points.
    """
    resolved = distances[distances["resolved"].astype(bool)]
    fits: dict[Quantity, PowerLaw | None] = {}
    for reference in dict.fromkeys(resolved["reference"]):
        for quantity in FITTED:
            rows = resolved[(resolved["reference"] == reference) & (resolved["quantity"] == quantity)]
            fits[Quantity(reference, quantity)] = _fit(_mean_times(rows) if quantity == "time" else rows)
            for feature, of_feature in rows.groupby("feature", sort=False):
                fits[Quantity(reference, quantity, str(feature))] = _fit(of_feature)
    return {key: law for key, law in fits.items() if law is not None}


def _fit(rows: pd.DataFrame) -> PowerLaw | None:
    columns = [name for name in ("seed", "feature", "occurrence") if name in rows]
    groups = [tuple(map(str, group)) for group in rows[columns].to_numpy()]
    return fit_power_law(rows["clock_rate"].tolist(), rows["distance"].tolist(), groups)


def _mean_times(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over acquisitions of each run; over those that all runs of a seed have, so that like is averaged."""
    means = []
    for seed, of_seed in rows.groupby("seed"):
        table = of_seed.pivot_table(index="clock_rate", columns=["feature", "occurrence"], values="distance")
        complete = table.dropna(axis="columns")
        if complete.shape[1]:
            means.append(complete.mean(axis="columns").rename("distance").reset_index().assign(seed=seed))
    return pd.concat(means) if means else rows.head(0)


def _clock(config: RunConfig) -> AcceleratedClock:
    from agfrun.labs.staircases.analysis.approach import AcceleratedClock  # torch
    from agfrun.labs.staircases.run.problem import build_problem  # torch

    anywhere = dataclasses.replace(config, init=dataclasses.replace(config.init, log10_scale=-1.0))
    return AcceleratedClock(build_problem(anywhere).architecture.homogeneity_degree)


def _rows(config: RunConfig, clock: AcceleratedClock, log10_scale: float, seed: int) -> dict[str, Any]:
    """The rows of one run by table, and why it failed."""
    from agfrun.labs.staircases.analysis.approach import curve_rows, distance_rows  # torch

    made = attempt(lambda: run_at(config, log10_scale, seed))
    rate, case = clock.rate(log10_scale), {"log10_scale": log10_scale, "seed": seed}
    run = case | {"clock": clock.formula, "clock_rate": rate} | _run_row(made, rate)
    if made.outcome is None:
        return {"reason": made.reason, "runs": [run]}
    return {"reason": made.reason, "runs": [run],
            "curves": [case | row for row in curve_rows(made.outcome, rate)],
            "distances": [case | {"clock_rate": rate} | row for row in distance_rows(made.outcome, rate)]}


def _run_row(made: Attempt[Result], rate: float) -> dict[str, Any]:
    from agfrun.labs.staircases.analysis.approach import window  # torch

    if made.outcome is None:
        return {"status": "failed", "reason": made.reason, "seconds": made.seconds}
    result, end = made.outcome, window(made.outcome)
    told = ("predicted_acquisitions", "measured_acquisitions", "in_predicted_order", "worst_time_error",
            "worst_level_error")
    return {"status": result.training.status, "reason": result.training.reason, "seconds": made.seconds,
            "window": end * rate if end else None, **{name: result.verdict[name] for name in told}}


def rate_row(key: Quantity, law: PowerLaw) -> dict[str, Any]:
    """Row of rates.csv."""
    return {
        "reference": key.reference, "quantity": key.quantity, "feature": key.feature, "exponent": law.exponent,
        "low": law.low, "high": law.high, "confidence": CONFIDENCE, "prefactor": law.prefactor, "points": law.points,
        "groups": law.groups, "smallest_clock_rate": law.smallest, "largest_clock_rate": law.largest,
    }


def rate_claims(config: RunConfig, clock: AcceleratedClock, key: Quantity, law: PowerLaw) -> list[Claim]:
    """Claims on one rate, undecided where its interval is too wide to tell; none on single features."""
    standing = _standing(config, clock.degree, key.reference)
    # A closed form of one part of the dynamics is no limit that anybody has claimed.
    if key.feature is not None or (key.reference == "theory" and standing == NOT_PROVED):
        return []
    name = {AGF: "AGF", DECOUPLED: "the decoupled flow", THEORY: "the closed form"}[key.reference]
    what = {"loss": "loss curve approaches that", "features": "features approach those",
            "time": "acquisition times approach those"}[key.quantity]
    subject = f"on the clock {clock.formula} training's {what} of {name} as the scale vanishes"
    origin = ("agfrun", "numerics") if standing == NOT_PROVED else (f"AGF paper, {standing}", standing.split()[0])
    vanishes = Statement(f"{key.quantity}_distance_vanishes", key.reference, f"{subject} ({standing})", *origin)
    rate = Statement(f"{key.quantity}_distance_rate", key.reference, f"{subject} like 1/log(1/scale) ({standing}; the "
                     "exponent's interval contains 1)", *origin)
    half_width, has_rate = 0.5 * (law.high - law.low), standing == "theorem 3.1"
    if half_width > DECISIVE:
        why = f"the exponent's interval, {law.low:.2f} to {law.high:.2f}, is too wide to tell approach from none"
        return [statement.undecided(why) for statement in (vanishes, *([rate] if has_rate else []))]
    claims = [vanishes.decided("exponent above 0", law.exponent, law.low > 0,
                               f"{CONFIDENCE:.0%} interval {law.low:.2f} to {law.high:.2f}")]
    if has_rate:
        claims.append(rate.decided(1.0, law.exponent, law.covers(1.0), f"half the {CONFIDENCE:.0%} interval",
                                   half_width))
    return claims


def _standing(config: RunConfig, degree: int, reference: str) -> str:
    """What is known of the limit that a reference is to have."""
    agf = config.agf
    as_published = agf.cost_phase == "instantaneous" and not agf.dormant_interaction and agf.dormant_clock == "carried"
    if degree == 2 and (reference == "theory" or as_published):
        known = {"diagonal_linear": "theorem 3.1", "fully_connected_linear": "conjecture 4.1"}
        return known.get(config.model.name, NOT_PROVED)
    return NOT_PROVED


def _text(clock: AcceleratedClock, fits: Mapping[Quantity, PowerLaw], finished: int, runs: int) -> str:
    """The rates for the terminal."""
    lines = [f"{finished} of {runs} runs finished; distance on the clock {clock.formula} ~ rate^exponent:"]
    lines += [f"  {key.quantity} to {key.reference}: {law.exponent:.3f} ({CONFIDENCE:.0%} interval {law.low:.3f} to "
              f"{law.high:.3f}, {law.points} points)" for key, law in fits.items() if key.feature is None]
    return "\n".join(lines if fits else [*lines, "  too few points for a rate"])
