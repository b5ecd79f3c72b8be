"""What a Cayley table is, whether an array is one, and what can be read from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def check_group(table: IntArray) -> None:
    """Check that a table is a group's, and that its element 0 is the identity.

    Args:
        table: shape (n, n), T[g, h] the place of gh.

    Raises:
        ValueError: it is not; the message completes "the table ..." and names the first entries that are wrong.
    """
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not len(table):
        raise ValueError(f"is of shape {'x'.join(map(str, table.shape))}, not square")
    n = len(table)
    everything = np.arange(n)
    if table.min() < 0 or table.max() >= n:
        raise ValueError(f"has entries outside 0 to {n - 1}")
    for words, lines in (("row", table), ("column", table.T)):
        wrong = np.flatnonzero((np.sort(lines, axis=1) != everything).any(axis=1))
        if len(wrong):
            raise ValueError(f"is no Latin square: {words} {wrong[0]} has an element twice")
    if not (np.array_equal(table[0], everything) and np.array_equal(table[:, 0], everything)):
        raise ValueError("has no identity at place 0")
    for a in range(n):
        # (a b) c against a (b c) for all b and c at once.
        wrong_pairs = np.argwhere(table[table[a]] != table[a][table])
        if len(wrong_pairs):
            b, c = wrong_pairs[0]
            raise ValueError(f"is not associative: ({a} {b}) {c} differs from {a} ({b} {c})")


def with_identity_first(table: IntArray) -> IntArray:
    """The table with its identity, if it has one, exchanged with element 0; otherwise the table as it is."""
    n = len(table)
    neutral = np.flatnonzero((table == np.arange(n)).all(axis=1))
    if not len(neutral) or neutral[0] == 0:
        return table
    order = np.arange(n)
    order[[0, neutral[0]]] = neutral[0], 0
    return relabelled(table, order)


def relabelled(table: IntArray, order: IntArray) -> IntArray:
    """The table of the same group whose element i is the old element order[i]."""
    return np.asarray(np.argsort(order)[table[np.ix_(order, order)]])


def inverses(table: IntArray) -> IntArray:
    """The place of the inverse of each element."""
    return np.asarray(np.argmax(table == 0, axis=1))


def element_orders(table: IntArray) -> IntArray:
    """The order of each element."""
    power, orders = np.arange(len(table)), np.ones(len(table), dtype=np.int64)
    while (power != 0).any():
        orders += power != 0
        power = np.where(power != 0, table[power, np.arange(len(table))], 0)
    return orders


def is_commutative(table: IntArray) -> bool:
    """Whether the group is."""
    return bool((table == table.T).all())
