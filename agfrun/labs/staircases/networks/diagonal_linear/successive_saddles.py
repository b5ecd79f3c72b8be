"""The successive-saddle algorithm for diagonal linear networks.

S. Pesme & N. Flammarion, "Saddle-to-saddle dynamics in diagonal linear networks" (NeurIPS 2023),
algorithm 1; the AGF paper's theorem 3.1 says that AGF is this algorithm in the limit of vanishing
initialization. Coordinate i carries a level s_i in [lower_i, upper_i] that moves at the speed of its
drive g_i = -dL/dbeta_i; on the upper (lower) end beta_i may be positive (negative), between them it is
zero, and beta minimizes the loss under these signs. Depth and initialization enter through the ends
alone (`staircases.networks.diagonal_linear.curves`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# A drive below this part of the largest that its coordinate could have, ||x_i|| ||y|| / n, is rounding: it
# would otherwise fire, after an absurd time, a coordinate at rest.
RESOLUTION = 1e-13


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

    Coordinates activate one at a time; one that reaches its end at the same time as another comes next,
    after no wait. A collapsed coordinate stays at its end until its drive takes it away.

    Args:
        inputs: X, (n, d).
        targets: y, (n,).
        lower, upper: ends of the intervals, (d,), of either sign around 0. With -1 and 1, time is
            t / log(1/scale), the vanishing limit of depth 2; with those of `NeuronCurves.ends` it is
            gradient-flow time at a finite scale.
        loss_tolerance: stop once the loss is below this fraction of its initial value.
        max_events, max_time: stop there.
    """
    samples, dimension = inputs.shape
    levels, coefficients = np.zeros(dimension), np.zeros(dimension)
    time, saddles = 0.0, list[Saddle]()
    initial_loss = loss = 0.5 * float(np.mean(targets**2))
    resolution, idle = drive_resolution(inputs, targets), np.zeros(dimension, dtype=bool)
    while loss > loss_tolerance * initial_loss and len(saddles) < max_events:
        drives = inputs.T @ (targets - inputs @ coefficients) / samples
        # Active coordinates are at a minimum, where their drive is rounding.
        drives[(coefficients != 0) | (np.abs(drives) <= resolution) | idle] = 0.0
        wait = _waits(levels, drives, lower, upper)
        coordinate = int(np.argmin(wait))
        if not np.isfinite(wait[coordinate]) or time + wait[coordinate] > max_time:
            break
        time += float(wait[coordinate])
        # Rounding must not carry a level past its end.
        levels = np.clip(levels + wait[coordinate] * drives, np.minimum(lower, 0), np.maximum(upper, 0))
        sign = 1 if drives[coordinate] > 0 else -1
        levels[coordinate] = upper[coordinate] if sign > 0 else lower[coordinate]
        signs = np.sign(coefficients).astype(int)
        signs[coordinate] = sign
        before, coefficients = coefficients, signed_least_squares(inputs, targets, signs)
        idle = idle & (coefficients[coordinate] == 0)
        if coefficients[coordinate] == 0:  # its gain is below the solver's tolerance
            idle[coordinate], coefficients = True, before
            continue
        collapsed = np.nonzero((before != 0) & (coefficients == 0))[0]
        loss = 0.5 * float(np.mean((targets - inputs @ coefficients) ** 2))
        saddles.append(Saddle(time, coordinate, sign, tuple(int(i) for i in collapsed), levels.copy(),
                              coefficients.copy(), loss))
    return saddles


def drive_resolution(inputs: FloatArray, targets: FloatArray) -> FloatArray:
    """Size (d,) below which a drive is rounding."""
    sizes = np.linalg.norm(inputs, axis=0) * np.linalg.norm(targets) / len(targets)
    return np.asarray(RESOLUTION * sizes)


def _waits(levels: FloatArray, drives: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Time until each coordinate reaches the end that it is driven to; infinite where it is not."""
    distance = np.where(drives > 0, upper - levels, levels - lower)
    waits = np.full_like(levels, np.inf)
    np.divide(distance, np.abs(drives), out=waits, where=drives != 0)
    return np.maximum(waits, 0.0)


def signed_least_squares(inputs: FloatArray, targets: FloatArray, signs: npt.NDArray[np.int_]) -> FloatArray:
    """Minimizer of ||X beta - y|| with beta_i >= 0, <= 0 or = 0 for sign 1, -1 or 0, shape (d,).

    Where linearly dependent columns leave several minimizers, one of them.
    """
    from scipy.optimize import nnls

    coefficients = np.zeros(inputs.shape[1])
    sizes = np.linalg.norm(inputs, axis=0)
    free = np.nonzero((signs != 0) & (sizes > 0))[0]
    size = float(np.linalg.norm(targets))
    if len(free) == 0 or size == 0:
        return coefficients
    # Columns of one length: the solver's tolerance is absolute.
    design = inputs[:, free] * (signs[free] / sizes[free])
    solution = nnls(design, targets / size, maxiter=30 * len(free))[0]
    kept = solution > 0
    # The active set is NNLS's; solving on it once more removes the last digits of NNLS's error.
    polished = np.linalg.lstsq(design[:, kept], targets / size, rcond=None)[0]
    if np.all(polished > 0):
        solution[kept] = polished
    coefficients[free] = solution * size * signs[free] / sizes[free]
    return coefficients
