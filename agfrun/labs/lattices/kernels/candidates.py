"""Candidate moves of a walk: scored by the product rule, and described by even features.

The product rule is the log of the relative gain of the move, as the greedy rule has it, plus the log of the relative
drop of Seysen's measure, both clipped from below: moves that lose a little of either stay possible. All that is
computed here is even: permutations and changes of signs of the basis vectors permute moves and change signs of their
coefficients, and leave scores and features as they are.
"""

from __future__ import annotations

import numpy as np

from agfrun.labs.lattices.kernels.compiler import compiled
from agfrun.labs.lattices.kernels.state import FloatArray, IntArray

CLIP = 1e-4
"""Relative gains and drops below count as this."""
CHEAP, ALL = 18, 22
"""How many features there are: those made of numbers that the product rule computes anyway come first."""


@compiled
def scores_of(gram: FloatArray, dual: FloatArray, i: int, j: int, a: float, out: FloatArray) -> None:
    """Log gains of a move and its dual, and its relative gain and drop, means over sites.

    Args:
        gram, dual: Gram matrices and their inverses, (S, n, n).
        i, j, a: the move b_j += a b_i.
        out: (4,), takes log gain of b_j, log gain of the dual of b_i, relative gain, relative drop of Seysen's measure.
    """
    sites, n, _ = gram.shape
    out[:] = 0.0
    for s in range(sites):
        g, d = gram[s], dual[s]
        longer = g[j, j] + a * (2 * g[i, j] + a * g[i, i])
        dual_longer = d[i, i] - a * (2 * d[i, j] - a * d[j, j])
        total = 0.0
        for k in range(n):
            total += g[k, k] * d[k, k]
        out[0] += np.log(g[j, j] / longer)
        out[1] += np.log(d[i, i] / dual_longer)
        out[2] += 1 - longer / g[j, j]
        out[3] += ((g[j, j] - longer) * d[j, j] + g[i, i] * (d[i, i] - dual_longer)) / total
    out /= sites
    if sites > 1:
        out[2] = 1 - np.exp(-out[0])


@compiled
def best_candidates(gram: FloatArray, dual: FloatArray, last_i: int, last_j: int, rows: IntArray, table: FloatArray
                    ) -> tuple[int, float]:
    """The moves with the largest scores, best first.

    For every ordered pair: both integers around the best real coefficient, and Seysen's. The pair of the last move is
    left out.

    Args:
        gram, dual: (S, n, n).
        last_i, last_j: the last move's pair; -1: none.
        rows: (m, 2), takes i and j of the m best.
        table: (m, 6), takes the coefficient, the score and what `scores_of` gives.

    Returns:
        How many there are, and the largest relative gain of any move, the last pair's included.
    """
    sites, n, _ = gram.shape
    most, count, largest = rows.shape[0], 0, -np.inf
    options, found = np.empty(3), np.empty(4)
    total = 0.0
    for k in range(n):
        total += gram[0, k, k] * dual[0, k, k]
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            gij, gii, dij, djj = 0.0, 0.0, 0.0, 0.0
            for s in range(sites):
                gij += gram[s, i, j]
                gii += gram[s, i, i]
                dij += dual[s, i, j]
                djj += dual[s, j, j]
            best = -gij / gii
            sign = 1.0 if best >= 0 else -1.0
            low = np.floor(abs(best))
            options[0], options[1], options[2] = sign * low, sign * (low + 1), np.rint((dij / djj + best) / 2)
            for option in range(3):
                a = options[option]
                if a == 0 or (option == 2 and (a == options[0] or a == options[1])):
                    continue
                if sites == 1:
                    g, d = gram[0], dual[0]
                    longer = g[j, j] + a * (2 * g[i, j] + a * g[i, i])
                    dual_longer = d[i, i] - a * (2 * d[i, j] - a * d[j, j])
                    found[2] = 1 - longer / g[j, j]
                    found[3] = ((g[j, j] - longer) * d[j, j] + g[i, i] * (d[i, i] - dual_longer)) / total
                    found[0] = np.log(g[j, j] / longer * (d[i, i] / dual_longer))
                    found[1] = 0.0
                else:
                    scores_of(gram, dual, i, j, a, found)
                largest = max(largest, found[2])
                if i == last_i and j == last_j:
                    continue
                # A tenth of the log gains orders moves that are clipped in both.
                score = (np.log(max(found[2], CLIP) * max(found[3], CLIP))
                         + 0.1 * min(max(found[0] + found[1], -9.0), 9.0))
                if count == most and score <= table[count - 1, 1]:
                    continue
                place = count if count < most else most - 1
                while place > 0 and table[place - 1, 1] < score:
                    rows[place] = rows[place - 1]
                    table[place] = table[place - 1]
                    place -= 1
                rows[place, 0], rows[place, 1] = i, j
                table[place, 0], table[place, 1] = a, score
                table[place, 2:] = found
                count = min(count + 1, most)
    return count, largest


@compiled
def describe(gram: FloatArray, dual: FloatArray, i: int, j: int, a: float, scores: FloatArray, current: float,
             above_best: float, at_minimum: bool, gains: FloatArray, features: FloatArray) -> None:
    """Write the features of a move, means over sites; `CHEAP` or `ALL` of them, as many as the array has.

    Args:
        gram, dual, i, j, a: see `scores_of`.
        scores: what that gives.
        current: log defect.
        above_best: how far it is above the best that was visited.
        at_minimum: whether no pair has a gain.
        gains: (S, n + 1, n) from `pair_gains`, where all features are wanted.
        features: takes them.
    """
    sites, n, _ = gram.shape
    features[:] = 0.0
    for s in range(sites):
        g, d = gram[s], dual[s]
        longer = g[j, j] + a * (2 * g[i, j] + a * g[i, i])
        dual_longer = d[i, i] - a * (2 * d[i, j] - a * d[j, j])
        mean = 0.0
        for k in range(n):
            mean += np.log(g[k, k])
        mean /= n
        log_j, log_i, dual_j, dual_i = np.log(g[j, j]), np.log(g[i, i]), np.log(d[j, j]), np.log(d[i, i])
        features[5] += log_j - mean
        features[6] += log_i - mean
        features[7] += log_j + dual_j
        features[8] += log_i + dual_i
        features[9] += np.log(longer) + dual_j
        features[10] += log_i + np.log(dual_longer)
        sign = 1.0 if g[i, j] <= 0 else -1.0
        features[11] += min(max(a * sign - abs(g[i, j]) / g[i, i], -3.0), 3.0)
        features[13] += g[i, j] * g[i, j] / (g[i, i] * g[j, j])
        features[14] += (g[i, j] + a * g[i, i]) ** 2 / (longer * g[i, i])
        if features.shape[0] == ALL:
            _look_ahead(g, gains[s], i, j, a, longer, features)
    features /= sites
    features[0], features[1] = np.log(max(scores[2], CLIP)), np.log(max(scores[3], CLIP))
    features[2], features[3] = min(max(scores[0], -4.0), 4.0), min(max(scores[1], -4.0), 4.0)
    features[4] = np.sign(scores[3]) * np.log1p(100 * abs(scores[3])) / 3
    features[12] = np.log1p(abs(a))
    features[15], features[16], features[17] = current, min(max(above_best, 0.0), 3.0), 1.0 if at_minimum else 0.0
    if features.shape[0] == ALL:
        features[21] = features[20] + features[2]


@compiled
def _look_ahead(g: FloatArray, gains: FloatArray, i: int, j: int, a: float, longer: float, features: FloatArray
                ) -> None:
    """Add how skew row j is before and after the move, and the log of the best gain after it."""
    n = g.shape[0]
    before, after, best = 0.0, 0.0, 0.0
    for k in range(n):
        if k == j:
            continue
        inner = g[j, k] + a * g[i, k]
        before += g[j, k] * g[j, k] / (g[j, j] * g[k, k])
        after += inner * inner / (longer * g[k, k])
        b = np.rint(inner / g[k, k])
        best = max(best, (2 * b * inner - b * b * g[k, k]) / longer)
        b = np.rint(inner / longer)
        best = max(best, (2 * b * inner - b * b * longer) / g[k, k])
    best = min(max(best, gains[n, j]), 0.999)
    features[18] += before
    features[19] += after
    features[20] -= np.log1p(-best)


@compiled
def pair_gains(gram: FloatArray, gains: FloatArray) -> None:
    """Write relative gains of all pairs (S, n + 1, n); row n has the largest among pairs without each vector."""
    sites, n, _ = gram.shape
    for s in range(sites):
        g = gram[s]
        for i in range(n):
            for j in range(n):
                a = np.rint(g[i, j] / g[i, i]) if i != j else 0.0
                gains[s, i, j] = (2 * a * g[i, j] - a * a * g[i, i]) / g[j, j]
        for j in range(n):
            gains[s, n, j] = 0.0
            for p in range(n):
                for q in range(n):
                    if p != j and q != j:
                        gains[s, n, j] = max(gains[s, n, j], gains[s, p, q])
