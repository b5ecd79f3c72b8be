"""Whether two tables are of one group, by invariants first and then by images of generators."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np

from agfrun.groups.catalogue import GROUPS_OF_ORDER, named_group
from agfrun.groups.constructions import extend_to_map
from agfrun.groups.irreps import conjugacy_classes
from agfrun.groups.tables import IntArray, element_orders


def find_isomorphism(first: IntArray, second: IntArray) -> IntArray | None:
    """An isomorphism, shape (n,), the place in `second` of each element of `first`; None if there is none."""
    if len(first) != len(second):
        return None
    kinds, others = _kinds(first), _kinds(second)
    if Counter(kinds) != Counter(others):
        return None
    generators = _generators(first, kinds)
    candidates = [[place for place, kind in enumerate(others) if kind == kinds[one]] for one in generators]
    for images in product(*candidates):
        found = extend_to_map(first, second, dict(zip(generators, images, strict=True)))
        if found is not None:
            return found
    return None


def identify(table: IntArray) -> str | None:
    """The name of a group of order up to 24 in the catalogue; None of a larger one."""
    for name in GROUPS_OF_ORDER.get(len(table), ()):
        if find_isomorphism(table, named_group(name)) is not None:
            return name
    return None


def _kinds(table: IntArray) -> list[tuple[int, int, int]]:
    """Of each element its order, the size of its class, and the number of its square roots."""
    classes = conjugacy_classes(table)
    sizes = np.bincount(classes, minlength=len(table))[classes]
    roots = np.bincount(np.diagonal(table), minlength=len(table))
    return list(zip(element_orders(table).tolist(), sizes.tolist(), roots.tolist(), strict=True))


def _generators(table: IntArray, kinds: list[tuple[int, int, int]]) -> list[int]:
    """A small set that generates the group: each time the element that adds most, of rare kind where equal."""
    rarity = Counter(kinds)
    chosen: list[int] = []
    reached = {0}
    while len(reached) < len(table):
        best = max((one for one in range(len(table)) if one not in reached),
                   key=lambda one: (len(_closure(table, [*chosen, one])), -rarity[kinds[one]]))
        chosen.append(best)
        reached = _closure(table, chosen)
    return chosen


def _closure(table: IntArray, generators: list[int]) -> set[int]:
    reached = {0}
    front = [0]
    while front:
        made = set(table[np.ix_(front, generators)].ravel().tolist()) - reached
        reached |= made
        front = sorted(made)
    return reached
