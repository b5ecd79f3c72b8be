"""How fast training approaches AGF as the initialization vanishes.

For every scale and seed, training and AGF run from one initialization; what separates their paths on the
accelerated clock (`staircases.studies.approach`) is fitted by a power of the clock's rate, which is 1 / log(1/scale) at
homogeneity degree 2 and scale^(degree - 2) above.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from agfrun.labs.staircases.claims.claim import Claim
from agfrun.labs.staircases.studies.rates import CONFIDENCE, PowerLaw, fit_power_law
from agfrun.study.checks import require
from agfrun.study.registry import register_study
from agfrun.study.schema import RunConfig, StudyConfig
from agfrun.study.series import Attempt, Tables, attempt, check_seeds, one_run, require_some, seeds_of, shown
from agfrun.study.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.run.pipeline import Result
    from agfrun.labs.staircases.studies.approach import AcceleratedClock

# Below about 1e-14 a neuron that has grown along one feature has lost the next one to rounding, in training as in
# AGF; only the diagonal network, whose neurons move on curves of their own, can go on.
SCALES_OF_DEGREE_2 = (-4.0, -5.0, -6.0, -8.0, -10.0, -12.0)
CLOCK_RATES_ABOVE = (-1.5, -2.0, -2.5, -3.0)
FITTED = ("loss", "features", "time")
# An exponent whose interval is wider than this to either side tells 0 (no approach) from 1 (the law) no more.
DECISIVE = 0.5
SMALLEST_EXPONENT = -1e6
NOT_PROVED = "not proved"

COLUMNS = {
    "runs": ("log10_scale", "seed", "clock", "clock_rate", "status", "reason", "predicted_acquisitions",
             "measured_acquisitions", "in_predicted_order", "worst_time_error", "worst_level_error", "window",
             "seconds"),
    "curves": ("log10_scale", "seed", "source", "clock_time", "loss_share"),
    "distances": ("log10_scale", "seed", "clock_rate", "reference", "quantity", "feature", "occurrence", "clock_time",
                  "distance", "resolved"),
    "rates": ("reference", "quantity", "feature", "exponent", "low", "high", "confidence", "prefactor", "points",
              "groups", "smallest_clock_rate", "largest_clock_rate"),
}


@register_study
@dataclass
class VanishingInitConfig(StudyConfig):
    """How fast training approaches AGF as the initialization vanishes (AGF paper, section 3, theorem 3.1).

    `log10_scales` are the scales' decimal exponents, in place of the configured scale; null chooses them by
    the network's homogeneity degree. `seeds` is the number of initializations at each scale.
    """

    name: str = "vanishing_init"
    log10_scales: list[float] | None = None
    seeds: int = 1

    tables: ClassVar[tuple[str, ...]] = tuple(COLUMNS)

    def check(self, config: RunConfig) -> None:
        """See `StudyConfig.check`."""
        scales = self.log10_scales
        if scales is not None:
            require("study.log10_scales", scales, len(set(scales)) == len(scales) >= 3
                    and all(SMALLEST_EXPONENT <= scale < 0 for scale in scales),
                    "at least three different exponents from -1e6 up to but not including 0, or null")
        check_seeds(config, self.seeds)

    def study(self, config: RunConfig, save: Callable[[Mapping[str, pd.DataFrame]], None],
              progress: bool | None) -> StudyResult:
        """See `StudyConfig.study`."""
        clock = _clock(config)
        scales = self.log10_scales if self.log10_scales is not None else default_log10_scales(clock.degree)
        cases = [(scale, seed) for scale in scales for seed in seeds_of(config, self.seeds)]
        tables, reasons = Tables(COLUMNS), list[str]()
        for scale, seed in shown(cases, progress):
            made = _attempt(config, scale, seed)
            reasons.append(made.reason)
            _record(tables, made, clock, scale, seed)
            save(tables.frames())
        require_some(reasons)
        fits = fit_rates(tables.frames()["distances"])
        tables.add("rates", [rate_row(key, law) for key, law in fits.items()])
        claims = [claim for key, law in fits.items() for claim in rate_claims(config, clock, key, law)]
        finished = reasons.count("")
        return StudyResult(tables.frames(), claims, {"runs": len(cases), "finished_runs": finished},
                           _text(clock, fits, finished, len(cases)))

    def figures(self, tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Figure]]:
        """See `StudyConfig.figures`."""
        from agfrun.labs.staircases.report.figures.vanishing_init import plot_vanishing_init

        if "curves" in tables and len(tables["curves"]):
            empty = {name: pd.DataFrame(columns=list(columns)) for name, columns in COLUMNS.items()}
            shown_tables = {**empty, **tables}
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
    from agfrun.labs.staircases.run.problem import build_problem
    from agfrun.labs.staircases.studies.approach import AcceleratedClock

    anywhere = dataclasses.replace(config, init=dataclasses.replace(config.init, log10_scale=-1.0))
    return AcceleratedClock(build_problem(anywhere).architecture.homogeneity_degree)


def _attempt(config: RunConfig, log10_scale: float, seed: int) -> Attempt[Result]:
    from agfrun.labs.staircases.run.pipeline import run

    init = dataclasses.replace(config.init, log10_scale=log10_scale)
    return attempt(lambda: run(one_run(config, init=init, seed=seed), progress=False))


def _record(tables: Tables, made: Attempt[Result], clock: AcceleratedClock, log10_scale: float, seed: int) -> None:
    """Add the rows of one run."""
    from agfrun.labs.staircases.studies.approach import curve_rows, distance_rows

    rate, case = clock.rate(log10_scale), {"log10_scale": log10_scale, "seed": seed}
    tables.add("runs", [case | {"clock": clock.formula, "clock_rate": rate} | _run_row(made, rate)])
    if made.outcome is not None:
        tables.add("curves", [case | row for row in curve_rows(made.outcome, rate)])
        tables.add("distances", [case | {"clock_rate": rate} | row for row in distance_rows(made.outcome, rate)])


def _run_row(made: Attempt[Result], rate: float) -> dict[str, Any]:
    from agfrun.labs.staircases.studies.approach import window

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
    """Claims on one rate, as far as its interval decides them; none on single features."""
    half_width = 0.5 * (law.high - law.low)
    if key.feature is not None or half_width > DECISIVE:
        return []
    name = {"agf": "AGF", "theory": "the closed form"}[key.reference]
    what = {"loss": "loss curve approaches that", "features": "features approach those",
            "time": "acquisition times approach those"}[key.quantity]
    subject = f"on the clock {clock.formula} training's {what} of {name} as the scale vanishes"
    standing = _standing(config, clock.degree, key.reference)
    if key.reference == "theory" and standing == NOT_PROVED:
        return []  # a closed form of one part of the dynamics; nobody says that it is the limit
    claims = [Claim(f"{key.quantity}_distance_vanishes", key.reference, f"{subject} ({standing})", "exponent above 0",
                    law.exponent, None, law.low > 0)]
    if standing == "theorem 3.1":
        claims.append(Claim(f"{key.quantity}_distance_rate", key.reference, f"{subject} like 1/log(1/scale) "
                            "(theorem 3.1; the exponent's interval contains 1)", 1.0, law.exponent, half_width,
                            law.covers(1.0)))
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
