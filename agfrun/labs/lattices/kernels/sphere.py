"""Maximum-likelihood detection: the closest point of a finite grid, by depth-first search."""

from __future__ import annotations

import numpy as np

from agfrun.labs.lattices.kernels.compiler import compiled
from agfrun.labs.lattices.kernels.state import FloatArray, IntArray


@compiled
def closest_points(matrices: FloatArray, received: FloatArray, levels: int, found: IntArray) -> None:
    """Write the x in {0, ..., levels - 1}^n with the least |y - H x| (Schnorr-Euchner order, exact).

    Args:
        matrices: H (N, m, n).
        received: y (N, m).
        levels: of each entry.
        found: (N, n).
    """
    count, _, n = matrices.shape
    for place in range(count):
        q, r = np.linalg.qr(np.ascontiguousarray(matrices[place]))
        y = np.zeros(n)
        for k in range(n):
            y[k] = np.sum(q[:, k] * received[place])
        best, k = np.inf, n - 1
        x, tried = np.zeros(n, dtype=np.int64), np.zeros((n, levels), dtype=np.bool_)
        partial, centre = np.zeros(n + 1), np.zeros(n)
        centre[k] = y[k] / r[k, k]
        while k < n:
            option, least = -1, np.inf
            for level in range(levels):
                if not tried[k, level] and abs(level - centre[k]) < least:
                    option, least = level, abs(level - centre[k])
            distance = partial[k + 1] + (least * r[k, k]) ** 2 if option >= 0 else np.inf
            if distance >= best:
                tried[k] = False
                k += 1
                continue
            tried[k, option] = True
            x[k], partial[k] = option, distance
            if k == 0:
                best = distance
                found[place] = x
                continue
            k -= 1
            total = y[k]
            for m in range(k + 1, n):
                total -= r[k, m] * x[m]
            centre[k] = total / r[k, k]
