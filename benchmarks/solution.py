"""What a solver of the flow is asked for and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.problems import Instance
from benchmarks.reference import Answer, Array
from benchmarks.settings import Row


@dataclass(frozen=True)
class Solution:
    """A solver's answer.

    Attributes:
        states: neurons at the times asked for, (T, H, D).
        seconds: it took, by `timing.clock`.
        gradient_evaluations: where known.
        note: for the table.
        further: further columns of the table.
        record: what was recorded on the way, where the solver keeps a record.
    """

    states: Array
    seconds: float
    gradient_evaluations: int | None
    note: str = ""
    further: Row = field(default_factory=dict)
    record: Answer | None = None


Solver = Callable[[Instance, Array, float, float], Solution]
"""(instance, times from 0, relative tolerance, time limit in seconds) to a solution.

The steps must not depend on the times asked for.

Raises:
    TimeLimitError: the time limit came first.
    ImportError: a package is missing.
    RuntimeError: the solver gave up.
"""
