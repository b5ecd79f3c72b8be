"""Degeneracies: what vanishes where a network's function is that of a smaller one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from agfrun.labs.neuromanifolds.arithmetic.derivatives import sum_of
from agfrun.labs.neuromanifolds.arithmetic.elements import Element, stack

ZERO, DEAD, DUPLICATE, LOW_RANK = "zero function", "dead neuron", "duplicate neurons", "low rank"


@dataclass(frozen=True)
class Degeneracy:
    """A kind of weights at which critical points of smaller networks lie, which are no critical functions.

    Attributes:
        kind: in a word.
        vanishes: the vector whose entries all vanish there, and nowhere else.
        continuum: whether such critical points always come in families, so that they cannot be counted.
    """

    kind: str
    vanishes: Element
    continuum: bool = False


def minors(matrix: Element, size: int) -> Element:
    """All determinants of `size` rows and as many columns, as a vector: it vanishes where the rank is below."""
    rows, columns = (list(combinations(range(length), size)) for length in matrix.shape)
    return stack([_determinant(matrix, row, column) for row in rows for column in columns])


def _determinant(matrix: Element, rows: tuple[int, ...], columns: tuple[int, ...]) -> Element:
    """By expansion along the first row."""
    if len(rows) == 1:
        return matrix[rows[0], columns[0]]
    parts: list[Element] = [
        matrix[rows[0], column] * _determinant(matrix, rows[1:], columns[:j] + columns[j + 1:]) * (-1) ** j
        for j, column in enumerate(columns)]
    return sum_of(parts)
