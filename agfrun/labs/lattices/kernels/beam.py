"""Beam search over moves, without any learning: the defect and Seysen's measure order bases."""

from __future__ import annotations

import numpy as np

from agfrun.labs.lattices.kernels.candidates import best_candidates
from agfrun.labs.lattices.kernels.compiler import compiled
from agfrun.labs.lattices.kernels.state import (
    FloatArray,
    IntArray,
    add_integer_row,
    add_row,
    gram_of,
    half_log_diagonal,
)

# Bases whose measures differ by less are taken for the same.
_SAME = 1e-9


@compiled
def beam_all(bases: FloatArray, transforms: IntArray, width: int, children: int, steps: int, trace: FloatArray) -> None:
    """Keep the `width` bases with the least log defect + log Seysen measure, `children` moves of each tried.

    Args:
        bases: (N, n, n), left as they are.
        transforms: (N, n, n), multiplied in place by that of the best basis visited.
        width, children, steps: of the search.
        trace: (N, steps + 1) or (N, 0): log of the product of the lengths of the best so far.
    """
    count, n, _ = bases.shape
    gram, dual = np.empty((1, n, n)), np.empty((1, n, n))
    rows, table = np.empty((children, 2), dtype=np.int64), np.empty((children, 6))
    total = width * children
    keys, parents, moves = np.empty(total), np.empty(total, dtype=np.int64), np.empty((total, 3))
    for place in range(count):
        held, steps_to = np.empty((width, n, n)), np.empty((width, n, n), dtype=np.int64)
        new, new_steps = np.empty_like(held), np.empty_like(steps_to)
        held[0], steps_to[0] = bases[place], transforms[place]
        gram_of(held[0], gram[0])
        best, many = half_log_diagonal(gram[0]), 1
        if trace.shape[1] > 0:
            trace[place, 0] = best
        for step in range(steps):
            made = 0
            for w in range(many):
                gram_of(held[w], gram[0])
                gram_of(np.ascontiguousarray(np.linalg.inv(held[w]).T), dual[0])
                length, measure = half_log_diagonal(gram[0]), 0.0
                for k in range(n):
                    measure += gram[0, k, k] * dual[0, k, k]
                found, _ = best_candidates(gram, dual, -1, -1, rows, table)
                for m in range(found):
                    i, j, a = rows[m, 0], rows[m, 1], table[m, 0]
                    longer = gram[0, j, j] + a * (2 * gram[0, i, j] + a * gram[0, i, i])
                    # The table has the drop relative to the measure.
                    keys[made] = (length + 0.5 * np.log(longer / gram[0, j, j])
                                  + np.log(measure) + np.log1p(-table[m, 5]))
                    parents[made] = w
                    moves[made, 0], moves[made, 1], moves[made, 2] = i, j, a
                    made += 1
            order = np.argsort(keys[:made])
            kept, last = 0, -np.inf
            for index in order:
                if keys[index] - last < _SAME:
                    continue
                last = keys[index]
                new[kept], new_steps[kept] = held[parents[index]], steps_to[parents[index]]
                i, j, a = int(moves[index, 0]), int(moves[index, 1]), moves[index, 2]
                add_row(new[kept], j, i, a)
                add_integer_row(new_steps[kept], j, i, a)
                length = 0.0
                for k in range(n):
                    length += 0.5 * np.log(np.sum(new[kept, k] * new[kept, k]))
                if length < best - _SAME:
                    best = length
                    transforms[place] = new_steps[kept]
                kept += 1
                if kept == width:
                    break
            held, new = new, held
            steps_to, new_steps = new_steps, steps_to
            many = kept
            if trace.shape[1] > 0:
                trace[place, step + 1] = best
