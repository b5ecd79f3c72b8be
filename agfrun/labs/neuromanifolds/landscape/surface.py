"""The loss over the directions of a network's inner weights, the best outgoing weights given: a curve or a surface."""

from __future__ import annotations

import numpy as np

from agfrun.labs.neuromanifolds.landscape.expansion import Expansion, FloatMonomials
from agfrun.labs.neuromanifolds.landscape.loss import Loss

Array = np.ndarray

CURVE, SURFACE = 721, 121


def inner_weights(expansion: Expansion) -> list[int] | None:
    """Places of the one or two free weights before the last layer, in which the function is linear; None: others."""
    last = list(expansion.chart)[-1]
    inner = [i for i, (name, _) in enumerate(expansion.free) if name != last]
    outer = [i for i in range(len(expansion.free)) if i not in inner]
    linear = (expansion.powers[:, outer].sum(axis=1) == 1).all()
    return inner if linear and len(inner) in (1, 2) else None


def loss_surface(expansion: Expansion, loss: Loss, inner: list[int]) -> dict[str, Array]:
    """The least loss over the last layer, on a grid of angles arctan(weight) from -90 to 90 degrees.

    Returns:
        `first` and `second` in degrees (`second` is 0 where there is one weight), and `loss`.
    """
    angles = np.linspace(-90, 90, (CURVE if len(inner) == 1 else SURFACE) + 2)[1:-1]
    places = np.stack([grid.ravel() for grid in np.meshgrid(*[angles] * len(inner), indexing="ij")], axis=1)
    coefficients, form = expansion.coefficients.astype(float), loss.form.astype(float)
    linear, constant = loss.linear.astype(float), float(loss.constant)
    outer = [i for i in range(len(expansion.free)) if i not in inner]
    grid = np.zeros((len(places), len(expansion.free)))
    grid[:, inner] = np.tan(np.deg2rad(places))
    # The function is linear in the last layer's weights: its derivatives by them are all of it.
    design = coefficients @ FloatMonomials(expansion.powers).derivatives(grid)[:, :, outer]
    design /= np.maximum(np.linalg.norm(design, axis=1, keepdims=True), np.finfo(float).tiny)
    right = np.swapaxes(design, 1, 2) @ linear
    inverse = np.linalg.pinv(np.swapaxes(design, 1, 2) @ form @ design, rcond=1e-12, hermitian=True)
    values = constant - np.einsum("gi,gij,gj->g", right, inverse, right)
    return {"first": places[:, 0], "second": places[:, 1] if len(inner) == 2 else np.zeros(len(places)),
            "loss": values}
