"""What a claim is, for all laboratories: a statement, what it expects, what was measured, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
STANDINGS = ("theorem", "conjecture", "numerics", "bound", "ours")


@dataclass(frozen=True)
class Claim:
    """One checked claim: a row of claims.csv.

    Attributes:
        claim: short name.
        source: whose numbers were checked, for instance `training`.
        statement: the claim in words.
        expected, measured: numbers or short texts; None where there is nothing to say.
        tolerance: how far measured may be from expected; None for an exact statement.
        holds: the verdict; None where it is undecided.
        stated: where: theorem, section or equation, and of which paper.
        standing: one of `STANDINGS`, or empty where nobody has said.
        why: why that tolerance; of an undecided claim, why it is.
        sharper: name of the statement that stands beside this one if it fails; empty if there is none.
    """

    claim: str
    source: str
    statement: str
    expected: float | str | None
    measured: float | str | None
    tolerance: float | None
    holds: bool | None
    stated: str = ""
    standing: str = ""
    why: str = ""
    sharper: str = ""

    def __post_init__(self) -> None:
        if self.standing and self.standing not in STANDINGS:
            raise ValueError(f"the claim {self.claim} has the standing {self.standing}; allowed are {STANDINGS}")
        if self.holds is not None:  # a comparison of NumPy's numbers is no bool, and `holds is True` would be false
            object.__setattr__(self, "holds", bool(self.holds))

    @property
    def verdict(self) -> str:
        """`holds`, `fails` or `undecided`."""
        return verdict_of(self.holds)


def verdict_of(holds: bool | None) -> str:
    """The verdict as a word."""
    return UNDECIDED if holds is None else HOLDS if holds else FAILS


@dataclass(frozen=True)
class Statement:
    """What is claimed, before it is decided.

    Attributes:
        claim, source: see `Claim`.
        words: the claim in words.
        stated, standing: see `Claim`.
    """

    claim: str
    source: str
    words: str
    stated: str = ""
    standing: str = ""

    def decided(self, expected: float | str, measured: float | str, holds: bool, why: str = "",
                tolerance: float | None = None) -> Claim:
        """The claim with a verdict; without a tolerance it is exact."""
        return Claim(self.claim, self.source, self.words, expected, measured, tolerance, holds, self.stated,
                     self.standing, why)

    def close(self, expected: float, measured: float, tolerance: float, why: str = "", scale: float | None = None
              ) -> Claim:
        """The claim that two numbers agree to `tolerance`, relative to `scale` (default: the expected number)."""
        reference = abs(expected) if scale is None else scale
        return self.decided(expected, measured, abs(measured - expected) <= tolerance * reference, why, tolerance)

    def undecided(self, why: str) -> Claim:
        """The claim, left open, and why."""
        return Claim(self.claim, self.source, self.words, None, None, None, None, self.stated, self.standing, why)


def close(claim: str, source: str, statement: str, expected: float, measured: float, tolerance: float,
          scale: float | None = None, stated: str = "", standing: str = "", why: str = "") -> Claim:
    """A claim that two numbers agree to `tolerance`, relative to `scale` (default: the expected number)."""
    return Statement(claim, source, statement, stated, standing).close(expected, measured, tolerance, why, scale)


def undecided(claim: str, source: str, statement: str, why: str, stated: str = "", standing: str = "") -> Claim:
    """A claim that could not be decided, and why not."""
    return Statement(claim, source, statement, stated, standing).undecided(why)


def claim_counts(claims: Sequence[Claim]) -> dict[str, int]:
    """How many hold, how many there are and how many of them are undecided: numbers of done.json."""
    return {"claims_hold": sum(claim.holds is True for claim in claims), "claims": len(claims),
            "claims_undecided": sum(claim.holds is None for claim in claims)}


def failing_claims(claims: pd.DataFrame | None) -> list[str]:
    """Names of the claims that fail in a table claims.csv; none where there is no table."""
    if claims is None:
        return []
    return [str(name) for name, holds in zip(claims["claim"], claims["holds"], strict=True) if str(holds) == "False"]


CLAIMS = Schema("claims.csv", (
    Column("claim", "text", "short name of the claim"),
    Column("source", "text", "whose numbers were checked, for instance training or agf"),
    Column("statement", "text", "the claim in words"),
    Column("expected", "number or text", "what the claim says"),
    Column("measured", "number or text", "what this run shows"),
    Column("tolerance", "number", "largest difference at which the claim holds"),
    Column("holds", "flag", "whether it holds; empty: undecided"),
    Column("stated", "text", "where it is stated"),
    Column("standing", "text", "theorem, conjecture, numerics, bound or ours"),
    Column("why", "text", "why that tolerance, or why it is undecided"),
    Column("sharper", "text", "the statement to put beside it if it fails"),
), "claims and their verdicts", optional=("stated", "standing", "why", "sharper"))
