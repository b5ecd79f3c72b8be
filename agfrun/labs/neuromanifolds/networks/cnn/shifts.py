"""Zero-padded filters of a convolutional network: which can be shifted against each other, and what that means.

Filter i with leading or trailing zeros can be shifted by t_i places within its length. In places of the layer's input
the signals are then shifted by T_0 = t_0 and T_i = t_i + T_(i-1) / s_(i-1), which must be an integer, and the network's
function stays as it is iff T_(L-1) = 0. The number of admissible tuples is that of preimages of the function up to
scaling, and the function is a singular point of the neuromanifold iff there are two or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import prod

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Field
from agfrun.labs.neuromanifolds.stratum import Stratum, coordinate_tangent

Arrays = Mapping[str, AnyArray]
DRAWN = 12  # weights of the zero function, for each filter that can vanish


def name_of(number: int) -> str:
    """Name of a filter's weights, from 1 on."""
    return f"filter_{number}"


def shift_tuples(filters: Sequence[AnyArray], strides: Sequence[int]) -> list[tuple[int, ...]]:
    """All shifts of filters that keep the function, the identity among them; filters must not be zero."""
    ranges = []
    for entries in filters:
        support = np.flatnonzero([bool(entry) for entry in entries])
        ranges.append(range(-int(support[0]), len(entries) - int(support[-1])))
    return list(_tuples(ranges, strides, 0, 0))


def _tuples(ranges: Sequence[range], strides: Sequence[int], place: int, moved: int) -> Iterator[tuple[int, ...]]:
    """Tuples of the filters from `place` on, the input of which is shifted by `moved` places."""
    if place == len(ranges):
        return
    for shift in ranges[place]:
        total = moved + shift
        if place == len(ranges) - 1:
            if total == 0:
                yield (shift,)
        elif total % strides[place] == 0:
            yield from ((shift, *rest) for rest in _tuples(ranges, strides, place + 1, total // strides[place]))


def shifted(filters: Arrays, shifts: Sequence[int]) -> dict[str, AnyArray]:
    """The filters, each moved to higher places."""
    return {name: np.roll(entries, shift) for (name, entries), shift in zip(filters.items(), shifts, strict=True)}


def strata(sizes: Sequence[int], strides: Sequence[int]) -> tuple[Stratum, ...]:
    """Nodes, where two filters can be shifted against each other, and the zero function by each filter."""
    found = []
    for first in range(len(sizes)):
        for second in range(first + 1, len(sizes)):
            zeros = prod(strides[first:second])
            if sizes[first] > zeros and sizes[second] > 1:
                found.append(_node(sizes, first, second, zeros))
    for i in range(len(sizes)):
        flags = _flags(sizes)
        flags[name_of(i + 1)][:] = False
        found.append(Stratum(i + 1, "zero", f"filter {i + 1} vanishes, and with it the function",
                             partial(_point, flags), coordinate_tangent(flags), partial(_zero_fibre, sizes)))
    return tuple(found)


def _node(sizes: Sequence[int], first: int, second: int, zeros: int) -> Stratum:
    flags = _flags(sizes)
    flags[name_of(first + 1)][:zeros] = False
    flags[name_of(second + 1)][-1] = False
    shifts = [0] * len(sizes)
    shifts[first], shifts[second] = -zeros, 1
    return Stratum(first + 1, f"node {first + 1}-{second + 1}",
                   f"filter {first + 1} begins with {zeros} zero{'s' * (zeros > 1)}, filter {second + 1} ends with one",
                   partial(_point, flags), coordinate_tangent(flags), partial(_other_preimage, shifts))


def _flags(sizes: Sequence[int]) -> dict[str, AnyArray]:
    return {name_of(i): np.ones(size, dtype=bool) for i, size in enumerate(sizes, 1)}


def _point(flags: Mapping[str, AnyArray], field: Field, generator: np.random.Generator) -> dict[str, AnyArray]:
    return {name: np.where(free, field.random(generator, free.shape), field.array(0)) for name, free in flags.items()}


def _other_preimage(shifts: Sequence[int], weights: Arrays, field: Field, generator: np.random.Generator
                    ) -> Iterator[dict[str, AnyArray]]:
    yield shifted(weights, shifts)


def _zero_fibre(sizes: Sequence[int], weights: Arrays, field: Field, generator: np.random.Generator
                ) -> Iterator[dict[str, AnyArray]]:
    for _ in range(DRAWN):
        for i in range(1, len(sizes) + 1):
            flags = _flags(sizes)
            flags[name_of(i)][:] = False
            yield _point(flags, field, generator)
