"""Losses of many networks at once, with gradients: invariance over all inputs or over samples, and orthogonality.

Gradients are those by the conjugate weights, G with d loss = 2 Re <G, dW>; by real and imaginary parts they are twice
this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agfrun.labs.harmonics.network.layout import ComplexArray, IntArray, RealArray, Slots

Loss = Callable[[ComplexArray], tuple[RealArray, ComplexArray]]

REGULARISER_WEIGHT = 10.0


@dataclass(frozen=True)
class PopulationLoss:
    """Mean over complex Gaussian inputs x, E|x_g|^2 = 1, and moves h, of the squared change of phi under h.

    With K_h = sum_g W[g]^dagger W[h g] of a slot, in closed form

        E |phi(x) - phi(h.x)|^2 = 2 (|K_e|^2 - mean_h |K_h|^2),

    and with noise of relative variance nu^2 on x alone, s = 1 + nu^2 and M = sum_g W[g] W[g]^dagger,

        nu^4 |M|^2 + (1 + s^2) |K_e|^2 - 2 mean_h |K_h|^2,

    each divided by d^2 and averaged over slots. Holds for any permutations h, whether or not they make a group.

    Attributes:
        slots: of the network.
        moves: shape (m, n), row h the places g -> h g; equally likely.
        noise: nu.
    """

    slots: Slots
    moves: IntArray
    noise: float = 0.0

    def __call__(self, weights: ComplexArray) -> tuple[RealArray, ComplexArray]:
        """Losses (R,) and gradients (R, n, n) of weights (R, n, n)."""
        values, gradients = np.zeros(len(weights)), np.zeros_like(weights)
        for d, columns in self.slots.groups():
            scale = 2 / (d * d * len(self.slots.dimensions))
            part = _by_slot(weights[:, :, columns], d)
            value, gradient = self._of_slots(part)
            values += scale * value
            gradients[:, :, columns] = scale * _by_column(gradient)
        return values, gradients

    def _of_slots(self, weights: ComplexArray) -> tuple[RealArray, ComplexArray]:
        """Of slots of one dimension, (R, s, n, d, d), before the factor 2/(S d^2)."""
        restarts, count, n, d, _ = weights.shape
        rows = np.vstack([np.arange(n), self.moves])
        signs = np.full(len(rows), -1 / len(self.moves))
        signs[0] = (1 + (1 + self.noise**2) ** 2) / 2
        moved = _gathered(weights, rows)
        adjoint = weights.conj().transpose(0, 1, 4, 2, 3).reshape(restarts, count, d, n * d)
        products = (adjoint @ moved).reshape(restarts, count, d, len(rows), d)
        values = np.einsum("rsahb,h->r", products.real**2 + products.imag**2, signs)
        signed = products * signs[:, None]
        forward = moved @ signed.conj().transpose(0, 1, 3, 4, 2).reshape(restarts, count, len(rows) * d, d)
        back = _gathered(weights, np.argsort(rows, axis=1)) @ signed.transpose(0, 1, 3, 2, 4).reshape(
            restarts, count, len(rows) * d, d)
        gradient = (forward + back).reshape(weights.shape)
        if self.noise:
            sums = np.einsum("rsgab,rsgcb->rsac", weights, weights.conj())
            values += self.noise**4 / 2 * (np.abs(sums) ** 2).sum(axis=(1, 2, 3))
            gradient += self.noise**4 * (sums[:, :, None] @ weights)
        return values, gradient


@dataclass(frozen=True)
class SampleLoss:
    """The mean over given pairs (x, h.x) of the squared change of phi.

    Attributes:
        slots: of the network.
        first, second: shape (B, n), inputs and what they were moved to.
    """

    slots: Slots
    first: ComplexArray
    second: ComplexArray

    def __call__(self, weights: ComplexArray) -> tuple[RealArray, ComplexArray]:
        """Losses (R,) and gradients (R, n, n) of weights (R, n, n)."""
        values, gradients = np.zeros(len(weights)), np.zeros_like(weights)
        count = len(self.first)
        left, right = self.first @ weights, self.second @ weights
        for d, columns in self.slots.groups():
            scale = 1 / (d * d * len(self.slots.dimensions) * count)
            before, after = (side[:, :, columns].reshape(len(weights), count, -1, d, d) for side in (left, right))
            change = before @ _adjoint(before) - after @ _adjoint(after)
            values += scale * (change.real**2 + change.imag**2).sum(axis=(1, 2, 3, 4))
            pulls = [(2 * scale * change @ side).reshape(len(weights), count, -1) for side in (before, after)]
            gradients[:, :, columns] = self.first.conj().T @ pulls[0] - self.second.conj().T @ pulls[1]
        return values, gradients


@dataclass(frozen=True)
class Orthogonality:
    """Mean square of the entries of V V^dagger - t I, V the n x n array of weights.

    `weighted`: slot i is taken sqrt(d_i) times and t = n, so that irreps have loss 0 (sum_i d_i chi_i = n delta_e).
    Published: slots are taken once and t = sum d_i; at the irreps of a group the loss is then the mean over elements
    of |sum_i chi_i|^2 without the identity, which is 0 for commutative groups alone.
    """

    slots: Slots
    weighted: bool = True

    def __call__(self, weights: ComplexArray) -> tuple[RealArray, ComplexArray]:
        """Losses (R,) and gradients (R, n, n) of weights (R, n, n)."""
        n = self.slots.size
        factors = self.slots.column_dimensions if self.weighted else np.ones(n)
        target = n if self.weighted else sum(self.slots.dimensions)
        scaled = weights * factors
        rest = scaled @ weights.conj().transpose(0, 2, 1) - target * np.eye(n)
        return (np.abs(rest) ** 2).sum(axis=(1, 2)) / n**2, 2 / n**2 * (rest @ scaled)


@dataclass(frozen=True)
class TotalLoss:
    """Invariance and ten times orthogonality."""

    invariance: Loss
    orthogonality: Loss

    def __call__(self, weights: ComplexArray) -> tuple[RealArray, ComplexArray]:
        """Losses (R,) and gradients (R, n, n) of weights (R, n, n)."""
        (value, gradient), (other, more) = self.invariance(weights), self.orthogonality(weights)
        return value + REGULARISER_WEIGHT * other, gradient + REGULARISER_WEIGHT * more


def noise_floor(slots: Slots, noise: float) -> float:
    """What noise on x adds to the population loss at irreps, where |K_h|^2 = |M|^2 = n^2 d for every h."""
    squares = (1 + noise**2) ** 2
    return float(np.mean([slots.size**2 * (noise**4 + squares - 1) / d for d in slots.dimensions]))


def _by_slot(part: ComplexArray, d: int) -> ComplexArray:
    """Columns (R, n, s d^2) as slots (R, s, n, d, d)."""
    restarts, n, width = part.shape
    return np.ascontiguousarray(part.reshape(restarts, n, width // (d * d), d, d).transpose(0, 2, 1, 3, 4))


def _by_column(part: ComplexArray) -> ComplexArray:
    restarts, _, n, _, _ = part.shape
    return part.transpose(0, 2, 1, 3, 4).reshape(restarts, n, -1)


def _gathered(weights: ComplexArray, rows: IntArray) -> ComplexArray:
    """W[rows[h, g]] as matrices (R, s, n d, m d) with rows (g, a) and columns (h, b)."""
    restarts, count, n, d, _ = weights.shape
    taken = weights[:, :, rows.T]
    return taken.transpose(0, 1, 2, 4, 3, 5).reshape(restarts, count, n * d, len(rows) * d)


def _adjoint(matrices: ComplexArray) -> ComplexArray:
    return matrices.conj().swapaxes(-1, -2)
