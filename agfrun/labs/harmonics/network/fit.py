"""Training: all restarts at once by L-BFGS or, as published, by Adam on samples; what each restart came to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfrun.labs.harmonics.network.layout import ComplexArray, IntArray, RealArray, Slots
from agfrun.labs.harmonics.network.lbfgs import minimise
from agfrun.labs.harmonics.network.losses import (
    REGULARISER_WEIGHT,
    Loss,
    Orthogonality,
    PopulationLoss,
    SampleLoss,
    TotalLoss,
)

CERTIFICATE = 1e-6
MOST_ITERATIONS = 3000


@dataclass(frozen=True)
class Fit:
    """Restarts that have been trained.

    Attributes:
        slots: of the networks.
        start, weights: before and after, shape (R, n, n).
        invariance: the population loss without noise, (R,).
        orthogonality, published: the weighted regulariser and the published one, (R,).
        objective: what was minimised, (R,).
        iterations: of each, (R,).
    """

    slots: Slots
    start: ComplexArray
    weights: ComplexArray
    invariance: RealArray
    orthogonality: RealArray
    published: RealArray
    objective: RealArray
    iterations: IntArray

    @property
    def certificates(self) -> RealArray:
        """Invariance and ten times the weighted regulariser, (R,): 0 means irreps, and so the table."""
        return self.invariance + REGULARISER_WEIGHT * self.orthogonality

    @property
    def best(self) -> int:
        """The restart with the least certificate."""
        return int(np.argmin(self.certificates))

    @property
    def certified(self) -> bool:
        """Whether one is below `CERTIFICATE`."""
        return bool(self.certificates.min() < CERTIFICATE)


def fit(slots: Slots, moves: IntArray, start: ComplexArray, *, invariance: Loss | None = None, weighted: bool = True,
        most_iterations: int = MOST_ITERATIONS) -> Fit:
    """Minimise invariance and orthogonality from every start by L-BFGS.

    Args:
        slots: of the networks.
        moves: shape (m, n), what the network is to be invariant to; certificates are taken with these.
        start: shape (R, n, n).
        invariance: the loss to minimise, such as one of samples; None: the population loss.
        weighted: whether the regulariser is the weighted one.
        most_iterations: of each restart.
    """
    loss = TotalLoss(invariance or PopulationLoss(slots, moves), Orthogonality(slots, weighted))

    def objective(free: RealArray) -> tuple[RealArray, RealArray]:
        values, gradients = loss(_with_identity(slots, free))
        return values, 2 * _free(gradients)

    found = minimise(objective, _free(start), most_iterations)
    return _judged(slots, moves, start, _with_identity(slots, found.points), found.values, found.iterations)


def fit_by_adam(slots: Slots, moves: IntArray, start: ComplexArray, generator: np.random.Generator, *,
                weighted: bool = False, steps: int = 12500, learning_rate: float = 1e-3, batch: int = 4,
                noise: float = 0.0) -> Fit:
    """Train as published: Adam on fresh pairs (x, h.x), x of variance 2, noise on x alone (the defaults are theirs).

    All restarts see the same pairs.
    """
    orthogonality = Orthogonality(slots, weighted)
    free = _free(start)
    mean, square = np.zeros_like(free), np.zeros_like(free)
    values = np.zeros(len(free))
    for step in range(1, steps + 1):
        pairs = sampled_pairs(moves, batch, noise, generator, variance=2.0)
        values, gradients = TotalLoss(SampleLoss(slots, *pairs), orthogonality)(_with_identity(slots, free))
        gradient = 2 * _free(gradients)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        free = free - learning_rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return _judged(slots, moves, start, _with_identity(slots, free), values, np.full(len(free), steps))


def sampled_pairs(moves: IntArray, count: int, noise: float, generator: np.random.Generator, variance: float = 1.0,
                  both: bool = False) -> tuple[ComplexArray, ComplexArray]:
    """Pairs of x and h.x with random moves, shape (count, n) each.

    Args:
        moves: shape (m, n).
        count: of pairs.
        noise: its standard deviation relative to that of x.
        generator: of everything random.
        variance: E|x_g|^2.
        both: whether h.x has noise too, of its own.
    """
    shape = (count, moves.shape[1])

    def gaussian() -> ComplexArray:
        drawn: ComplexArray = generator.normal(size=shape) + 1j * generator.normal(size=shape)
        drawn *= np.sqrt(variance / 2)
        return drawn

    x = gaussian()
    chosen = generator.integers(len(moves), size=count)
    moved = np.take_along_axis(x, moves[chosen], axis=1)
    first = x + noise * gaussian()
    return first, moved + noise * gaussian() if both else moved


def _judged(slots: Slots, moves: IntArray, start: ComplexArray, weights: ComplexArray, objective: RealArray,
            iterations: IntArray) -> Fit:
    invariance, orthogonality, published = (loss(weights)[0] for loss in (
        PopulationLoss(slots, moves), Orthogonality(slots), Orthogonality(slots, weighted=False)))
    return Fit(slots, start, weights, np.maximum(invariance, 0.0), orthogonality, published, objective, iterations)


def _free(weights: ComplexArray) -> RealArray:
    """All rows but the first, as real numbers (R, P)."""
    return np.ascontiguousarray(weights[:, 1:]).view(np.float64).reshape(len(weights), -1)


def _with_identity(slots: Slots, free: RealArray) -> ComplexArray:
    n = slots.size
    weights = np.empty((len(free), n, n), dtype=complex)
    weights[:, 0] = slots.identity_row
    weights[:, 1:] = np.ascontiguousarray(free).view(np.complex128).reshape(len(free), n - 1, n)
    return weights
