"""Short vectors: enumeration of Schnorr and Euchner over the coefficients of a size-reduced basis."""

from __future__ import annotations

import numpy as np

from agfrun.labs.lattices.kernels.compiler import compiled
from agfrun.labs.lattices.kernels.state import FloatArray, IntArray


@compiled
def _start_at(mu: FloatArray, k: int, x: FloatArray, centre: FloatArray, step: FloatArray) -> None:
    """Coefficient k becomes the one that is nearest to the centre which those behind it leave."""
    total = 0.0
    for m in range(k + 1, mu.shape[0]):
        total -= x[m] * mu[m, k]
    centre[k] = total
    x[k] = np.rint(total)
    step[k] = 1.0 if total >= x[k] else -1.0


@compiled
def _go_on(k: int, last: int, x: FloatArray, step: FloatArray) -> int:
    """Coefficient k becomes the next nearest, the last nonzero one the next larger; returns the last one's place."""
    if k >= last:
        x[k] += 1.0
        return k
    x[k] += step[k]
    step[k] = -step[k] - (1.0 if step[k] > 0 else -1.0)
    return last


@compiled
def shortest_coefficients(mu: FloatArray, r: FloatArray, first: int, bound: float, coefficients: FloatArray) -> bool:
    """Whether the projected lattice of rows `first`, ... has a vector shorter than `bound` (squared).

    Args:
        mu, r: Gram-Schmidt coefficients (n, n) and squared lengths of projections on the diagonal of r.
        first: rows before it are projected away.
        bound: squared length to be undercut.
        coefficients: (n,), takes those of a shortest vector, 0 before `first`.
    """
    n = mu.shape[0]
    x, centre, step = np.zeros(n), np.zeros(n), np.zeros(n)
    partial = np.zeros(n + 1)
    found, k = False, first
    x[first] = 1.0
    # The last nonzero coefficient is positive: of a vector and its negative one is enough.
    last = first
    while True:
        y = x[k] - centre[k]
        length = partial[k + 1] + y * y * r[k, k]
        if length < bound:
            if k == first:
                bound, found = length, True
                coefficients[:] = 0
                coefficients[first:] = x[first:]
            else:
                partial[k] = length
                k -= 1
                _start_at(mu, k, x, centre, step)
                continue
        else:
            k += 1
            if k == n:
                return found
        last = _go_on(k, last, x, step)


@compiled
def short_vectors(mu: FloatArray, r: FloatArray, bound: float, vectors: IntArray, lengths: FloatArray) -> int:
    """All vectors of squared length at most `bound`, one of each pair of signs; returns how many were found.

    The search ends once there is one more than `vectors` takes.

    Args:
        mu, r: see `shortest_coefficients`.
        bound: squared length.
        vectors: (m, n), takes their coefficients.
        lengths: (m,), their squared lengths.
    """
    n = mu.shape[0]
    x, centre, step = np.zeros(n), np.zeros(n), np.zeros(n)
    partial = np.zeros(n + 1)
    count, k, last = 0, 0, 0
    x[0] = 1.0
    while True:
        y = x[k] - centre[k]
        length = partial[k + 1] + y * y * r[k, k]
        if length <= bound:
            if k == 0:
                if count < vectors.shape[0]:
                    for m in range(n):
                        vectors[count, m] = np.int64(x[m])
                    lengths[count] = length
                count += 1
                if count > vectors.shape[0]:
                    return count
            else:
                partial[k] = length
                k -= 1
                _start_at(mu, k, x, centre, step)
                continue
        else:
            k += 1
            if k == n:
                return count
        last = _go_on(k, last, x, step)
