"""How many jobs a sweep has, known before they are listed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep

from agfrun.study.errors import UsageError

# A plan of so many takes 170 MB, and half a minute.
MOST_JOBS = 1_000_000


def check_size(overrides: Sequence[Override]) -> None:
    """Refuse a sweep that is too large to plan.

    Args:
        overrides: those of a sweep, of which the last of each key counts.

    Raises:
        UsageError: it has more than `MOST_JOBS` jobs; the message names the override with the most values.
    """
    sizes = {override.get_key_element(): (length(override), override.input_line or "") for override in overrides}
    jobs = math.prod(size for size, _ in sizes.values())
    if jobs > MOST_JOBS:
        _, largest = max(sizes.values())
        raise UsageError(f"{largest} makes a sweep of {jobs:.3g} runs; at most {MOST_JOBS} are planned at a time")


def length(override: Override) -> float:
    """How many values an override has."""
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    if isinstance(value, RangeSweep):
        start, stop, step = (float(part or 0) for part in (value.start, value.stop, value.step))
        return max(0, math.ceil((stop - start) / step)) if step and math.isfinite(stop - start) else math.inf
    return 1
