"""What a group is read with that no network is needed for: matching the entries of pairs, and closing the products."""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy.optimize import linear_sum_assignment

from agfrun.labs.harmonics.network.layout import ComplexArray, IntArray

UNKNOWN = -1


def matched_move(first: ComplexArray, second: ComplexArray) -> IntArray:
    """The permutation p with the least sum of |second[g] - first[p(g)]|^2 (Hungarian method)."""
    return np.asarray(linear_sum_assignment(np.abs(second[:, None] - first[None]) ** 2)[1])


def table_by_matching(first: ComplexArray, second: ComplexArray) -> IntArray:
    """The Cayley table from pairs x, h.x: matched moves are its rows, those that are missing are products of others.

    Args:
        first, second: shape (B, n).

    Returns:
        Shape (n, n); rows that cannot be made of those that were seen are `UNKNOWN`.
    """
    n = first.shape[1]
    votes: dict[int, Counter[tuple[int, ...]]] = {}
    for one, other in zip(first, second, strict=True):
        move = matched_move(one, other)
        # The move of h takes place 0, the identity, to h: its row.
        votes.setdefault(int(move[0]), Counter())[tuple(move.tolist())] += 1
    table = np.full((n, n), UNKNOWN)
    table[0] = np.arange(n)
    for h, moves in votes.items():
        if h:
            table[h] = moves.most_common(1)[0][0]
    seen = [h for h in votes if h]
    reached = [0, *seen]
    for h in reached:
        for k in seen:
            product = table[h][table[k]]
            if table[product[0], 0] == UNKNOWN:
                table[product[0]] = product
                reached.append(int(product[0]))
    return table
