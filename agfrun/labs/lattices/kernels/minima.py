"""Successive minima: no basis has shorter vectors, in order of length."""

from __future__ import annotations

import numpy as np

from agfrun.labs.lattices.kernels.compiler import compiled
from agfrun.labs.lattices.kernels.enumeration import short_vectors
from agfrun.labs.lattices.kernels.lenstra import orthogonalize_row
from agfrun.labs.lattices.kernels.state import FloatArray, IntArray

_SMALL = 1e-9


@compiled
def minima_all(bases: FloatArray, most: int, coefficients: IntArray, bounds: FloatArray) -> None:
    """Shortest independent vectors of each lattice.

    Args:
        bases: (N, n, n), reduced: lengths of their rows bound the search.
        most: vectors that are looked at for each lattice at most.
        coefficients: (N, n, n), takes the vectors' coefficients in the basis.
        bounds: (N,), takes the log of the product of the minima; nan where there are more vectors than `most`.
    """
    count, n, _ = bases.shape
    gram, mu, r = np.empty((n, n)), np.zeros((n, n)), np.zeros((n, n))
    vectors, lengths = np.empty((most, n), dtype=np.int64), np.empty(most)
    for place in range(count):
        for k in range(n):
            orthogonalize_row(bases[place], gram, mu, r, k)
        longest = 0.0
        for k in range(n):
            longest = max(longest, gram[k, k])
        found = short_vectors(mu, r, longest * (1 + _SMALL), vectors, lengths)
        bounds[place] = np.nan
        if found > most:
            continue
        order = np.argsort(lengths[:found])
        echelon, pivots = np.zeros((n, n)), np.zeros(n, dtype=np.int64)
        taken, total = 0, 0.0
        for index in order:
            row = np.empty(n)
            for k in range(n):
                row[k] = vectors[index, k]
            for m in range(taken):
                row -= row[pivots[m]] / echelon[m, pivots[m]] * echelon[m]
            pivot = np.argmax(np.abs(row))
            if abs(row[pivot]) < _SMALL:
                continue
            echelon[taken], pivots[taken] = row, pivot
            coefficients[place, taken] = vectors[index]
            total += 0.5 * np.log(lengths[index])
            taken += 1
            if taken == n:
                bounds[place] = total
                break
