"""When dormant neurons would blow up along each feature, if features never met.

At one irrep a neuron that sees the target alone is k + 1 matrices, with the flow

    du_j/dt = k!/n^k x_hat R_j L_j,   dw/dt = k!/n^k y_hat (u_k^* x_hat ... u_1^* x_hat)^*,
    L_j = y_hat^* w u_k^* x_hat ... u_(j+1)^* x_hat,   R_j = u_(j-1)^* x_hat ... u_1^* x_hat,

y_hat what is left of x_hat in the target. It is of degree k, so that its direction turns on a clock of its own,
ds = |theta|^(k-1) dt, on which the norm grows exponentially: time is the integral of |theta|^(1-k) over it, and what is
left once the direction stands still is known. For k = 2 and a cyclic group this is a three-wave system.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from agfrun.groups.irreps import ComplexArray
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.group_composition.data import GroupSequences, SpectralPart
from agfrun.labs.staircases.networks.group_composition.utility import maximal_utility

Turn = Callable[[ComplexArray], tuple[ComplexArray, FloatArray]]

# Of the clock on which an aligned neuron grows by e: the fourth-order step has an error of some 1e-6 there.
STEP = 0.1
MOST_STEPS = 1000
# Largest change of direction, over an e-fold, that counts as standing still, and part of the time that is left to go.
STILL = 1e-6


def first_blow_ups(data: GroupSequences, neurons: FloatArray) -> list[tuple[float, int]]:
    """When the first neuron would blow up along each feature, and which; infinite where none finds a way up.

    A feature counts as unlearned, larger singular values of its irrep as learned.

    Args:
        neurons: the initialization, (H, D).
    """
    parts = neurons.reshape(len(neurons), data.length + 1, data.order)
    coefficients = {part.irrep.number: np.einsum("hlg,gba->hlab", parts, part.irrep.matrices.conj())
                    for part in data.parts}
    return [_first(data, part, coefficients[part.irrep.number]) for part in data.parts]


def _first(data: GroupSequences, part: SpectralPart, start: ComplexArray) -> tuple[float, int]:
    """The first of neurons with coefficients (H, k + 1, d, d) at the irrep of one feature."""
    k, metric = data.length, part.irrep.weight / part.irrep.order
    same = [other for other in data.parts if other.irrep.number == part.irrep.number]
    inputs = _sum(same)
    # Time is in units of growth by e along the feature at norm 1.
    rate = (k + 1) * maximal_utility(data, part)
    scale = math.factorial(k) / part.irrep.order**k / rate

    def turn(directions: ComplexArray) -> tuple[ComplexArray, FloatArray]:
        """Velocity of unit directions, and the rate at which their norms grow."""
        gradient = scale * _gradient(directions, inputs, left)
        growth: FloatArray = metric * np.sum(directions.conj() * gradient, axis=(1, 2, 3)).real
        return gradient - growth[:, None, None, None] * directions, growth

    left = _sum([other for other in same if other.value <= part.value])
    norms = _norms(start, metric)
    racing = np.flatnonzero(norms > 0)
    directions, logs = start[racing] / norms[racing, None, None, None], np.log(norms[racing])
    times, best, winner = np.zeros(len(racing)), math.inf, 0
    for _ in range(MOST_STEPS):
        velocity, growth = turn(directions)
        ahead = np.exp((1 - k) * logs) / ((k - 1) * np.maximum(growth, 1e-300))
        over = (growth > 0) & ((_norms(velocity, metric) < STILL * growth) | (ahead < STILL * times))
        if over.any() and float((times + ahead)[over].min()) < best:
            first = int(np.where(over, times + ahead, np.inf).argmin())
            best, winner = float(times[first] + ahead[first]), int(racing[first])
        kept = ~over & (times < best)
        if not kept.any():
            break
        racing, directions, logs, times = racing[kept], directions[kept], logs[kept], times[kept]
        directions, logs, times = _step(turn, directions, logs, times, k)
        directions /= _norms(directions, metric)[:, None, None, None]
    return best / rate, winner


def _sum(parts: list[SpectralPart]) -> ComplexArray:
    """The coefficient (d, d) that features of one irrep make together."""
    total: ComplexArray = np.sum([part.value * part.left @ part.right.conj().T for part in parts], axis=0)
    return total


def _norms(coefficients: ComplexArray, metric: float) -> FloatArray:
    """Norms of the neurons that have these coefficients (H, k + 1, d, d)."""
    norms: FloatArray = np.sqrt(metric * np.sum(np.abs(coefficients) ** 2, axis=(1, 2, 3)))
    return norms


def _step(turn: Turn, directions: ComplexArray, logs: FloatArray, times: FloatArray, k: int
          ) -> tuple[ComplexArray, FloatArray, FloatArray]:
    """One step of the classical Runge-Kutta method."""
    slopes: list[tuple[ComplexArray, FloatArray, FloatArray]] = []
    for fraction in (0.0, 0.5, 0.5, 1.0):
        ahead = fraction * STEP
        at = (directions, logs) if not slopes else (directions + ahead * slopes[-1][0], logs + ahead * slopes[-1][1])
        velocity, growth = turn(at[0])
        slopes.append((velocity, growth, np.exp((1 - k) * at[1])))
    turned, grown, passed = (STEP / 6 * (one + 2 * two + 2 * three + four)
                             for one, two, three, four in zip(*slopes, strict=True))
    return directions + turned, logs + grown, times + passed


def _gradient(parts: ComplexArray, inputs: ComplexArray, left: ComplexArray) -> ComplexArray:
    """x_hat R_j L_j for each u_j, and that of w, of coefficients (H, k + 1, d, d)."""
    k = parts.shape[1] - 1
    answers = parts[:, :k].conj().swapaxes(-1, -2) @ inputs  # u_j^* x_hat
    behind: list[ComplexArray] = [np.broadcast_to(np.eye(parts.shape[-1]), parts[:, 0].shape)]  # R_j
    for place in range(k):
        behind.append(answers[:, place] @ behind[-1])
    gradients = [left @ behind[k].conj().swapaxes(-1, -2)]
    ahead = left.conj().T @ parts[:, k]  # L_j
    for place in range(k - 1, -1, -1):
        gradients.append(inputs @ behind[place] @ ahead)
        ahead = ahead @ answers[:, place]
    return np.stack(gradients[::-1], axis=1)
