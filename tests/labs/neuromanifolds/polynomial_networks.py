"""Networks of this laboratory, measured, and a table of dimensions that others have found."""

from __future__ import annotations

from collections.abc import Sequence

from agfrun.labs.neuromanifolds import PRIMES, Measurement, MonomialMlpConfig, measure

# Widths, degree, dimension; ambient dimension and defect where the source of the table gives them.
TABLE: list[tuple[tuple[int, ...], int, int, int | None, int | None]] = [
    ((2, 2, 1), 2, 3, 3, 0), ((2, 3, 1), 2, 3, None, None), ((3, 2, 1), 2, 5, 6, 1), ((3, 3, 1), 2, 6, None, None),
    ((2, 2, 2), 2, 6, None, None), ((2, 2, 2), 3, 6, 8, 0), ((3, 2, 2), 2, 8, 12, 0), ((3, 2, 2), 3, 8, 20, 0),
    ((3, 3, 2), 2, 12, 12, 0), ((2, 3, 2), 3, 8, None, None), ((2, 2, 1), 3, 4, None, None), ((2, 2, 1), 4, 4, 5, 0),
    ((3, 4, 1), 3, 10, 10, 0), ((3, 5, 1), 4, 14, 15, 1), ((4, 9, 1), 4, 34, 35, 1), ((5, 7, 1), 3, 34, 35, 1),
    ((5, 14, 1), 4, 69, 70, 1), ((2, 2, 2, 1), 2, 5, None, None), ((2, 2, 2, 1), 3, 6, 10, 0),
    ((2, 2, 2, 2), 2, 8, None, None), ((3, 2, 2, 2), 2, 10, 30, 0), ((3, 3, 3, 1), 2, 12, 15, 3),
    ((3, 3, 3, 3), 2, 21, 45, 0), ((3, 3, 2, 1), 3, 12, 55, 0), ((2, 1, 2, 1), 2, 2, 5, 1),
    ((4, 3, 2, 1), 2, 14, 35, 1), ((2, 2, 2, 2, 1), 2, 7, 9, 1), ((5, 4, 3, 1), 2, 25, 70, 3),
    ((3, 2, 3, 2), 2, 10, 30, 3), ((2, 3, 3, 2), 2, 10, 10, 0), ((2, 3, 4, 5, 4, 6, 4, 1), 2, 65, 65, 0),
]


def measured(widths: Sequence[int], degree: int, seed: int = 0, primes: Sequence[int] = PRIMES,
             at_least: int = 1) -> Measurement:
    return measure(MonomialMlpConfig(widths=list(widths), degree=degree), seed, primes, at_least)
