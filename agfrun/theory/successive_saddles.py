"""The successive-saddle algorithm for diagonal linear networks.

S. Pesme & N. Flammarion, "Saddle-to-saddle dynamics in diagonal linear networks" (NeurIPS 2023),
algorithm 1; the AGF paper's theorem 3.1 says that AGF is this algorithm in the limit of vanishing
initialization. Coordinate i carries a level s_i in [lower_i, upper_i] that moves at the speed of its
drive g_i = -dL/dbeta_i; on the upper (lower) end beta_i may be positive (negative), between them it is
zero, and beta minimizes the loss under these signs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Saddle:
    """One event of the sequence and the saddle it leads to.

    Attributes:
        time: when coordinate `coordinate` reached an end of its interval.
        coordinate: the coordinate that activates, with this `sign`.
        collapsed: coordinates that went back to zero.
        levels: s at the event, (d,).
        coefficients: beta afterwards, (d,).
        loss: 1/(2n) ||X beta - y||^2 afterwards.
    """

    time: float
    coordinate: int
    sign: int
    collapsed: tuple[int, ...]
    levels: FloatArray
    coefficients: FloatArray
    loss: float


def successive_saddles(
    inputs: FloatArray, targets: FloatArray, lower: FloatArray, upper: FloatArray,
    loss_tolerance: float = 1e-14, max_events: int = 1000, max_time: float = np.inf,
) -> list[Saddle]:
    """The sequence of saddles from beta = 0, s = 0.

    With lower = -1 and upper = 1, time is t / log(1/scale), the vanishing limit; with the finite-scale
    ends of each neuron (`hyperbola_ends`), it is gradient-flow time.

    Args:
        inputs: X, (n, d).
        targets: y, (n,).
        lower, upper: ends of the intervals, (d,).
        loss_tolerance: stop once the loss is below this fraction of its initial value.
    """
    samples, dimension = inputs.shape
    levels, coefficients = np.zeros(dimension), np.zeros(dimension)
    time, saddles = 0.0, list[Saddle]()
    initial_loss = loss = 0.5 * float(np.mean(targets**2))
    while loss > loss_tolerance * initial_loss and len(saddles) < max_events:
        drives = inputs.T @ (targets - inputs @ coefficients) / samples
        drives[coefficients != 0] = 0.0  # stationary by construction; drop the rounding
        wait = _waits(levels, drives, lower, upper)
        coordinate = int(np.argmin(wait))
        if not np.isfinite(wait[coordinate]) or time + wait[coordinate] > max_time:
            break
        time += float(wait[coordinate])
        levels = levels + wait[coordinate] * drives
        sign = 1 if drives[coordinate] > 0 else -1
        levels[coordinate] = upper[coordinate] if sign > 0 else lower[coordinate]
        # One at a time: another coordinate that has reached its end as well comes next, after no wait.
        signs = np.sign(coefficients).astype(int)
        signs[coordinate] = sign
        before, coefficients = coefficients, signed_least_squares(inputs, targets, signs)
        collapsed = np.nonzero((before != 0) & (coefficients == 0))[0]
        loss = 0.5 * float(np.mean((targets - inputs @ coefficients) ** 2))
        saddles.append(Saddle(time, coordinate, sign, tuple(int(i) for i in collapsed), levels.copy(),
                              coefficients.copy(), loss))
    return saddles


def _waits(levels: FloatArray, drives: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Time until each coordinate reaches the end that it is driven to; infinite where it is not."""
    # A drive of rounding size would otherwise fire, after an absurd time, a coordinate at rest.
    moving = np.abs(drives) > 1e-13 * max(float(np.abs(drives).max()), 1e-300)
    distance = np.where(drives > 0, upper - levels, levels - lower)
    waits = np.full_like(levels, np.inf)
    np.divide(distance, np.abs(drives), out=waits, where=moving)
    return np.maximum(waits, 0.0)


def signed_least_squares(inputs: FloatArray, targets: FloatArray, signs: npt.NDArray[np.int_]) -> FloatArray:
    """Minimizer of ||X beta - y|| with beta_i >= 0, <= 0 or = 0 for sign 1, -1 or 0, shape (d,)."""
    free = np.nonzero(signs)[0]
    coefficients = np.zeros(inputs.shape[1])
    if len(free) == 0:
        return coefficients
    design = inputs[:, free] * signs[free]
    positive = nnls(design, targets)[0] > 0
    kept = free[positive]
    # The active set is NNLS's; solving on it once more removes the last digits of NNLS's error.
    coefficients[kept] = np.linalg.lstsq(inputs[:, kept], targets, rcond=None)[0]
    return coefficients


def hyperbola_ends(sums: FloatArray, differences: FloatArray, threshold: float) -> tuple[FloatArray, FloatArray]:
    """Ends (lower, upper) of q at which a neuron's norm reaches the threshold.

    A neuron moves as u + v = sums * e^q, u - v = differences * e^-q, so that its squared norm is
    (sums^2 e^(2q) + differences^2 e^(-2q)) / 2. For u = sqrt(2) alpha, v = 0 and threshold 1 this is
    |2q| = arccosh(1 / (2 alpha^2)). An end is infinite if the neuron can never get there.
    """
    with np.errstate(divide="ignore"):
        log_sum, log_difference = np.log(np.abs(sums)), np.log(np.abs(differences))
    square = threshold**2
    # 1 + sqrt(1 - (sum * difference / square)^2): two for a small initialization.
    inner = np.exp(np.minimum(2 * (log_sum + log_difference) - 2 * np.log(square), 0.0))
    shape = 0.5 * np.log(square * (1 + np.sqrt(1 - inner)))
    return log_difference - shape, shape - log_sum
