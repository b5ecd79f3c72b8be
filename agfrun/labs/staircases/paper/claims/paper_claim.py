"""What a claim of the paper is, what deciding it gives, and the register of all claims."""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agfrun.study.claim import FAILS, HOLDS, STANDINGS, UNDECIDED, Claim
from agfrun.study.errors import ConfigError, closest, did_you_mean

if TYPE_CHECKING:
    from agfrun.labs.staircases.paper.claims.laboratory import Laboratory

GENERAL = "general"
NETWORKS = (GENERAL, "diagonal_linear", "fully_connected_linear", "linear_attention", "quadratic_modadd", "relu")
OURS = "agfrun"



class Inconclusive(Exception):
    """The experiments cannot decide a claim; the message says why."""


@dataclass(frozen=True)
class Finding:
    """What the experiments say about a claim.

    Attributes:
        expected, measured: numbers or short texts; of several experiments those of the worst.
        tolerance: how far measured may be from expected, in the terms of `why`; None for an exact statement.
        why: why that tolerance, or why nothing could be decided.
        verdict: `HOLDS`, `FAILS` or `UNDECIDED`.
        seeds: the seeds of the initializations (or designs) that were tried, as text; empty where none is drawn.
        deviation: distance of measured from expected in units of the tolerance (1 is just allowed); for a lower
            bound the bound over what was measured. None where neither makes sense.
    """

    expected: float | str
    measured: float | str
    tolerance: float | None
    why: str
    verdict: str
    seeds: str = ""
    deviation: float | None = None


@dataclass(frozen=True)
class PaperClaim:
    """One claim.

    Attributes:
        name: unique.
        network: one of `NETWORKS`.
        stated: theorem, section or equation of the paper, or `OURS`.
        standing: one of `STANDINGS`.
        statement: the claim in words.
        decide: does the experiments.
        sharper: name of our statement to put beside this one if it fails; empty if there is none.
    """

    name: str
    network: str
    stated: str
    standing: str
    statement: str
    decide: Callable[[Laboratory], Finding]
    sharper: str = ""


Decide = Callable[["Laboratory"], Finding]
_CLAIMS: dict[str, PaperClaim] = {}


def paper_claim(network: str, stated: str, standing: str, sharper: str = "") -> Callable[[Decide], Decide]:
    """Decorator that registers a function as a claim: its name is the claim's, its docstring the statement.

    Args:
        network, stated, standing, sharper: see `PaperClaim`.

    Raises:
        ValueError: the function has no docstring, another claim has its name, or the network or standing is unknown.
    """

    def register(decide: Decide) -> Decide:
        name, statement = decide.__name__, " ".join((inspect.getdoc(decide) or "").split())
        if not statement:
            raise ValueError(f"the claim {name} has no docstring to state it")
        if network not in NETWORKS or standing not in STANDINGS:
            raise ValueError(f"the claim {name} is of network {network}, standing {standing}; allowed are {NETWORKS} "
                             f"and {STANDINGS}")
        other = _CLAIMS.get(name)
        if other is not None and other.decide.__module__ != decide.__module__:
            raise ValueError(f"the claim {name} is already registered by {other.decide.__module__}")
        _CLAIMS[name] = PaperClaim(name, network, stated, standing, statement, decide, sharper)
        return decide

    return register


def paper_claims() -> Mapping[str, PaperClaim]:
    """All claims by name, by network in the order of `NETWORKS`."""
    for network in NETWORKS:
        importlib.import_module(f"agfrun.labs.staircases.paper.claims.{network}")
    ordered = sorted(_CLAIMS.values(), key=lambda claim: NETWORKS.index(claim.network))
    return {claim.name: claim for claim in ordered}


def chosen_claims(only: Sequence[str] | None) -> list[PaperClaim]:
    """Claims with these names or of these networks, with the sharper statements beside them; None is all.

    Raises:
        ConfigError: a name is neither.
    """
    known = paper_claims()
    if only is None:
        return list(known.values())
    for name in only:
        if name not in known and name not in NETWORKS:
            near = closest(name, [*known, *NETWORKS])
            among = did_you_mean(near) or "; agfrun claims lists all claims as it decides them"
            raise ConfigError("study.only", name, f"must be a claim or a network ({', '.join(NETWORKS)}){among}")
    wanted = {claim.name for claim in known.values() if claim.name in only or claim.network in only}
    wanted |= {known[name].sharper for name in wanted if known[name].sharper}
    return [claim for name, claim in known.items() if name in wanted]


def decide(claim: PaperClaim, laboratory: Laboratory) -> dict[str, Any]:
    """Row of paper_claims.csv: the claim, what the experiments say, and the seconds they took.

    A failure of its own experiments leaves a claim undecided; an interruption is passed on.
    """
    from agfrun.files.series import FAILURES

    start = time.perf_counter()
    try:
        finding = claim.decide(laboratory)
    except Inconclusive as reason:
        finding = undecided(str(reason), laboratory.seeds_text)
    except FAILURES as error:
        finding = undecided(" ".join(f"{type(error).__name__}: {error}".split()), laboratory.seeds_text)
    return {
        "claim": claim.name, "network": claim.network, "stated": claim.stated, "standing": claim.standing,
        "statement": claim.statement, "expected": finding.expected, "measured": finding.measured,
        "seeds": finding.seeds, "tolerance": finding.tolerance, "deviation": finding.deviation, "why": finding.why,
        "verdict": finding.verdict, "seconds": time.perf_counter() - start,
        "sharper": claim.sharper if finding.verdict == FAILS else "",
    }


def as_claims(rows: Iterable[Mapping[str, Any]]) -> list[Claim]:
    """The decided rows as rows of claims.csv."""
    return [Claim(row["claim"], row["network"], row["statement"], row["expected"], row["measured"], row["tolerance"],
                  None if row["verdict"] == UNDECIDED else row["verdict"] == HOLDS, row["stated"], row["standing"],
                  row["why"], row["sharper"]) for row in rows]


def undecided(reason: str, seeds: str = "") -> Finding:
    """Nothing can be said, for a reason."""
    return Finding("", "", None, reason, UNDECIDED, seeds)


def verdict_of(holds: bool) -> str:
    """`HOLDS` or `FAILS`."""
    return HOLDS if holds else FAILS


def agreement(expected: float, measured: float, tolerance: float, why: str, seeds: str = "",
              scale: float | None = None) -> Finding:
    """Two numbers agree to `tolerance`, relative to `scale` (default: the expected number). NaN decides nothing."""
    deviation = abs(measured - expected) / (tolerance * (abs(expected) if scale is None else scale))
    if deviation != deviation:
        return undecided("what was to be measured is not a number", seeds)
    return Finding(expected, measured, tolerance, why, verdict_of(deviation <= 1), seeds, deviation)


def small(error: float, tolerance: float, why: str, seeds: str = "") -> Finding:
    """An error is at most `tolerance`."""
    return agreement(0.0, error, tolerance, why, seeds, scale=1.0)


def bounded_below(ratio: float, why: str, seeds: str = "") -> Finding:
    """The least of what was measured over its lower bound is at least 1."""
    if ratio != ratio:
        return undecided("what was to be measured is not a number", seeds)
    deviation = 1 / ratio if ratio > 0 else float("inf")
    return Finding("at least 1", ratio, None, why, verdict_of(ratio >= 1), seeds, deviation)


def same_text(expected: str, measured: str, why: str, seeds: str = "") -> Finding:
    """Two texts, such as orders of features, are equal."""
    return Finding(expected, measured, None, why, verdict_of(expected == measured), seeds)
