"""The largest learning rate at which gradient descent is stable, from the curvature of the loss.

On a quadratic loss of curvature lambda, heavy-ball gradient descent comes nearer to the minimum if and only if
rate * lambda < 2 (1 + momentum) (B. T. Polyak, "Some methods of speeding up the convergence of iteration
methods", USSR Comput. Math. Math. Phys. 4 (1964) 1-17). Near a minimum of a network lambda is the largest eigenvalue of
the Hessian. Each mini-batch has a Hessian of its own, some of them sharper: steps that none of them amplifies are
stable, while those that the full batch would allow need not be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.base import Architecture

# Up to so many unknowns the whole Hessian is made; beyond, its largest eigenvalue alone is sought.
LARGEST_EXACT = 1000
# Near the cube root of the rounding error (6e-6), where rounding and truncation disturb a central difference alike.
RELATIVE_SHIFT = 1e-6
# Mini-batches of which the sharpest is sought, as long as they have so many samples together.
MOST_BATCHES = 20
MOST_SAMPLES = 4096


def sharpness(architecture: Architecture, neurons: Tensor) -> float:
    """Largest eigenvalue of the Hessian of the paper loss at `neurons` (H, D); NaN where it is not finite."""
    if neurons.numel() > LARGEST_EXACT:
        return _sharpness_by_lanczos(lambda state: architecture.loss_and_gradient(state)[1], neurons)
    hessian = architecture.hessian(neurons)
    if not bool(torch.isfinite(hessian).all()):
        return math.nan
    return float(torch.linalg.eigvalsh(hessian)[-1])


def batch_sharpness(architecture: Architecture, neurons: Tensor, batch_size: int) -> float:
    """Largest eigenvalue of the Hessian of a mini-batch's paper loss at `neurons` (H, D): that of the sharpest of some.

    NaN where it is not finite.
    """

    def gradient_on(seed: int) -> Callable[[Tensor], Tensor]:
        # The same batch at every point, for differences.
        return lambda state: architecture.sampled_gradient(state, batch_size, torch.Generator().manual_seed(seed))

    count = min(max(MOST_SAMPLES // batch_size, 1), MOST_BATCHES)
    found = [_sharpness_by_lanczos(gradient_on(seed), neurons) for seed in range(count)]
    return max((sharpest for sharpest in found if math.isfinite(sharpest)), default=math.nan)


def largest_stable_rate(architecture: Architecture, states: Iterable[Tensor], momentum: float,
                        loss_factor: float, batch_size: int | None = None) -> float | None:
    """The learning rate above which gradient descent leaves the sharpest of some states, or None if none is curved.

    Args:
        states: neurons (H, D) where training comes by, or is to end.
        momentum: of the optimizer.
        loss_factor: loss that it descends over the paper's, see `staircases.dynamics.clock`.
        batch_size: samples of a step; None for all of them.
    """
    curvatures = [sharpness(architecture, state) if batch_size is None
                  else batch_sharpness(architecture, state, batch_size)
                  for state in states if bool(torch.isfinite(state).all())]
    largest = max((curvature for curvature in curvatures if math.isfinite(curvature)), default=0.0)
    return 2 * (1 + momentum) / (loss_factor * largest) if largest > 0 else None


def curvature_along(architecture: Architecture, neurons: Tensor, direction: Tensor,
                    index: Tensor | None = None) -> Tensor:
    """The Hessian of the paper loss times a direction, both (K, D), by a difference of gradients."""
    return _curvature_along(lambda state: architecture.loss_and_gradient(state, index)[1], neurons, direction)


def _curvature_along(gradient: Callable[[Tensor], Tensor], neurons: Tensor, direction: Tensor) -> Tensor:
    length = float(torch.linalg.vector_norm(direction))
    size = RELATIVE_SHIFT * max(float(torch.linalg.vector_norm(neurons)), 1.0)
    unit = direction * (size / length)
    ahead, behind = (gradient(neurons + sign * unit) for sign in (1, -1))
    # Back from the length of the shift to that of the direction: Lanczos needs a linear map.
    return (ahead - behind) * (length / (2 * size))


def _sharpness_by_lanczos(gradient: Callable[[Tensor], Tensor], neurons: Tensor) -> float:
    """By differences of gradients, with SciPy's Lanczos iteration."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    if not bool(torch.isfinite(gradient(neurons)).all()):
        return math.nan

    def curved(direction: FloatArray) -> FloatArray:
        change = _curvature_along(gradient, neurons, torch.as_tensor(direction).to(neurons).view_as(neurons))
        return np.asarray(change.reshape(-1).double().cpu().numpy())

    count = neurons.numel()
    operator = LinearOperator((count, count), matvec=curved, dtype=np.float64)
    try:
        # From a fixed vector: left to itself it starts from a random one.
        found = eigsh(operator, k=1, which="LA", tol=1e-3, v0=np.ones(count), return_eigenvectors=False)
    except ArpackError:
        return math.nan
    return float(found[0])
