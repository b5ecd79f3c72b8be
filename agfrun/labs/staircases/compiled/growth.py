"""Growth made straight: a clock and a scaling of each step, fixed at its start.

Within a step, with s = 0 at its start,

    t(s) = t_0 + (1 - exp(-kappa s)) / kappa    ("warp": straightens the approach to a blow-up at t_0 + 1 / kappa,
                                                which a step cannot cross),
    theta_i = exp(lambda_i s) eta_i             ("gauge": straightens the growth of the norm of neuron i).

    d eta_i / ds = exp(-(kappa + lambda_i) s) f_i(theta) - lambda_i eta_i

is integrated, whose Jacobian at s = 0 is J - diag(lambda), and whose derivative by s there is
-(kappa + lambda) f + J (lambda eta). No clock that is a function of the state does: neurons
that have settled would decide it, whose velocities are rounding and change sign within a step.
"""

from __future__ import annotations

import math
from typing import Any

from agfrun.labs.staircases.compiled.compiler import compiled
from agfrun.labs.staircases.compiled.kernels import relaxation
from agfrun.labs.staircases.dynamics.trajectory import FloatArray

# Rows of what is known of each neuron: the rate of its log norm now and a step ago, how fast it relaxes, and lambda.
RATE, PREVIOUS_RATE, RELAXATION, GAUGE = range(4)
ROWS = 4
# A neuron grows, and has not settled, where its log norm does at this share of the rate at which it relaxes.
GROWING = 0.1


@compiled
def look(kernel: Any, y: FloatArray, velocity: FloatArray, matrix: FloatArray, growth: FloatArray) -> None:
    """Write how fast neurons grow and relax, (4, K), where the Jacobian is `matrix`."""
    neurons = growth.shape[1]
    size = y.shape[0] // neurons
    for i in range(neurons):
        along, square = 0.0, 0.0
        for k in range(i * size, (i + 1) * size):
            along += y[k] * velocity[k]
            square += y[k] * y[k]
        growth[RATE, i] = along / square if square > 0 else 0.0
    relaxation(kernel, matrix, growth[RELAXATION])


@compiled
def choose(growth: FloatArray, lapse: float) -> float:
    """Write the gauge of the next step; its warp. Previous rates are those of `lapse` ago, none if that is negative."""
    largest = 0.0
    for i in range(growth.shape[1]):
        rate = growth[RATE, i]
        growth[GAUGE, i] = rate if is_growing(growth, i) else 0.0
        largest = max(largest, growth[GAUGE, i])
    if lapse <= 0 or largest == 0:
        return 0.0
    total, weights = 0.0, 0.0
    for i in range(growth.shape[1]):
        rate, before = growth[GAUGE, i], growth[PREVIOUS_RATE, i]
        if 0 < before < rate:
            weight = (rate / largest) ** 2
            # Exact for a rate 1 / (t* - t), however long the step was.
            total += weight * rate * (1 / before - 1 / rate) / lapse
            weights += weight
    return total / weights if weights > 0 else 0.0


@compiled
def is_growing(growth: FloatArray, neuron: int) -> bool:
    """Whether a neuron grows, and has not settled."""
    rate: float = growth[RATE, neuron]
    return rate > 0 and rate > GROWING * growth[RELAXATION, neuron]


@compiled
def worst(error: FloatArray, y: FloatArray, y_new: FloatArray, neurons: int) -> int:
    """The neuron with the largest relative error."""
    size = y.shape[0] // neurons
    place, largest = 0, -1.0
    for i in range(neurons):
        off, before, after = 0.0, 0.0, 0.0
        for k in range(i * size, (i + 1) * size):
            off += error[k] * error[k]
            before += y[k] * y[k]
            after += y_new[k] * y_new[k]
        share = off / max(before, after)
        if share > largest:
            place, largest = i, share
    return place


@compiled
def grow(y: FloatArray, growth: FloatArray | None, length: float) -> None:
    """Multiply neurons by exp(lambda s), in place."""
    if growth is not None:
        neurons = growth.shape[1]
        size = y.shape[0] // neurons
        for i in range(neurons):
            if growth[GAUGE, i] != 0:
                factor = math.exp(growth[GAUGE, i] * length)
                for k in range(i * size, (i + 1) * size):
                    y[k] *= factor


@compiled
def duration(length: float, warp: float) -> float:
    """t(s) - t_0."""
    return length if warp == 0 else -math.expm1(-warp * length) / warp


@compiled
def length(duration: float, warp: float) -> float:
    """The s of a duration; infinite from the blow-up on."""
    if warp == 0:
        return duration
    return -math.log1p(-warp * duration) / warp if warp * duration < 1 else math.inf
