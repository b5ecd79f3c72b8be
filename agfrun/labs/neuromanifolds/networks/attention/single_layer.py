"""What is known of one attention layer V X X^T A X, A = K^T Q: its fibres, its singular weights, its degree.

For two tokens or more, (A, V) is known from the function up to (c A, V / c), but for A = p q^T and V = u v^T, which
have the function of v q^T and u p^T as well (Henry, Marchetti & Kohn, arXiv:2408.17221, Theorem 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.derivatives import flat
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Field
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray, echelon
from agfrun.labs.neuromanifolds.counts import Invariants, Known
from agfrun.labs.neuromanifolds.degeneracy import LOW_RANK, ZERO, Degeneracy, minors
from agfrun.labs.neuromanifolds.fibre import Identifiability
from agfrun.labs.neuromanifolds.networks import segre_veronese
from agfrun.labs.neuromanifolds.networks.attention.heads import Sizes, key, query, value
from agfrun.labs.neuromanifolds.networks.attention.theory import HENRY
from agfrun.labs.neuromanifolds.stratum import Stratum, coordinate_tangent
from agfrun.labs.neuromanifolds.symmetry import Weights

Arrays = Mapping[str, AnyArray]
Exact = Mapping[str, FractionArray]

QUERY, KEY, VALUE = query(1), key(1), value(1)
# Weights of one function that are drawn of each kind for the union of their tangent spaces.
DRAWN = 6


def strata(sizes: Sizes) -> tuple[Stratum, ...]:
    """The singular weights of one layer; none of several, or with one token."""
    if sizes.depth > 1 or sizes.tokens == 1:
        return ()
    (size, outputs), rank = sizes.widths, sizes.ranks[0]
    found = []
    # Otherwise all weights are such.
    if min(rank, size) > 1 or min(size, outputs) > 1:
        found.append(Stratum(1, "rank_one", "keys and values of rank 1, so scores p q^T and values u v^T",
                             partial(_rank_one, sizes, False), partial(_rank_one_tangent, False),
                             partial(_rank_one_fibre, False), projected=partial(_made_rank_one, False)))
    if size > 1:
        found.append(Stratum(1, "boundary", "keys and values of rank 1, with scores v q^T and values u v^T",
                             partial(_rank_one, sizes, True), partial(_rank_one_tangent, True),
                             partial(_rank_one_fibre, True), projected=partial(_made_rank_one, True)))
    if 1 < rank < size:
        for kind, words, dead in (("low_rank", "last row of queries and of keys is 0", (QUERY, KEY)),
                                  ("low_rank_key", "last row of keys is 0", (KEY,)),
                                  ("low_rank_query", "last row of queries is 0", (QUERY,))):
            found.append(Stratum(1, kind, words, partial(_dead_point, sizes, dead),
                                 coordinate_tangent(_alive(sizes, dead)), partial(_dead_fibre, dead),
                                 strict=len(dead) == 2))
    return tuple(found)


# A point with Q generic, K = w p^T and V = u v^T has A = p q^T with q = Q^T w. For a >= d all A of rank 1 come so, and
# Q of full rank loses nothing: the Jacobian by Q and K has the rank of that by A. Scales that Q absorbs make the first
# entries of w, p, u, v equal to 1, so that all four are read off without division.


def _rank_one(sizes: Sizes, parallel: bool, field: Field, generator: np.random.Generator) -> dict[str, AnyArray]:
    size, outputs = sizes.widths
    w, p, u, v = (_with_leading_one(field, generator, n) for n in (sizes.ranks[0], size, outputs, size))
    return {QUERY: field.random(generator, (sizes.ranks[0], size)),
            KEY: _outer(field, w, v if parallel else p), VALUE: _outer(field, u, v)}


def _with_leading_one(field: Field, generator: np.random.Generator, length: int) -> AnyArray:
    return np.concatenate([field.array([1]), field.random(generator, (length - 1,))])


def _outer(field: Field, column: AnyArray, row: AnyArray) -> AnyArray:
    return field.reduced(column[:, None] * row)


def _rank_one_tangent(parallel: bool, weights: Arrays, field: Field) -> AnyArray:
    """Q is free, K moves as w p^T and V as u v^T; on the boundary p and v move together."""
    zero = {name: field.array(np.zeros(entries.shape, np.int64)) for name, entries in weights.items()}
    w, p, u, v = weights[KEY][:, 0], weights[KEY][0], weights[VALUE][:, 0], weights[VALUE][0]
    moves = [zero | {QUERY: _outer(field, row, column)} for row in _units(field, len(w)) for column in
             _units(field, len(p))]
    moves += [zero | {KEY: _outer(field, unit, p)} for unit in _units(field, len(w))]
    moves += [zero | {VALUE: _outer(field, unit, v)} for unit in _units(field, len(u))]
    for unit in _units(field, len(p)):
        turned_key, turned_value = {KEY: _outer(field, w, unit)}, {VALUE: _outer(field, u, unit)}
        moves += [zero | turned_key | turned_value] if parallel else [zero | turned_key, zero | turned_value]
    return np.stack([flat(move) for move in moves], axis=1)


def _units(field: Field, length: int) -> Iterator[AnyArray]:
    return iter(field.array(np.eye(length, dtype=np.int64)))


def _made_rank_one(parallel: bool, weights: dict[str, AnyArray]) -> dict[str, AnyArray]:
    """Keys and values moved onto matrices of rank 1, in floats; on the boundary keys follow the values."""
    v = np.linalg.svd(weights[VALUE])[2][0]
    p = v if parallel else np.linalg.svd(weights[KEY])[2][0]
    return weights | {KEY: np.outer(weights[KEY] @ p, p), VALUE: np.outer(weights[VALUE] @ v, v)}


def _rank_one_fibre(parallel: bool, weights: Arrays, field: Field, generator: np.random.Generator
                    ) -> Iterator[dict[str, AnyArray]]:
    """The second pair (v q^T, u p^T), and queries that change by what keys do not see."""
    w, p, u, v = weights[KEY][:, 0], weights[KEY][0], weights[VALUE][:, 0], weights[VALUE][0]
    pairs = [dict(weights)] if parallel else [
        dict(weights), dict(weights) | {KEY: _outer(field, w, v), VALUE: _outer(field, u, p)}]
    yield from pairs[1:]
    if 1 < len(w) < len(p):
        for _ in range(DRAWN):
            below = field.random(generator, (len(w) - 1, len(p)))
            first = field.reduced(-field.contract("i", "ij", "j", w[1:], below))
            moved = field.reduced(weights[QUERY] + np.concatenate([first[None], below]))
            yield from (pair | {QUERY: moved} for pair in pairs)


def _alive(sizes: Sizes, dead: tuple[str, ...]) -> dict[str, AnyArray]:
    flags = {name: np.ones(shape, dtype=bool) for name, shape in sizes.shapes().items()}
    for name in dead:
        flags[name][-1] = False
    return flags


def _dead_point(sizes: Sizes, dead: tuple[str, ...], field: Field, generator: np.random.Generator
                ) -> dict[str, AnyArray]:
    flags = _alive(sizes, dead)
    return {name: np.where(flags[name], field.random(generator, shape), field.array(0))
            for name, shape in sizes.shapes().items()}


def _dead_fibre(dead: tuple[str, ...], weights: Arrays, field: Field, generator: np.random.Generator
                ) -> Iterator[dict[str, AnyArray]]:
    """The last row of queries or of keys is free as long as the other's is 0."""
    for _ in range(DRAWN):
        for free, none in ((QUERY, KEY), (KEY, QUERY)):
            moved = {name: weights[name].copy() for name in (QUERY, KEY)}
            moved[free][-1] = field.random(generator, moved[free][-1].shape)
            moved[none][-1] = field.array(0)
            yield dict(weights) | moved


def identifiability(sizes: Sizes, weights: Exact) -> Identifiability | None:
    """Which other queries, keys and values have the same function, counted in orbits of the symmetries.

    Args:
        sizes: of the stack.
        weights: exact ones.

    Returns:
        None for a stack of several layers, unless its function is 0, and for one token.
    """
    for i in range(1, sizes.depth + 1):
        if not (weights[key(i)].T @ weights[query(i)]).any() or not weights[value(i)].any():
            return Identifiability("infinite", None, f"layer {i} has no scores or no values: the function is 0, "
                                   "whatever the other weights are", "f = 0")
    if sizes.depth > 1 or sizes.tokens == 1:
        return None
    scores, values = weights[KEY].T @ weights[QUERY], weights[VALUE]
    (size, _), rows, rank = sizes.widths, sizes.ranks[0], _rank(scores)
    if rank < min(rows, size) and (rows < size or rank < size - 1):
        return Identifiability("infinite", None, f"scores of rank {rank} below {min(rows, size)}: infinitely many "
                               "queries and keys have the product K^T Q", f"{HENRY}, Theorem 3.2")
    pairs, words = 1, "scores and values are determined up to (c A, V / c)"
    if rank == 1 and _rank(values) == 1:
        p, v = _first(scores.T), _first(values)
        if _rank(np.stack([p, v])) == 2:
            pairs, words = 2, "scores p q^T and values u v^T have the function of v q^T and u p^T"
        else:
            words = "scores v q^T and values u v^T are determined up to (c A, V / c), on the boundary of all functions"
    orbits = pairs * _factorizations(rank, rows, size)
    if orbits > pairs:
        words += "; singular scores K^T Q, of queries and keys of several ranks"
    verdict = "finite" if orbits == 1 else f"{orbits} orbits"
    return Identifiability(verdict, orbits, words, f"{HENRY}, Theorem 3.2")


def _factorizations(rank: int, rows: int, size: int) -> int:
    """Orbits of GL(a) on the pairs with a product K^T Q = A of a rank of at least d - 1, or of a if that is less.

    If A has rank d - 1 <= a - 1, Q may be of rank d, with K of rank d - 1 or, for a > d, d as well; or of rank d - 1,
    with K of either. Otherwise there is one orbit.
    """
    if rank == min(rows, size):
        return 1
    return 3 if rows == size else 4


def canonical(sizes: Sizes, weights: Exact) -> dict[str, FractionArray] | None:
    """The weights with the first nonzero score equal to 1 and queries in reduced row echelon form; one layer only.

    The scores' scale moves to the values, and rows that the scores do not need are 0. Weights with the same (A, V) up
    to (c A, V / c) have one canonical form.
    """
    if sizes.depth > 1:
        return None
    scores, values = weights[KEY].T @ weights[QUERY], weights[VALUE]
    if not scores.any():
        return {name: _zeros(*entries.shape) for name, entries in weights.items()}
    lead = next(entry for entry in scores.reshape(-1) if entry)
    scores = scores / lead
    reduced, pivots = echelon(scores)
    queries, keys = _zeros(*weights[QUERY].shape), _zeros(*weights[KEY].shape)
    # Columns of A at the pivots times its echelon form are A.
    queries[:len(pivots)], keys[:len(pivots)] = reduced[:len(pivots)], scores[:, pivots].T
    return {QUERY: queries, KEY: keys, VALUE: values * lead}


def _zeros(*shape: int) -> FractionArray:
    return np.full(shape, Fraction(0), dtype=object)


def _rank(matrix: FractionArray) -> int:
    return len(echelon(matrix)[1])


def _first(rows: FractionArray) -> FractionArray:
    """The first row that is not 0."""
    return next(row for row in rows if row.any())


def chart(sizes: Sizes) -> dict[str, AnyArray]:
    """See `NetworkConfig.chart`: K = (I | *), or I above 0 where the scores are free, and Q begins with 1."""
    (size, _), rows = sizes.widths, sizes.ranks[0]
    rank = min(size, rows)
    keys, queries = np.full((rows, size), None, dtype=object), np.full((rows, size), None, dtype=object)
    keys[:, :rank], keys[rank:], queries[rank:] = np.eye(rows, rank, dtype=int), 0, 0
    queries[0, 0] = 1
    return {QUERY: queries, KEY: keys}


def degeneracies(sizes: Sizes, weights: Weights) -> tuple[Degeneracy, ...]:
    """See `NetworkConfig.degeneracies`: values that vanish, and scores of a rank below a < d."""
    rank = sizes.ranks[0]
    low = [Degeneracy(LOW_RANK, minors(weights[QUERY], rank))] if 1 < rank < sizes.widths[0] else []
    return (Degeneracy(ZERO, weights[VALUE].reshape(-1)), *low)


def morse_sum(sizes: Sizes) -> int | None:
    """See `NetworkConfig.morse_sum`: the Euler characteristic of the projective space of free scores."""
    if sizes.tokens == 1 or sizes.ranks[0] < sizes.widths[0]:
        return None
    return sizes.widths[0] % 2


def invariants(sizes: Sizes) -> Invariants:
    """Degree and critical points of one layer with free scores, a >= d, or scores of rank one: of Segre varieties.

    The functions are A (x) V, or p (x) q (x) V, up to a linear projection that is generically injective and regular, so
    that they have its degree. That the numbers of critical points agree as well was checked by Groebner bases for
    widths 2-1 and 2-2.
    """
    size, outputs = sizes.widths[0], sizes.widths[-1]
    if sizes.depth > 1 or sizes.tokens == 1 or size == 1:
        return Invariants()
    if sizes.ranks[0] >= size:
        factors: tuple[int, ...] = (size**2, size * outputs)
    elif sizes.ranks[0] == 1 and outputs > 1:  # scores p q^T; with one output p and the values can be exchanged
        factors = (size, size, size * outputs)
    else:
        return Invariants()
    words = f"rank-one tensors of {' x '.join(map(str, factors))}"
    ones = (1,) * len(factors)
    return Invariants(
        Known(segre_veronese.degree(factors, ones), f"{HENRY}, Theorem 3.2: degree of {words}"),
        Known(segre_veronese.critical_points(factors, ones), f"generic Euclidean distance degree of {words}",
              proved=False))
