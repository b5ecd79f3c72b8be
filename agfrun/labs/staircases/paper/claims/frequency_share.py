"""How much of one frequency's loss a few quadratic neurons can take, found by search, and six that take all.

With responses cos(alpha) cos(ka + s) and sin(alpha) cos(kb + t) a neuron's hidden activity g(a, b) is a sum of plane
waves and its output weights are one complex number z. The network has to make sum_i z_i g_i the wave e^(-ik(a + b)), so
that the share left is the squared distance of that wave from the span of the g_i.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAddition

Array = npt.NDArray[np.float64]

MODULUS, FREQUENCY = 7, 2  # of no special order: its second harmonic is neither itself nor constant
STARTS = 6


def smallest_share(neurons: int) -> float:
    """Least share of a generic frequency's loss that so many neurons leave, by BFGS from a few random starts."""
    from scipy.optimize import minimize

    generator = np.random.default_rng(neurons)
    shares = []
    for _ in range(STARTS):
        start = generator.uniform(0, 2 * np.pi, 3 * neurons)
        shares.append(float(minimize(lambda flat: _share(flat.reshape(-1, 3)), start, method="BFGS",
                                     options={"gtol": 1e-9, "maxiter": 400}).fun))
    return min(shares)


def _share(angles: Array) -> float:
    """Share left by neurons of angles (n, 3): alpha, s, t."""
    alpha, s, t = angles.T
    shift = 2 * np.pi * FREQUENCY * np.arange(MODULUS)[:, None] / MODULUS
    first, second = np.cos(alpha) * np.cos(shift + s), np.sin(alpha) * np.cos(shift + t)
    activity = ((first[:, None] + second[None, :]) ** 2).reshape(MODULUS**2, -1).astype(complex)
    wave = np.exp(-1j * (shift + shift.T)).reshape(-1)
    weights = np.linalg.lstsq(activity, wave, rcond=1e-13)[0]
    return float(np.mean(np.abs(wave - activity @ weights) ** 2))


def six_neurons(data: ModularAddition) -> Tensor:
    """Six neurons (6, 3p) that solve the first frequency of real coefficients: phases 2 pi i/6 times 1, 4 and 5."""
    p, frequency, amplitude = data.p, data.frequencies[0], float(data.spectrum[0].real)
    turns = 2 * math.pi / 6 * np.arange(6)[:, None]
    position = 2 * math.pi * frequency * np.arange(p) / p
    u, v, w = (np.cos(position + factor * turns) for factor in (1, 4, 5))
    # <u_i, a.x> = amplitude cos(ka + phase), and 6 neurons make the wave 3 amplitude^2 |w| cos(k(a + b)) / 2 + ...
    output = float(data.multiplicities[0]) * amplitude / p
    scale = (output / (3 * amplitude**2)) ** (1 / 3)
    return torch.tensor(scale * np.hstack([u, v, w]), dtype=data.template.dtype, device=data.template.device)
