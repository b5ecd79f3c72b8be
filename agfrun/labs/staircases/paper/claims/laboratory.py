"""Where claims get their experiments: each configuration runs once in a process, however many claims share it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from agfrun.files.series import Attempt, attempt
from agfrun.labs.staircases.config import RunConfig
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.run.pipeline import judge, prepare, run
from agfrun.labs.staircases.run.problem import build_architecture
from agfrun.labs.staircases.run.result import Plan, Result
from agfrun.labs.staircases.run.training import Watch, train
from agfrun.study.claim import Claim
from agfrun.study.paper_claim import Finding, Inconclusive, Paper, seeds_text, undecided
from agfrun.study.settings import config_hash

Build = Callable[[RunConfig], Architecture]

# All runs are kept to the end of a study, and there are many: what each keeps of its states is bounded.
STATE_BYTES = 8 * 2**20


class Laboratory:
    """Runs experiments from several seeds and remembers their results, failures included.

    Args:
        seeds: of the initializations.
        device: on which networks are trained.
    """

    def __init__(self, seeds: Sequence[int], device: str = "auto") -> None:
        self.seeds, self.seeds_text = tuple(seeds), seeds_text(seeds)
        self._device = device
        self._made: dict[str, Any] = {}
        self._runs: dict[tuple[str, Build | None], Attempt[Result]] = {}

    def result(self, config: RunConfig, build: Build | None = None) -> Result:
        """The run of a configuration; `build` makes its network where no configured data set does.

        Raises:
            Inconclusive: the run failed, now or when another claim asked for it.
        """
        config = self._here(config)
        key = config_hash(config), build
        if key not in self._runs:
            self._runs[key] = attempt(lambda: _run(config, build))
            if (outcome := self._runs[key].outcome) is not None:
                outcome.training.recorder.thin_states(STATE_BYTES)
        made = self._runs[key]
        if made.outcome is None:
            raise Inconclusive(f"a run of {config.model.name} with seed {config.seed} failed: {made.reason}")
        return made.outcome

    def results(self, config: RunConfig, build: Build | None = None) -> list[Result]:
        """The runs from all seeds; one where the initialization is not random.

        Raises:
            Inconclusive: one of them failed.
        """
        seeds = self.seeds[:1] if config.init.name == "deterministic" else self.seeds
        return [self.result(dataclasses.replace(config, seed=seed), build) for seed in seeds]

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, made once for each name."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def plan(self, config: RunConfig) -> Plan:
        """The prediction alone, without training."""
        return prepare(self._here(config))

    def architecture(self, config: RunConfig) -> Architecture:
        """The network alone."""
        return build_architecture(self._here(config))

    def _here(self, config: RunConfig) -> RunConfig:
        return dataclasses.replace(config, device=self._device, plots=False)


AGF = Paper("staircases", "Kunin, Marchetti et al. 2025, arXiv:2506.06489", (
    "general", "diagonal_linear", "fully_connected_linear", "linear_attention", "quadratic_modadd", "relu"), Laboratory)
"""The AGF paper; claims about every network are `general`."""


def _run(config: RunConfig, build: Build | None) -> Result:
    if build is None:
        return run(config, progress=False)
    plan = prepare(config, build(config))
    first = plan.prediction.rounds[0].time if plan.prediction.rounds else None
    watch = Watch(config.seed, first, progress=False)
    return judge(plan, train(config.train, plan.problem, plan.horizon, watch))


def claims_of(results: Sequence[Result], name: str, source: str | None = None) -> list[Claim]:
    """The runs' own decided claims whose name is `name`, or `name` and a number or feature.

    Raises:
        Inconclusive: no run could decide any.
    """
    found = [claim for result in results for claim in result.claims if claim.holds is not None
             and (claim.claim == name or claim.claim.startswith(f"{name}_")) and source in (None, claim.source)]
    if not found:
        raise Inconclusive(f"no run could decide {name}: {'; '.join(sorted({end_of(r) for r in results}))}")
    return found


def end_of(result: Result) -> str:
    """How training ended, in a few words."""
    return f"training {result.training.status} ({result.training.reason})"


def from_claims(claims: Sequence[Claim], why: str, seeds: str = "", scale: float | None = None) -> Finding:
    """A claim that holds if all of the runs' own claims do; numbers are those of the worst.

    Args:
        claims: decided ones of at least one run.
        why: why that tolerance.
        seeds: of the runs.
        scale: what the claims' tolerance is relative to; None: the expected number.
    """
    worst = max(claims, key=lambda claim: (not claim.holds, _deviation(claim, scale) or 0.0))
    holding = sum(claim.holds is True for claim in claims)
    count = f"{holding} of {len(claims)} hold; {why}" if len(claims) > 1 else why
    assert worst.expected is not None
    assert worst.measured is not None
    return Finding(worst.expected, worst.measured, worst.tolerance, count, holding == len(claims), seeds,
                   _deviation(worst, scale))


def _deviation(claim: Claim, scale: float | None) -> float | None:
    expected, measured, tolerance = claim.expected, claim.measured, claim.tolerance
    if isinstance(expected, str | None) or isinstance(measured, str | None):
        return None
    if tolerance is None:  # a lower bound
        return float(expected / measured) if measured > 0 else math.inf
    size = abs(expected) if scale is None else scale
    deviation = float(abs(measured - expected) / (tolerance * size)) if size > 0 else math.inf
    # Where the run took another scale for its tolerance, as it does for a level near zero, there is no telling.
    return deviation if (deviation <= 1) == claim.holds else None


def all_acquired(results: Sequence[Result], why: str, seeds: str) -> Finding | None:
    """An undecided finding if some run's training did not get to the end of what it had to learn, else None."""
    stopped = [result for result in results if result.training.status != "converged"]
    return undecided(f"{end_of(stopped[0])}; {why}", seeds) if stopped else None


def largest(values: Sequence[float]) -> float:
    """The largest of some errors; NaN where one is NaN.

    Raises:
        Inconclusive: there are none.
    """
    if not values:
        raise Inconclusive("no run has anything to measure")
    return math.nan if any(math.isnan(value) for value in values) else max(values)
