"""Rodas5P and its step control, as in `dynamics.rosenbrock` and `dynamics.integrate`, in compiled code.

`advance` takes some steps at a time and hands back what a record shows of them, so that recording, progress,
checkpoints and interruption stay what they are at a fraction of the calls.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from agfrun.labs.staircases.compiled import growth as straight
from agfrun.labs.staircases.compiled.compiler import compiled
from agfrun.labs.staircases.compiled.growth import GAUGE, PREVIOUS_RATE, RATE
from agfrun.labs.staircases.compiled.kernels import (
    factorize,
    jacobian,
    loss_and_velocity,
    matrix_shape,
    outworn,
    product,
    relative_error,
    shift,
    solve,
)
from agfrun.labs.staircases.dynamics.global_error import DROP
from agfrun.labs.staircases.dynamics.integrate import StepController
from agfrun.labs.staircases.dynamics.rosenbrock import COUPLING, DENSE, GAMMA, RESULT, STAGE, Rosenbrock
from agfrun.labs.staircases.dynamics.sampling import FINEST_SAMPLING, LOG_CHANGE, LOSS_SHARE, SMALLEST_SHARE
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, IntArray

# Places of what is carried from step to step, in `numbers` and in `counts`.
TIME, STEP, PREVIOUS_STEP, PREVIOUS_RATIO, LOSS, INITIAL_LOSS, TIME_ERROR, WARP, LAPSE = range(9)
NUMBERS = 9
ACCEPTED, REJECTED, GRADIENTS, JACOBIANS, FACTORIZATIONS, HAS_FAILED, HAS_ERROR, HAS_MOVED, HAS_SETTLED = range(9)
COUNTS = 9
# How a call ends.
GOING, AT_END, AT_GOAL, AT_REST, OUTWORN, STALLED, NOT_FINITE = range(7)

STAGES = 8


def _square(rows: tuple[tuple[float, ...], ...], factor: float = 1.0) -> FloatArray:
    table = np.zeros((STAGES, STAGES))
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return factor * table


_STAGE, _COUPLING = _square(STAGE), _square(COUPLING, GAMMA)
_RESULT, _DENSE = np.array(RESULT), np.array(DENSE)
_ORDER, _CARRIED = Rosenbrock.order, (1 - 2 * GAMMA) / GAMMA
_SAFETY, _GROWTH, _SHRINKING = StepController.safety, StepController.largest_growth, StepController.smallest_factor


@compiled
def advance(
    kernel: Any, y: FloatArray, velocity: FloatArray, error: FloatArray, growth: FloatArray | None, numbers: FloatArray,
    counts: IntArray, end: float, tolerance: float, goal: float, estimates: bool, most_steps: int,
    increments: FloatArray, times: FloatArray, losses: FloatArray, states: FloatArray,
) -> tuple[int, int]:
    """Take up to `most_steps` steps, and fewer where the record is full, the end or the goal is reached.

    Args:
        y, velocity: coordinates and dy/dt (n,), changed in place.
        error: estimate of the error accumulated so far (n,), changed in place.
        growth: what is known of each neuron's growth, (4, K); None: it stays as it is.
        numbers, counts: what else is carried from step to step, at the places above.
        end: time at which to stop, which may be infinite.
        tolerance: relative error of each neuron allowed in a step.
        goal: loss at which to stop.
        estimates: follow the global error.
        increments: of the stages of the last step, (8, n).
        times, losses, states: the record, (R,), (R,) and (R, n): ends of steps and points within; R = 0: none.

    Returns:
        How it ended, and how many rows of the record are filled.
    """
    rows = y.shape[0]
    matrix, factor = np.empty(matrix_shape(kernel, y)), np.empty(matrix_shape(kernel, y))
    pivots = np.empty(rows, np.int64)
    y_new, scaled, dense = np.empty(rows), np.empty(rows), np.empty((3, rows))
    filled, records = 0, times.shape[0] > 0
    for _ in range(most_steps):
        if records and filled + FINEST_SAMPLING > times.shape[0]:
            return GOING, filled
        time = numbers[TIME]
        if not time < end:
            return AT_END, filled
        if not math.isfinite(min(numbers[STEP], end - time)):  # at rest the step grows without end
            return AT_REST, filled
        if counts[HAS_MOVED] and outworn(kernel, y):
            return OUTWORN, filled
        step = _accepted_step(kernel, y, velocity, growth, numbers, counts, end, tolerance, matrix, factor, pivots,
                              increments, scaled)
        if step <= 0:
            return STALLED, filled
        warp = numbers[WARP]
        lapse = straight.duration(step, warp)
        # The end itself, which time + lapse may miss by rounding.
        reached = end if step == straight.length(end - time, warp) else time + lapse
        for k in range(rows):
            y_new[k] = scaled[k]
        straight.grow(y_new, growth, step)
        loss_before = numbers[LOSS]
        loss = loss_and_velocity(kernel, y_new, velocity)
        counts[GRADIENTS] += 1
        if not math.isfinite(loss):
            numbers[TIME] = reached
            return NOT_FINITE, filled
        if not math.isfinite(reached):  # and time with it
            return AT_REST, filled
        if estimates:
            _carry_error(kernel, factor, pivots, increments[STAGES - 1], error, counts)
            straight.grow(error, growth, step)
            _look_at_error(error, velocity, reached, (loss_before - loss) / lapse, numbers)
        if records:
            filled = _record(kernel, time, reached, step, warp, growth, y, scaled, y_new, increments, dense,
                             loss_before, loss, numbers[INITIAL_LOSS], times, losses, states, filled)
        for k in range(rows):
            y[k] = y_new[k]
        numbers[LAPSE] = lapse
        if growth is not None:
            growth[PREVIOUS_RATE] = growth[RATE]
        numbers[TIME], numbers[LOSS] = reached, loss
        counts[HAS_MOVED] = 1
        if loss <= goal:
            return AT_GOAL, filled
    return (GOING if numbers[TIME] < end else AT_END), filled


@compiled
def _accepted_step(
    kernel: Any, y: FloatArray, velocity: FloatArray, growth: FloatArray | None, numbers: FloatArray, counts: IntArray,
    end: float, tolerance: float, matrix: FloatArray, factor: FloatArray, pivots: IntArray, increments: FloatArray,
    scaled: FloatArray,
) -> float:
    """The length of the first step that is good enough; 0 if none is short enough.

    Its result over the gauge is in `scaled`. Lengths are those of the clock of the step, which starts as fast as time.
    """
    jacobian(kernel, y, matrix)
    counts[JACOBIANS] += 1
    slope, start = _straightened(kernel, y, velocity, growth, matrix, numbers, counts)
    time, warp = numbers[TIME], numbers[WARP]
    longest = straight.length(end - time, warp)
    while True:
        step = float(min(numbers[STEP], longest))
        counts[FACTORIZATIONS] += 1
        error = math.inf
        if factorize(kernel, matrix, step * GAMMA, factor, pivots):
            _attempt(kernel, y, start, slope, growth, warp, step, factor, pivots, increments, scaled, counts)
            error = relative_error(kernel, increments[STAGES - 1], y, scaled)
        following = _next_step(step, error, tolerance, numbers, counts)
        numbers[STEP] = following
        if error <= tolerance:
            counts[ACCEPTED] += 1
            if growth is not None:
                neuron = straight.worst(increments[STAGES - 1], y, scaled, growth.shape[1])
                counts[HAS_SETTLED] = not straight.is_growing(growth, neuron)
                # The clock of the next step starts as fast as time again.
                pace = math.exp(-warp * step)
                numbers[STEP] *= pace
                numbers[PREVIOUS_STEP] *= pace
            return step
        counts[REJECTED] += 1
        # Time would not move any more. At time 0 only a step that has underflowed is too short.
        if time + following <= time + 1e-15 * abs(time) and following < 1e-300 + 1e-15 * abs(time):
            return 0.0


@compiled
def _straightened(
    kernel: Any, y: FloatArray, velocity: FloatArray, growth: FloatArray | None, matrix: FloatArray,
    numbers: FloatArray, counts: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Choose clock and gauge of the next step, if a neuron that grows limited the last; the matrix becomes that of it.

    Returns:
        The velocity's derivative by the clock, (n,), (0,) if neither is changed; and the velocity in the gauge, (n,).
    """
    numbers[WARP] = 0.0
    if growth is not None:
        neurons, rows = growth.shape[1], y.shape[0]
        straight.look(kernel, y, velocity, matrix, growth)
        growth[GAUGE] = 0.0
        if not counts[HAS_SETTLED]:
            numbers[WARP] = straight.choose(growth, numbers[LAPSE])
            start, slope, drift = np.empty(rows), np.empty(rows), np.empty(rows)
            for k in range(rows):
                drift[k] = growth[GAUGE, k * neurons // rows] * y[k]
                start[k] = velocity[k] - drift[k]
            product(kernel, matrix, drift, slope)
            for k in range(rows):
                slope[k] -= (numbers[WARP] + growth[GAUGE, k * neurons // rows]) * velocity[k]
            shift(kernel, matrix, growth[GAUGE])
            return slope, start
    return np.empty(0), velocity


@compiled
def _attempt(
    kernel: Any, y: FloatArray, start: FloatArray, slope: FloatArray, growth: FloatArray | None, warp: float,
    step: float, factor: FloatArray, pivots: IntArray, increments: FloatArray, scaled: FloatArray, counts: IntArray,
) -> None:
    """Eight stages: where a step leads is in `scaled`, its error is the last increment."""
    rows, scale = y.shape[0], step * GAMMA
    straightens = slope.shape[0] > 0
    velocity, clock = np.empty(rows), np.empty(STAGES)
    for i in range(STAGES):
        # Increments of the clock itself, whose velocity is 1.
        clock[i] = scale
        for j in range(i):
            clock[i] += _COUPLING[i, j] * clock[j]
        if i == 0:
            for k in range(rows):
                increments[0, k] = start[k] * scale
        else:
            passed = 0.0
            for k in range(rows):
                scaled[k] = y[k]
            for j in range(i):
                weight = _STAGE[i, j]
                passed += weight * clock[j]
                for k in range(rows):
                    scaled[k] += weight * increments[j, k]
            if straightens:
                _gauged_velocity(kernel, scaled, growth, warp, passed, velocity)
            else:
                loss_and_velocity(kernel, scaled, velocity)
            for k in range(rows):
                increments[i, k] = velocity[k] * scale
        for j in range(i):
            weight = _COUPLING[i, j]
            for k in range(rows):
                increments[i, k] += weight * increments[j, k]
        if straightens:
            for k in range(rows):
                increments[i, k] += scale * clock[i] * slope[k]
        solve(kernel, factor, pivots, increments[i])
    counts[GRADIENTS] += STAGES - 1
    for k in range(rows):
        scaled[k] = y[k]
    for j in range(STAGES):
        for k in range(rows):
            scaled[k] += _RESULT[j] * increments[j, k]


@compiled
def _gauged_velocity(
    kernel: Any, scaled: FloatArray, growth: FloatArray | None, warp: float, passed: float, velocity: FloatArray,
) -> None:
    """Write d eta / ds at the clock's s = `passed`; see `growth`."""
    if growth is not None:
        neurons, rows = growth.shape[1], scaled.shape[0]
        y, size = scaled.copy(), rows // neurons
        straight.grow(y, growth, passed)
        loss_and_velocity(kernel, y, velocity)
        for i in range(neurons):
            rate = growth[GAUGE, i]
            factor = math.exp(-(warp + rate) * passed)
            for k in range(i * size, (i + 1) * size):
                velocity[k] = factor * velocity[k] - rate * scaled[k]


@compiled
def _next_step(step: float, error: float, tolerance: float, numbers: FloatArray, counts: IntArray) -> float:
    """See `StepController.next_step`."""
    if not math.isfinite(error):
        counts[HAS_FAILED] = 1
        return 0.1 * step
    ratio = max(error / tolerance, 1e-10)
    factor: float = _SAFETY * ratio ** (-1 / _ORDER)
    if ratio > 1:
        counts[HAS_FAILED] = 1
        return step * min(max(factor, _SHRINKING), 0.9)
    if numbers[PREVIOUS_STEP] > 0:
        trend = step / numbers[PREVIOUS_STEP] * (numbers[PREVIOUS_RATIO] / ratio) ** (1 / _ORDER)
        factor = min(factor, factor * trend)
    growth = 1.0 if counts[HAS_FAILED] else _GROWTH
    numbers[PREVIOUS_STEP], numbers[PREVIOUS_RATIO] = step, max(ratio, 1e-4)
    counts[HAS_FAILED] = 0
    return step * min(max(factor, _SHRINKING), growth)


@compiled
def _carry_error(
    kernel: Any, factor: FloatArray, pivots: IntArray, own: FloatArray, error: FloatArray, counts: IntArray,
) -> None:
    """See `GlobalError.advance`."""
    if not counts[HAS_ERROR]:
        for k in range(error.shape[0]):
            error[k] = own[k]
        counts[HAS_ERROR] = 1
        return
    solve(kernel, factor, pivots, error)
    once = error.copy()
    solve(kernel, factor, pivots, error)
    for k in range(error.shape[0]):
        error[k] = (1 + _CARRIED) * error[k] - _CARRIED * once[k] + own[k]


@compiled
def _look_at_error(error: FloatArray, velocity: FloatArray, time: float, loss_rate: float, numbers: FloatArray) -> None:
    """See `GlobalError.look`."""
    if loss_rate * time < DROP * numbers[INITIAL_LOSS]:
        return
    along, square = 0.0, 0.0
    for k in range(error.shape[0]):
        along += velocity[k] * error[k]
        square += velocity[k] * velocity[k]
    numbers[TIME_ERROR] = max(abs(along / square) / time, numbers[TIME_ERROR])


@compiled
def _record(
    kernel: Any, start: float, end: float, step: float, warp: float, growth: FloatArray | None, y: FloatArray,
    scaled: FloatArray, y_new: FloatArray, increments: FloatArray, dense: FloatArray, loss_before: float, loss: float,
    initial_loss: float, times: FloatArray, losses: FloatArray, states: FloatArray, filled: int,
) -> int:
    """Add a step's end to the record, and points inside as `sampling.pieces` asks for them."""
    count = _pieces(start, end, loss_before, loss, initial_loss)
    rows = y.shape[0]
    if count > 1:
        for i in range(3):
            for k in range(rows):
                dense[i, k] = 0.0
            for j in range(STAGES):
                for k in range(rows):
                    dense[i, k] += _DENSE[i, j] * increments[j, k]
    unused = np.empty(rows if count > 1 else 0)
    for piece in range(1, count):
        time = start + (end - start) * piece / count
        passed = straight.length(time - start, warp)
        fraction = passed / step
        rest = 1 - fraction
        for k in range(rows):
            bend = dense[0, k] + fraction * (dense[1, k] + fraction * dense[2, k])
            states[filled, k] = rest * y[k] + fraction * (scaled[k] + rest * bend)
        straight.grow(states[filled], growth, passed)
        times[filled], losses[filled] = time, loss_and_velocity(kernel, states[filled], unused)
        filled += 1
    times[filled], losses[filled] = end, loss
    for k in range(rows):
        states[filled, k] = y_new[k]
    return filled + 1


@compiled
def _pieces(start: float, end: float, loss_before: float, loss: float, initial_loss: float) -> int:
    """See `sampling.pieces`."""
    unit = initial_loss if initial_loss else 1.0
    tiny = SMALLEST_SHARE * unit
    decline = abs(math.log(max(loss_before, tiny) / max(loss, tiny)))
    lapse = math.log(end / start) if start > 0 else 0.0
    drop = abs(loss_before - loss) / unit
    wanted = max(drop / LOSS_SHARE, max(decline / LOG_CHANGE, max(lapse / LOG_CHANGE, 1.0)))
    return int(min(float(FINEST_SAMPLING), math.ceil(wanted)))
