"""Transforms of latent vectors into similarities to anchors, which are the same samples for every model.

    T(z)_j = <n(z), n(a_j)>,   n(v) = v / |v|,   z a latent vector, a_1, ..., a_m those of the anchors

`cosine` is that of Moschella et al., "Relative representations enable zero-shot latent space communication",
arXiv:2209.15430, section 3; `robust` standardizes the coordinates first, Garcia-Castellanos, Marchetti, Kragic &
Scolamiero, "Relative Representations: Topological and Geometric Perspectives", arXiv:2409.10967, section 3.

All take NumPy arrays or torch tensors, return the same, and are differentiable in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

Array = TypeVar("Array", np.ndarray[Any, Any], Tensor)

# A coordinate whose deviation is below so many roundings of its largest entry is constant.
_ROUNDINGS = 16


class _Made(Protocol):
    def __call__(self, latents: Array, anchors: Array, **settings: float) -> Array: ...


def _of_arrays(transform: Callable[..., Tensor]) -> _Made:
    """Let a transform of tensors take arrays of numbers too, and check shapes."""
    def made(latents: Array, anchors: Array, **settings: float) -> Array:
        given = [torch.as_tensor(one) for one in (latents, anchors)]
        if given[0].ndim != 2 or given[1].ndim != 2 or given[0].shape[1] != given[1].shape[1]:
            raise ValueError(f"latents of the shape {tuple(given[0].shape)} and anchors of the shape "
                             f"{tuple(given[1].shape)}: both are (samples, dimension), of one dimension")
        found = transform(*given, **settings)
        return found if isinstance(latents, Tensor) else found.numpy()

    named: _Made = update_wrapper(cast(Any, made), transform)
    return named


@_of_arrays
def absolute(latents: Tensor, anchors: Tensor) -> Tensor:
    """The latent vectors as they are; shape (n, k)."""
    return latents


@_of_arrays
def cosine(latents: Tensor, anchors: Tensor) -> Tensor:
    """Cosines to the anchors: invariant to z -> c z Q with Q orthogonal and c > 0.

    Args:
        latents: shape (n, k).
        anchors: latent vectors of the anchors by the same model, shape (m, k).

    Returns:
        Shape (n, m), from -1 to 1; zero where a vector is zero.
    """
    return _normalized(latents) @ _normalized(anchors).T


@_of_arrays
def robust(latents: Tensor, anchors: Tensor, epsilon: float = 0.0) -> Tensor:
    """Cosines of standardized coordinates: invariant to z -> P D z + b, P a permutation, D diagonal and invertible.

    Mean and standard deviation (of the population) are those of the anchors, so that the image of a sample does not
    depend on its batch. Coordinates that are constant over the anchors, as those of dead units, are left out. The
    invariance to signs in D is ours: both factors of a product change their sign. Invariance to rotations is lost.

    Args:
        latents: shape (n, k).
        anchors: latent vectors of the anchors by the same model, shape (m, k), m at least 2.
        epsilon: added to the standard deviations, as in the published code (1e-5), where it ends the invariance.

    Returns:
        Shape (n, m), from -1 to 1.
    """
    mean, deviation = anchors.mean(0), anchors.std(0, correction=0)
    # Relative to the coordinate: what is left out does not depend on scales either.
    varies = deviation > _ROUNDINGS * torch.finfo(anchors.dtype).eps * anchors.abs().amax(0)
    mean, deviation = mean[varies], deviation[varies] + epsilon
    return _normalized((latents[:, varies] - mean) / deviation) @ _normalized((anchors[:, varies] - mean) / deviation).T


@_of_arrays
def batch_robust(latents: Tensor, anchors: Tensor, epsilon: float = 1e-5) -> Tensor:
    """`robust` with the statistics of batch and anchors each, as batch normalization in training has them.

    For comparison, the published code: what becomes of a sample depends on the batch that it comes in.

    Args:
        latents: shape (n, k), n at least 2.
        anchors: shape (m, k).
        epsilon: added to the variances.
    """
    def standardized(points: Tensor) -> Tensor:
        return (points - points.mean(0)) / (points.var(0, correction=0) + epsilon).sqrt()

    return _normalized(standardized(latents)) @ _normalized(standardized(anchors)).T


TRANSFORMS: dict[str, Callable[..., Any]] = {"absolute": absolute, "cosine": cosine, "robust": robust,
                                             "batch_robust": batch_robust}
"""Transforms by name."""


def _normalized(points: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
    return points / lengths.clamp_min(torch.finfo(points.dtype).tiny)  # zero stays zero
