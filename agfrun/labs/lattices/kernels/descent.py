"""Moves that are taken while they help: greedy pairs, Seysen's measure, pairs of rows added at once."""

from __future__ import annotations

import numpy as np

from agfrun.labs.lattices.kernels.compiler import compiled
from agfrun.labs.lattices.kernels.state import (
    FloatArray,
    IntArray,
    add_integer_row,
    add_row,
    gram_of,
    gram_row,
    half_log_diagonal,
)

# Smaller relative gains are rounding.
LEAST = 1e-9


@compiled
def greedy_pairs(bases: FloatArray, transforms: IntArray, temperature: float, generator: np.random.Generator,
                 moves: IntArray, trace: FloatArray) -> None:
    """Take the row addition with the largest relative gain until none has any.

    Args:
        bases: (N, n, n), rows are basis vectors; reduced in place.
        transforms: (N, n, n), the unimodular matrix so far; multiplied in place.
        temperature: above 0, moves are drawn with Gumbel noise of this size on the logarithm of the gain.
        generator: of that noise.
        moves: (N,), to which the number of moves is added.
        trace: (N, t), log of the product of the lengths after 0, 1, ... moves; t = 0: not wanted.
    """
    count, n, _ = bases.shape
    gram = np.empty((n, n))
    for place in range(count):
        basis = bases[place]
        gram_of(basis, gram)
        for step in range(100 * n * n):
            if step < trace.shape[1]:
                trace[place, step:] = half_log_diagonal(gram)
            best, bi, bj, ba = -np.inf, -1, -1, 0.0
            for i in range(n):
                for j in range(n):
                    if i == j:
                        continue
                    a = np.rint(gram[i, j] / gram[i, i])
                    gain = (2 * a * gram[i, j] - a * a * gram[i, i]) / gram[j, j]
                    if gain <= LEAST:
                        continue
                    score = gain
                    if temperature > 0:
                        score = np.log(gain) - temperature * np.log(-np.log(generator.random()))
                    if score > best:
                        best, bi, bj, ba = score, i, j, -a
            if bi < 0:
                break
            add_row(basis, bj, bi, ba)
            add_integer_row(transforms[place], bj, bi, ba)
            gram_row(basis, gram, bj)
            moves[place] += 1


@compiled
def seysen_pairs(bases: FloatArray, transforms: IntArray, moves: IntArray, trace: FloatArray) -> None:
    """Seysen's reduction: the row addition that lowers sum |b_i|^2 |b_i^*|^2 the most, until none does.

    M. Seysen, "Simultaneous reduction of a lattice basis and its reciprocal basis", Combinatorica 13 (1993). Arguments
    are those of `greedy_pairs`.
    """
    count, n, _ = bases.shape
    g, d = np.empty((n, n)), np.empty((n, n))
    for place in range(count):
        basis = bases[place]
        dual = np.ascontiguousarray(np.linalg.inv(basis).T)
        gram_of(basis, g)
        gram_of(dual, d)
        for step in range(100 * n * n):
            if step < trace.shape[1]:
                trace[place, step:] = half_log_diagonal(g)
            best, bi, bj, ba = LEAST, -1, -1, 0.0
            for i in range(n):
                for j in range(n):
                    if i == j:
                        continue
                    a = np.rint((d[i, j] / d[j, j] - g[i, j] / g[i, i]) / 2)
                    if a == 0:
                        continue
                    longer = g[j, j] + 2 * a * g[i, j] + a * a * g[i, i]
                    dual_longer = d[i, i] - 2 * a * d[i, j] + a * a * d[j, j]
                    drop = g[j, j] * d[j, j] + g[i, i] * d[i, i] - longer * d[j, j] - g[i, i] * dual_longer
                    if drop > best:
                        best, bi, bj, ba = drop, i, j, a
            if bi < 0:
                break
            add_row(basis, bj, bi, ba)
            add_integer_row(transforms[place], bj, bi, ba)
            add_row(dual, bi, bj, -ba)
            gram_row(basis, g, bj)
            gram_row(dual, d, bi)
            moves[place] += 1


@compiled
def support_two(bases: FloatArray, transforms: IntArray, moves: IntArray) -> None:
    """Take b_j +- b_i or b_j +- b_i +- b_k with the largest relative gain until none has any.

    Arguments are those of `greedy_pairs`; a move that adds two rows counts as two.
    """
    count, n, _ = bases.shape
    gram = np.empty((n, n))
    for place in range(count):
        basis = bases[place]
        gram_of(basis, gram)
        for _ in range(100 * n * n):
            best, bj, bi, bk, sign_i, sign_k = LEAST, -1, -1, -1, 0.0, 0.0
            for j in range(n):
                for i in range(n):
                    if i == j:
                        continue
                    si = -1.0 if gram[i, j] > 0 else 1.0
                    own = gram[i, i] + 2 * si * gram[i, j]
                    if -own / gram[j, j] > best:
                        best, bj, bi, bk, sign_i, sign_k = -own / gram[j, j], j, i, -1, si, 0.0
                    for k in range(i):
                        if k == j:
                            continue
                        for signs in range(4):
                            si, sk = 1.0 - 2 * (signs & 1), 1.0 - (signs & 2)
                            change = (gram[i, i] + gram[k, k] + 2 * si * gram[i, j] + 2 * sk * gram[k, j]
                                      + 2 * si * sk * gram[i, k])
                            if -change / gram[j, j] > best:
                                best, bj, bi, bk, sign_i, sign_k = -change / gram[j, j], j, i, k, si, sk
            if bj < 0:
                break
            add_row(basis, bj, bi, sign_i)
            add_integer_row(transforms[place], bj, bi, sign_i)
            moves[place] += 1
            if bk >= 0:
                add_row(basis, bj, bk, sign_k)
                add_integer_row(transforms[place], bj, bk, sign_k)
                moves[place] += 1
            gram_row(basis, gram, bj)
