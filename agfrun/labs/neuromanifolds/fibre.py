"""What is known of the weights that share one function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Identifiability:
    """Which other weights have the same function as given ones.

    Attributes:
        verdict: `finite` (nothing but the symmetries), `infinite` (more than the symmetries), or a number of orbits.
        orbits: of the symmetries that have the same function; None: infinitely many, or unknown.
        reason: in a sentence.
        source: the result that says so.
    """

    verdict: str
    orbits: int | None
    reason: str
    source: str
