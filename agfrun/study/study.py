"""What a study returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from agfrun.labs.staircases.claims.claim import Claim


class Finished(Protocol):
    """Whatever a study leaves: something to print."""

    def summary(self) -> str:
        """Text for the terminal."""


@dataclass
class StudyResult:
    """Tables and claims of a study.

    Attributes:
        tables: tidy tables by name.
        claims: checked claims.
        verdict: numbers for done.json, by name.
        text: what to print at the end.
    """

    tables: Mapping[str, pd.DataFrame]
    claims: list[Claim] = field(default_factory=list)
    verdict: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    def summary(self) -> str:
        """Text for the terminal."""
        return self.text
