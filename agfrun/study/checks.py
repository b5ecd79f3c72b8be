"""Checks of configuration values; each raises one line that names the key, the value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from agfrun.study.errors import ConfigError, closest, did_you_mean

# Of one number of the data: products of a few larger ones, such as a loss, leave the range of the floats.
LARGEST_DATUM = 1e12
ORDINARY = f"of at most {LARGEST_DATUM:g} in size"
# Of one command: beyond, the work lasts years, and the list of it fills the memory.
MOST_SEEDS = 100_000
DAY = 86400.0


def require_seeds(count: int, key: str = "study.seeds") -> None:
    """Require a number of seeds that can be done.

    Raises:
        ConfigError: it is not from 1 to `MOST_SEEDS`.
    """
    require(key, count, 1 <= count <= MOST_SEEDS, f"an integer from 1 to {MOST_SEEDS}")


def require_a_day(key: str, value: Any, seconds: float, what: str) -> None:
    """Require that work takes no longer than a day; `what` completes the sentence "... would take about".

    Raises:
        ConfigError: it takes longer; the message says how long.
    """
    require(key, value, seconds <= DAY, f"smaller: {what} would take about {seconds / DAY:.0f} days")


def distinct_scales(key: str, scales: list[float]) -> None:
    """Require at least two different initialization scales.

    Raises:
        ConfigError: there are fewer, or one is not between 0 and 1.
    """
    require(key, scales, len(set(scales)) == len(scales) >= 2 and all(0 < scale < 1 for scale in scales),
            "at least two different numbers above 0 and below 1")


def positive(value: float) -> bool:
    """Whether a number is finite and above zero."""
    return math.isfinite(value) and value > 0


def ordinary(value: float) -> bool:
    """Whether a number is finite and no larger than `LARGEST_DATUM`."""
    return abs(value) <= LARGEST_DATUM


def require(key: str, value: Any, holds: bool, allowed: str) -> None:
    """Refuse `value` unless `holds`; `allowed` completes the sentence "must be ...".

    Raises:
        ConfigError: it does not hold.
    """
    if not holds:
        raise ConfigError(key, value, f"must be {allowed}")


def one_of(key: str, value: str, allowed: Iterable[str], context: str = "") -> None:
    """Refuse a word that is not among `allowed`, suggesting the closest.

    Raises:
        ConfigError: it is not among them; `context` is added to the list of choices.
    """
    choices = tuple(allowed)
    if value not in choices:
        hint = did_you_mean(closest(value, choices))
        raise ConfigError(key, value, f"choose one of {', '.join(choices)}{context}{hint}")
