"""Claims of papers: what each says, what deciding it gives, and the register of those of all laboratories.

A laboratory makes a `Paper` and registers functions as its claims; `agfrun claims` decides them. Where they are is said
by the laboratory's `PAPER_CLAIMS`, and no laboratory is imported that is not asked for. Imports no torch.

>>> PAPER = Paper("shapes", "Euclid, Elements", ("triangle", "circle"), Drawings)  # doctest: +SKIP
>>> @PAPER.claim("triangle", "book I, proposition 32", "theorem")  # doctest: +SKIP
... def angles_add_up(drawings):
...     "The three angles of a triangle are together two right angles."
...     return small(drawings.largest_excess(), 1e-12, "rounding")
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agfrun.study import registry
from agfrun.study.claim import FAILS, STANDINGS, Claim, verdict_of
from agfrun.study.errors import ConfigError, closest, did_you_mean

OURS = "agfrun"

Context = TypeVar("Context")


class Inconclusive(Exception):
    """The experiments cannot decide a claim; the message says why."""


@dataclass(frozen=True)
class Finding:
    """What the experiments say about a claim.

    Attributes:
        expected, measured: numbers or short texts; of several experiments those of the worst. None: nothing to say.
        tolerance: how far measured may be from expected, in the terms of `why`; None for an exact statement.
        why: why that tolerance, or why nothing could be decided.
        holds: the verdict; None where it is undecided.
        seeds: the seeds of the initializations (or designs) that were tried, as text; empty where none is drawn.
        deviation: distance of measured from expected in units of the tolerance (1 is just allowed); for a lower
            bound the bound over what was measured. None where neither makes sense.
    """

    expected: float | str | None
    measured: float | str | None
    tolerance: float | None
    why: str
    holds: bool | None
    seeds: str = ""
    deviation: float | None = None

    @property
    def verdict(self) -> str:
        """`holds`, `fails` or `undecided`."""
        return verdict_of(self.holds)


@dataclass(frozen=True)
class Paper(Generic[Context]):
    """A paper whose claims a laboratory decides.

    Attributes:
        laboratory: its name.
        name: how the paper is cited, in a few words.
        subjects: the networks or objects that claims are about, in the order in which they are listed.
        context: makes what claims get their experiments from, of the seeds and the device; called once for all claims.
    """

    laboratory: str
    name: str
    subjects: tuple[str, ...]
    context: Callable[[Sequence[int], str], Context]

    def claim(self, subject: str, stated: str, standing: str, sharper: str = ""
              ) -> Callable[[Callable[[Context], Finding]], Callable[[Context], Finding]]:
        """Decorator that registers a function as a claim: its name is the claim's, its docstring the statement.

        Args:
            subject, stated, standing, sharper: see `PaperClaim`.

        Raises:
            ValueError: the function has no docstring, another claim has its name, or the subject or standing is
                unknown.
        """
        def register(decide: Callable[[Context], Finding]) -> Callable[[Context], Finding]:
            statement = " ".join((inspect.getdoc(decide) or "").split())
            _add(PaperClaim(decide.__name__, self, subject, stated, standing, statement, decide, sharper))
            return decide

        return register


@dataclass(frozen=True)
class PaperClaim:
    """One claim.

    Attributes:
        name: unique among all laboratories.
        paper: what states it, or for a statement of ours what it is about.
        subject: one of the paper's.
        stated: theorem, section or equation of the paper, or `OURS`.
        standing: one of `STANDINGS`.
        statement: the claim in words.
        decide: does the experiments; takes what `paper.context` makes.
        sharper: name of our statement to put beside this one if it fails; empty if there is none.
    """

    name: str
    paper: Paper[Any]
    subject: str
    stated: str
    standing: str
    statement: str
    decide: Callable[[Any], Finding]
    sharper: str = ""

    def decided(self, finding: Finding) -> Claim:
        """The claim as a row of claims.csv; a sharper statement is named where it fails."""
        return Claim(self.name, self.subject, self.statement, finding.expected, finding.measured, finding.tolerance,
                     finding.holds, self.stated, self.standing, finding.why,
                     self.sharper if finding.verdict == FAILS else "")


class Contexts:
    """What claims get their experiments from: one context of each kind, however many claims share it.

    Args:
        seeds: of the initializations.
        device: on which networks are trained.
    """

    def __init__(self, seeds: Sequence[int], device: str = "auto") -> None:
        self.seeds_text = seeds_text(seeds)
        self._seeds, self._device = tuple(seeds), device
        self._made: dict[Callable[..., Any], Any] = {}

    def of(self, paper: Paper[Context]) -> Context:
        """The context of a paper's claims."""
        if paper.context not in self._made:
            self._made[paper.context] = paper.context(self._seeds, self._device)
        made: Context = self._made[paper.context]
        return made


def seeds_text(seeds: Sequence[int]) -> str:
    """Consecutive seeds as text: `0-2`."""
    return f"{seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


_CLAIMS: dict[str, PaperClaim] = {}


def paper_claims(laboratories: Iterable[str] | None = None) -> dict[str, PaperClaim]:
    """Claims by name, by laboratory, paper and subject.

    Args:
        laboratories: those to import; None: all. Claims from outside are always among them.
    """
    registry.import_paper_claims(registry.laboratories() if laboratories is None else laboratories)
    papers = list(dict.fromkeys(claim.paper for claim in _CLAIMS.values()))
    ordered = sorted(_CLAIMS.values(), key=lambda claim: (
        claim.paper.laboratory, papers.index(claim.paper), claim.paper.subjects.index(claim.subject)))
    return {claim.name: claim for claim in ordered}


def chosen_claims(only: Sequence[str] | None) -> list[PaperClaim]:
    """Claims with these names, of these subjects or laboratories, with the sharper statements beside them.

    Args:
        only: None is all.

    Raises:
        ConfigError: a word is none of these.
    """
    if only is None:
        return list(paper_claims().values())
    known = paper_claims(_laboratories_with(only))
    for word in only:
        if not any(word in _words(claim) for claim in known.values()):
            raise _unknown(word)
    wanted = {claim.name for claim in known.values() if set(_words(claim)) & set(only)}
    wanted |= {known[name].sharper for name in wanted}
    return [claim for name, claim in known.items() if name in wanted]


def _words(claim: PaperClaim) -> tuple[str, str, str]:
    """What a claim can be chosen by."""
    return claim.name, claim.subject, claim.paper.laboratory


def _laboratories_with(words: Sequence[str]) -> list[str]:
    """Laboratories that may have what the words name: a claim or subject stands in the source that registers it."""
    return [name for name in registry.laboratories()
            if name in words or any(word in path.read_text(encoding="utf-8") for word in words
                                    for path in registry.paper_claim_files(name).values())]


def _unknown(word: str) -> ConfigError:
    known = paper_claims().values()
    laboratories, subjects = (list(dict.fromkeys(words)) for words in (
        [claim.paper.laboratory for claim in known], [claim.subject for claim in known]))
    near = closest(word, [*(claim.name for claim in known), *subjects, *laboratories])
    among = did_you_mean(near) or "; agfrun claims lists all claims as it decides them"
    return ConfigError("study.only", word, f"must be a claim, a subject ({', '.join(subjects)}) or a laboratory "
                                           f"({', '.join(laboratories)}){among}")


def _add(claim: PaperClaim) -> None:
    """A module that is imported anew replaces what it had registered."""
    if not claim.statement:
        raise ValueError(f"the claim {claim.name} has no docstring to state it")
    subjects = claim.paper.subjects
    if claim.subject not in subjects or claim.standing not in STANDINGS:
        raise ValueError(f"the claim {claim.name} is of {claim.subject}, standing {claim.standing}; allowed are "
                         f"{subjects} and {STANDINGS}")
    other = _CLAIMS.get(claim.name)
    if other is not None and other.decide.__module__ != claim.decide.__module__:
        raise ValueError(f"the claim {claim.name} is already registered by {other.decide.__module__}")
    _CLAIMS[claim.name] = claim


def undecided(reason: str, seeds: str = "") -> Finding:
    """Nothing can be said, for a reason."""
    return Finding(None, None, None, reason, None, seeds)


def agreement(expected: float, measured: float, tolerance: float, why: str, seeds: str = "",
              scale: float | None = None) -> Finding:
    """Two numbers agree to `tolerance`, relative to `scale` (default: the expected number). NaN decides nothing."""
    deviation = abs(measured - expected) / (tolerance * (abs(expected) if scale is None else scale))
    if deviation != deviation:
        return undecided("what was to be measured is not a number", seeds)
    return Finding(expected, measured, tolerance, why, bool(deviation <= 1), seeds, deviation)


def small(error: float, tolerance: float, why: str, seeds: str = "") -> Finding:
    """An error is at most `tolerance`."""
    return agreement(0.0, error, tolerance, why, seeds, scale=1.0)


def bounded_below(ratio: float, why: str, seeds: str = "") -> Finding:
    """The least of what was measured over its lower bound is at least 1."""
    if ratio != ratio:
        return undecided("what was to be measured is not a number", seeds)
    deviation = 1 / ratio if ratio > 0 else float("inf")
    return Finding("at least 1", ratio, None, why, bool(ratio >= 1), seeds, deviation)


def at_most(limit: float, measured: float, why: str, seeds: str = "") -> Finding:
    """A number is no larger than a limit."""
    return Finding(f"at most {limit:.3g}", measured, None, why, bool(measured <= limit), seeds,
                   measured / limit if limit else None)


def at_least(limit: float, measured: float, why: str, seeds: str = "") -> Finding:
    """A number is no smaller than a limit."""
    return Finding(f"at least {limit:.3g}", measured, None, why, bool(measured >= limit), seeds,
                   limit / measured if measured > 0 else None)


def same_text(expected: str, measured: str, why: str, seeds: str = "") -> Finding:
    """Two texts, such as orders of features, are equal."""
    return Finding(expected, measured, None, why, expected == measured, seeds)
