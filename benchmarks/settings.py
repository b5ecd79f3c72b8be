"""How thorough a run of the benchmarks is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

Row = dict[str, object]
# What a row's `status` may be, beside `ok`: the answer differs from ours or from the reference; a package is
# missing; the time limit came first; it raised; timed over some steps and multiplied by their number.
STATUSES = ("ok", "wrong", "skipped", "stopped", "failed", "extrapolated")


@dataclass(frozen=True)
class Settings:
    """Settings of one run.

    Attributes:
        quick: only show that everything works, in under two minutes.
        threads: threads of every library.
        output: folder of the results.
        references: folder of the reference solutions.
        longest: seconds that a competitor may take for one run, unless quick.
    """

    quick: bool = False
    threads: int = 1
    output: Path = Path("benchmarks/results")
    references: Path = Path("benchmarks/references")
    longest: float = 12.0

    @property
    def repeats(self) -> int:
        """Rounds of alternating measurements."""
        return 2 if self.quick else 7

    @property
    def time_limit(self) -> float:
        """Seconds that a competitor may take for one run."""
        return 1.5 if self.quick else self.longest

    @property
    def shortest(self) -> float:
        """Seconds that one measurement of something short fills."""
        return 0.01 if self.quick else 0.1


class Benchmark(Protocol):
    """A module that measures something.

    Attributes:
        COLUMNS: of its table.
    """

    COLUMNS: Sequence[str]
    measure: Callable[[Settings], Iterator[Row]]
    draw: Callable[[pd.DataFrame], Figure]
