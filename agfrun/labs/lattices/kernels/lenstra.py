"""LLL in floating point with exact transforms, and HKZ (block reduction with the largest block) by enumeration."""

from __future__ import annotations

import numpy as np

from agfrun.labs.lattices.kernels.compiler import compiled
from agfrun.labs.lattices.kernels.enumeration import shortest_coefficients
from agfrun.labs.lattices.kernels.state import FloatArray, IntArray, add_integer_row, add_row, gram_row, swap_rows

# Rows count as size-reduced up to this coefficient, as in fplll: .5 would never be reached in floating point.
ETA = 0.51


@compiled
def orthogonalize_row(basis: FloatArray, gram: FloatArray, mu: FloatArray, r: FloatArray, k: int) -> None:
    """Write row k of the Gram-Schmidt coefficients mu and r (r_kk the squared length of the projection)."""
    gram_row(basis, gram, k)
    for j in range(k + 1):
        total = gram[k, j]
        for m in range(j):
            total -= mu[j, m] * r[k, m]
        r[k, j] = total
        mu[k, j] = total / r[j, j] if j < k else 1.0


@compiled
def size_reduce(basis: FloatArray, transform: IntArray, gram: FloatArray, mu: FloatArray, r: FloatArray, k: int
                ) -> int:
    """Subtract multiples of earlier rows from row k until its coefficients are small; returns how many times."""
    taken = 0
    for _ in range(1000):
        orthogonalize_row(basis, gram, mu, r, k)
        largest = 0.0
        for j in range(k):
            largest = max(largest, abs(mu[k, j]))
        if largest <= ETA:
            break
        for j in range(k - 1, -1, -1):
            a = np.rint(mu[k, j])
            if a != 0:
                add_row(basis, k, j, -a)
                add_integer_row(transform, k, j, -a)
                for m in range(j + 1):
                    mu[k, m] -= a * mu[j, m]
                taken += 1
    return taken


@compiled
def lll_from(basis: FloatArray, transform: IntArray, delta: float, first: int, log_lengths: FloatArray) -> int:
    """LLL-reduce one basis in place from row `first` on, all before being reduced; returns additions and swaps.

    `log_lengths` (t,) takes the log of the product of the lengths after 0, 1, ... moves; t = 0: not wanted.
    """
    n = basis.shape[0]
    gram, mu, r = np.empty((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for k in range(first):
        orthogonalize_row(basis, gram, mu, r, k)
    k, moves = first, 0
    while k < n:
        taken = size_reduce(basis, transform, gram, mu, r, k)
        if log_lengths.shape[0] > 0 and taken > 0:
            total = 0.0
            for row in range(n):
                total += 0.5 * np.log(np.sum(basis[row] * basis[row]))
            if moves + taken < log_lengths.shape[0]:
                log_lengths[moves + taken:] = total
        moves += taken
        if k == 0 or delta * r[k - 1, k - 1] <= r[k, k] + mu[k, k - 1] ** 2 * r[k - 1, k - 1]:
            k += 1
            continue
        swap_rows(basis, k, k - 1)
        swap_rows(transform, k, k - 1)
        moves += 1
        k -= 1
        if k == 0:
            orthogonalize_row(basis, gram, mu, r, 0)
            k = 1
    return moves


@compiled
def lll_all(bases: FloatArray, transforms: IntArray, delta: float, moves: IntArray, trace: FloatArray) -> None:
    """LLL-reduce each basis; arguments are those of `descent.greedy_pairs`, and LLL's delta.

    The order of swaps is that of L^2 (Nguyen & Stehle 2005), as in fplll.
    """
    for place in range(bases.shape[0]):
        if trace.shape[1] > 0:
            trace[place, :] = 0.5 * np.log((bases[place] ** 2).sum(axis=1)).sum()
        moves[place] += lll_from(bases[place], transforms[place], delta, 0, trace[place])


@compiled
def insert_combination(basis: FloatArray, transform: IntArray, coefficients: FloatArray, first: int) -> int:
    """Make row `first` the combination of rows with these coprime coefficients, from `first` on; returns moves.

    Euclid's algorithm on the coefficients, each step a row addition that leaves the combination as it is.
    """
    n = basis.shape[0]
    x = coefficients.copy()
    moves = 0
    while True:
        p, q = -1, -1
        for k in range(first, n):
            if x[k] != 0 and (p < 0 or abs(x[k]) > abs(x[p])):
                q, p = p, k
            elif x[k] != 0 and (q < 0 or abs(x[k]) > abs(x[q])):
                q = k
        if q < 0:
            break
        a = np.trunc(x[p] / x[q])
        x[p] -= a * x[q]
        add_row(basis, q, p, a)
        add_integer_row(transform, q, p, a)
        moves += 1
    for k in range(p, first, -1):
        swap_rows(basis, k, k - 1)
        swap_rows(transform, k, k - 1)
        moves += 1
    return moves


@compiled
def hkz_all(bases: FloatArray, transforms: IntArray, moves: IntArray) -> None:
    """Hermite-Korkine-Zolotarev reduction: every row is shortest in the lattice projected along those before it.

    What BKZ is with a block as large as the lattice. Arguments are those of `descent.greedy_pairs`.
    """
    count, n, _ = bases.shape
    gram, mu, r = np.empty((n, n)), np.zeros((n, n)), np.zeros((n, n))
    coefficients, nothing = np.zeros(n), np.empty(0)
    for place in range(count):
        basis, transform = bases[place], transforms[place]
        moves[place] += lll_from(basis, transform, 0.99, 0, nothing)
        first = 0
        while first < n - 1:
            for k in range(n):
                orthogonalize_row(basis, gram, mu, r, k)
            if shortest_coefficients(mu, r, first, (1 - 1e-9) * r[first, first], coefficients):
                moves[place] += insert_combination(basis, transform, coefficients, first)
                for k in range(first, n):
                    moves[place] += size_reduce(basis, transform, gram, mu, r, k)
                moves[place] += lll_from(basis, transform, 0.99, 0, nothing)
                first = 0 if first == 0 else first - 1
            else:
                first += 1
