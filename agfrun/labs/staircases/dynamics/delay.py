"""How much later than the flow gradient descent comes to a drop, estimated from the run itself.

Where the flow grows at a rate lambda, a step of heavy-ball gradient descent that is worth the time h multiplies by the
larger root r of r^2 - (1 + m + (1 - m) h lambda) r + m = 0. Its rate mu = log(r) / h is less than lambda, and

    lambda / mu = 1 + h mu (1 + m) / (2 (1 - m)) + O(h^2 mu^2):

of the time until a drop, that part is added. A network of homogeneity degree kappa speeds up as it grows, its speed at
the rate (kappa - 1) d log|theta|/dt, with which the formula is integrated along the path of a neuron that grows by
itself, |theta|^(2 - kappa) falling linearly. At the start the velocity is zero: that costs m / (1 - m) steps more.

Of all drops the one at the fastest growth has the largest relative delay; a neuron that shrank to
the origin while others grew as fast has further to come back, and is late by the same part (docs/agreement.md measures
both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray


def relative_delay(times: FloatArray, log_norms: FloatArray, ends: Sequence[float], degree: int, step: float,
                   momentum: float) -> float:
    """Largest delay among growing neurons, over the flow's time.

    Args:
        times: of the rows of a training by gradient descent, (T,).
        log_norms: logarithm of the norm of each neuron that becomes active, (T, N).
        ends: when each becomes active, N of them.
        degree: homogeneity degree kappa of the network.
        step: flow time that a step is worth.
        momentum: of the optimizer.

    Returns:
        0 where no neuron grows.
    """
    return max((_delay_of(times, log_norms[:, place], end, degree, step, momentum) for place, end in enumerate(ends)),
               default=0.0)


def _delay_of(times: FloatArray, log_norm: FloatArray, end: float, degree: int, step: float, momentum: float) -> float:
    # Growth by itself is seen while the norm goes from e^-2 to e^-1 of what it is at the activation, where others and
    # its own size hold it back; then |theta|^(2 - kappa), or log|theta| at degree 2, is linear in time.
    reached = float(np.interp(end, times, log_norm))
    late = _last_below(times, log_norm, end, reached - 1)
    early = _last_below(times, log_norm, late, reached - 2)
    if late <= early:
        return 0.0
    sizes = [float(np.interp(time, times, log_norm)) - reached for time in (early, late)]
    rate = (sizes[1] - sizes[0] if degree == 2 else
            (math.exp((2 - degree) * sizes[0]) - math.exp((2 - degree) * sizes[1])) / (degree - 2)) / (late - early)
    if rate <= 0:
        return 0.0
    lag = growth_delay(rate, end, degree, step, momentum) + step * momentum / (1 - momentum)
    return lag / (end - lag) if lag < end else math.inf


def growth_delay(rate: float, time: float, degree: int, step: float, momentum: float) -> float:
    """How much of the time until a neuron grows at a rate is delay, without that of the start.

    Args:
        rate: d log|theta| / dt at `time`, of gradient descent.
        time: since the start.
        degree, step, momentum: see `relative_delay`.
    """
    part = step * (1 + momentum) / (2 * (1 - momentum)) * (degree - 1)
    if degree == 2:
        return time * part * rate / (1 + part * rate)
    first = rate / (1 + (degree - 2) * rate * time)  # d rate / dt = (degree - 2) rate^2
    return part / (degree - 2) * math.log(rate / (1 + part * rate) * (1 + part * first) / first)


def _last_below(times: FloatArray, log_norm: FloatArray, end: float, level: float) -> float:
    """When the norm was last at a level before `end`; 0 where it was never below it."""
    rows = np.flatnonzero((times < end) & (log_norm < level))
    if not len(rows):
        return 0.0
    row = int(rows[-1])
    if row + 1 == len(times):
        return float(times[row])
    return float(np.interp(level, log_norm[row:row + 2], times[row:row + 2]))
