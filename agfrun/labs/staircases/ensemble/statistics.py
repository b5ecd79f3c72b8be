"""What many members say together: how often the order agrees, and how large the errors are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.labs.staircases.dynamics.statuses import GAVE_UP

if TYPE_CHECKING:  # figures use the interval, and import no torch
    from agfrun.labs.staircases.ensemble.members import Member

# Of the standard normal distribution, for intervals of 95%.
QUANTILE = 1.959963984540054


def wilson_interval(successes: int, trials: int, quantile: float = QUANTILE) -> tuple[float, float]:
    """Wilson's score interval for a probability, from `successes` in `trials` independent trials (at least 1).

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", J. Am. Stat. Assoc. 22
    (1927) 209-212. It stays within [0, 1] and means something at 0 or all successes too.
    """
    share, weight = successes / trials, quantile**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    reach = quantile / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return max(0.0, centre - reach), min(1.0, centre + reach)


@dataclass(frozen=True)
class Agreement:
    """How members agree with their predictions.

    Attributes:
        members: how many have been compared.
        in_order: in how many of them all acquisitions come in the predicted order.
        time_errors, level_errors: medians and maxima over all acquisitions, relative; NaN where there are none.
    """

    members: int
    in_order: int
    time_errors: tuple[float, float]
    level_errors: tuple[float, float]

    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson interval of the share in order; (0, 1) without members."""
        return wilson_interval(self.in_order, self.members) if self.members else (0.0, 1.0)

    def values(self) -> dict[str, Any]:
        """For done.json."""
        return {
            "compared_members": self.members, "members_in_predicted_order": self.in_order,
            "order_interval": list(self.interval),
            "median_time_error": self.time_errors[0], "worst_time_error": self.time_errors[1],
            "median_level_error": self.level_errors[0], "worst_level_error": self.level_errors[1],
        }


def is_in_order(member: Member) -> bool | None:
    """Whether all predicted acquisitions come in their order; None if there is nothing to compare."""
    if member.result is None or member.status in GAVE_UP or not member.result.verdict["predicted_acquisitions"]:
        return None
    return bool(member.result.verdict["in_predicted_order"] == member.result.verdict["predicted_acquisitions"])


def agreement(members: Sequence[Member]) -> Agreement:
    """Agreement of those of the members that can be compared."""
    compared = [member for member in members if is_in_order(member) is not None]
    rows = [row for member in compared if member.result is not None for row in member.result.comparison
            if row["kind"] == "acquisition"]
    return Agreement(len(compared), sum(is_in_order(member) is True for member in compared),
                     _median_and_worst([abs(row["time_ratio"] - 1) for row in rows]),
                     _median_and_worst([row["level_error"] for row in rows]))


def failing_claims(members: Sequence[Member]) -> dict[str, int]:
    """In how many members each claim fails, most often first; claims that fail nowhere are left out."""
    counts: dict[str, int] = {}
    for member in members:
        for name in sorted({claim["claim"] for claim in member.result.claims if not claim["holds"]}
                           if member.result is not None else ()):
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _median_and_worst(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    return (float(np.median(finite)), max(finite)) if finite else (math.nan, math.nan)
