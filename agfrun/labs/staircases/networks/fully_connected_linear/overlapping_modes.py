"""Commuting modes that are learned at about the same time: integrated in the span of their hidden vectors.

With M_kl = a_k . w_l the residual is E = diag(sigma) - M diag(s), and a_k' = sum_l E_kl w_l, w_l' = sum_k E_kl a_k:
for n modes 2 n^2 numbers, over the time of their drops alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import RK45
from scipy.optimize import brentq

from agfrun.labs.staircases.dynamics.trajectory import FloatArray

# The modes are followed from this part of their sizes on.
EDGE = 3e-2
RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4
MOST_STEPS = 5000
# Horizon in units of the last mode's growth time.
LONGEST = 1e4


@dataclass(frozen=True)
class Passings:
    """When modes pass half of their sizes, (n,), NaN for one that did not, and calls of the right-hand side."""

    times: FloatArray
    evaluations: int


def passings_of_half(
    rates: FloatArray, sizes: FloatArray, vectors: FloatArray, log_factor: float
) -> Passings:
    """Integrate n modes together.

    Args:
        rates: sigma, (n,).
        sizes: m*, (n,).
        vectors: growing hidden vectors at time 0 over exp(log_factor), in an orthonormal basis of their span;
            columns, (n, n).
    """
    count, variances = len(rates), rates / sizes
    log_norms = np.log(np.linalg.norm(vectors, axis=0)) + log_factor
    start = max(float(np.min((0.5 * np.log(4 * EDGE * sizes) - log_norms) / rates)), 0.0)
    norms = np.exp(log_norms + rates * start)
    # A mode alone grows logistically: it is a little behind free growth already.
    grown = vectors / np.linalg.norm(vectors, axis=0) * norms / np.sqrt(1 + np.square(norms) / (4 * sizes))

    def velocity(_: float, state: FloatArray) -> FloatArray:
        outer, inner = state.reshape(2, count, count)
        residual = np.diag(rates) - (outer.T @ inner) * variances
        return np.concatenate([inner @ residual.T, outer @ residual]).ravel()

    solver = RK45(velocity, start, np.concatenate([grown, grown]).ravel() / 2, start + LONGEST / rates.min(),
                   rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE * np.sqrt(sizes.min()))
    times, before = np.full(count, np.nan), _excess(solver.y, sizes)
    for _ in range(MOST_STEPS):
        if not np.isnan(times).any() or solver.status != "running":
            break
        solver.step()
        after, piece = _excess(solver.y, sizes), solver.dense_output()
        for k in np.flatnonzero((before < 0) & (after >= 0) & np.isnan(times)).tolist():
            ends = [float(_excess(piece(time), sizes)[k]) for time in (solver.t_old, solver.t)]
            inside = ends[0] < 0 < ends[1]
            times[k] = brentq(lambda t, k=k, piece=piece: _excess(piece(t), sizes)[k], solver.t_old, solver.t) \
                if inside else solver.t
        before = after
    return Passings(times, int(solver.nfev))


def _excess(state: FloatArray, sizes: FloatArray) -> FloatArray:
    """Modes less half of their sizes, (n,)."""
    outer, inner = state.reshape(2, len(sizes), len(sizes))
    return np.asarray((outer * inner).sum(axis=0) - sizes / 2)
