"""Intervals for shares of runs."""

from __future__ import annotations

import math

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
