"""How many solutions equations have, from the leading monomials of a Groebner basis: the monomials below them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST = 200_000


def standard_monomials(leading: Sequence[tuple[int, ...]], most: int = MOST) -> int | None:
    """The number of monomials that no leading monomial divides: that of complex solutions, with multiplicity.

    Args:
        leading: exponents of the leading monomials.
        most: beyond, counting is given up.

    Returns:
        None where they are infinitely many, so that the solutions are; or more than `most`.
    """
    table = np.array(leading, dtype=np.int64)
    if not table.any(axis=1).all():
        return 0
    pure = table[(table > 0).sum(axis=1) == 1]
    if not (pure > 0).any(axis=0).all():
        return None
    variables, count = table.shape[1], 0
    level, last = np.zeros((1, variables), dtype=np.int64), np.zeros(1, dtype=np.int64)
    while len(level):
        count += len(level)
        if count > most:
            return None
        # Each monomial of the next degree once: by a variable that is not before the last one it has.
        grown = [(level[last <= place] + np.eye(variables, dtype=np.int64)[place], place) for place in range(variables)]
        level = np.concatenate([part for part, _ in grown])
        last = np.concatenate([np.full(len(part), place) for part, place in grown])
        free = np.array([not (table <= one).all(axis=1).any() for one in level], dtype=bool)
        level, last = level[free], last[free]
    return count
