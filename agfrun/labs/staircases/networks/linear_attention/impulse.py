"""What a newcomer does to the other heads on the way to its mode, besides taking it.

At its step a newcomer on mode i still has components of the other modes. Until they have relaxed they make residuals
off the diagonal, W_ij and W_ji; what the others feel is their integral J, as short as it lasts.
"""

from __future__ import annotations

import math

import numpy as np

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.linear_attention.dormant_head import DormantHead, velocity
from agfrun.labs.staircases.networks.linear_attention.restless_head import Modes

KICK_STEPS = 4


def newcomers_impulse(modes: Modes, head: DormantHead, mode: int, drives: FloatArray) -> FloatArray:
    """J (D, D) of a newcomer from its step on; zero on modes to which it turns in the end.

    With (v, k_i, q_i) = +-s at rest, x = (k_j, q_j) obeys x' = -R x for an unlearned mode j, so that X = R^-1 x is its
    integral. For a learned j the residual is relaxed by the newcomer and the head that holds j together:
    M_ij' = (s_i^4 + s_j^4) W_ij.

    Args:
        head: the newcomer at its step.
        mode: i.
        drives: g on the modes that are unlearned then, (D,).
    """
    size = float(modes.optimum[mode]) ** (1 / 3)
    direction = head.keys[:, mode] / np.linalg.norm(head.keys[:, mode])
    v, k = math.copysign(size, head.value), size
    q = math.copysign(size, float(direction @ head.queries[:, mode]))
    impulse = np.zeros_like(modes.weights)
    for j in range(len(modes.optimum)):
        if j == mode:
            continue
        # Rows orthogonal to that on the mode make no residual of first order.
        x = head.scale * np.array([direction @ head.keys[:, j], direction @ head.queries[:, j]])
        by_key, by_query = modes.weights[j, mode], modes.weights[mode, j]
        if drives[j] == 0:
            both = size**4 + modes.optimum[j] ** (4 / 3)
            impulse[mode, j], impulse[j, mode] = -v * k * x[1] / both, -v * q * x[0] / both
        elif modes.energies[mode] > modes.energies[j]:  # otherwise R is not positive definite
            relaxation = np.array([[size**4 * by_key, -v * drives[j]], [-v * drives[j], size**4 * by_query]])
            integral = np.linalg.solve(relaxation, x)
            impulse[mode, j] = -by_query * v * k * integral[1]
            impulse[j, mode] = -by_key * v * q * integral[0]
    return impulse


def kicked(head: DormantHead, impulse: FloatArray) -> DormantHead:
    """A head after the flow of the utility <v K^T Q, impulse> for unit time, by a few steps of Runge and Kutta."""
    rank, state, step = len(head.keys), head.parameters, 1 / KICK_STEPS
    for _ in range(KICK_STEPS):
        first = velocity(state, rank, impulse)
        second = velocity(state + 0.5 * step * first, rank, impulse)
        third = velocity(state + 0.5 * step * second, rank, impulse)
        fourth = velocity(state + step * third, rank, impulse)
        state = state + step / 6 * (first + 2 * second + 2 * third + fourth)
    return DormantHead.from_parameters(state, rank)
