"""The exact test of exposedness confirmed in floats: move the targets, and look for a critical point near by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.derivatives import flat, named
from agfrun.labs.neuromanifolds.arithmetic.fields import Floats
from agfrun.labs.neuromanifolds.counts import SPARE_ROWS
from agfrun.labs.neuromanifolds.evaluation import Evaluations, random_weights

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig
    from agfrun.labs.neuromanifolds.stratum import Stratum

Vector = np.ndarray

# How far targets are moved, in parts of the residual: the first step of Newton's method nearly suffices.
MOVED = 1e-6
# A gradient counts as zero below this part of what the move of the targets made of it; rounding leaves 1e-9 of it.
ZERO = 1e-6
# A critical point is near by within this part of the weights; others of the stratum, such as 0, are no answer.
NEAR = 1e-2
MOST_STEPS = 30
# Singular values below this part of the largest are zero: directions of symmetries.
CUT = 1e-9


@dataclass(frozen=True)
class Perturbed:
    """What became of moved targets; the columns of trials.csv."""

    layer: int
    kind: str
    trials: int
    followed: int
    largest_gradient: float


def perturbed_targets(network: NetworkConfig, stratum: Stratum, span: int, trials: int, seed: int) -> Perturbed:
    """Targets for which a random point of a stratum is critical are moved; is there a critical point again?

    Newton's method runs within the stratum, from that point, on the gradient by all weights.

    Args:
        network, stratum: the stratum and its network.
        span: N, dimension of the span of all functions: more samples than that are taken.
        trials: moves of the targets.
        seed: of everything random.
    """
    generator = np.random.default_rng((seed, stratum.layer, *stratum.kind.encode()))
    field = Floats()
    evaluations = _scaled(network, field, generator, span + SPARE_ROWS)
    left = []
    for _ in range(trials):
        weights = stratum.point(field, generator)
        residual = _normal(evaluations.jacobian(weights), generator)
        targets = evaluations.values(weights) + residual
        moved = targets + MOVED * np.linalg.norm(residual) * _unit(generator, len(targets))
        left.append(_gradient_left(evaluations, stratum, weights, moved))
    return Perturbed(stratum.layer, stratum.kind, trials, sum(part < ZERO for part in left), float(max(left)))


def _scaled(network: NetworkConfig, field: Floats, generator: np.random.Generator, count: int) -> Evaluations:
    """Random evaluations of comparable size, whatever the degree."""
    drawn = Evaluations.draw(network, field, generator, count)
    sizes = np.sqrt(np.mean([drawn.values(random_weights(network, field, generator)) ** 2 for _ in range(10)], axis=0))
    return Evaluations(network, field, drawn.constants, drawn.inputs, drawn.outputs / sizes[:, None])


def _normal(jacobian: Vector, generator: np.random.Generator) -> Vector:
    """A random unit vector that is orthogonal to all tangent vectors."""
    vector = generator.standard_normal((jacobian.shape[1],))
    tangent = np.linalg.svd(jacobian, full_matrices=False)
    basis = tangent.Vh[CUT * max(float(tangent.S.max(initial=0)), 1e-300) < tangent.S]
    vector -= basis.T @ (basis @ vector)
    return np.asarray(vector / np.linalg.norm(vector))


def _unit(generator: np.random.Generator, length: int) -> Vector:
    vector = generator.standard_normal(length)
    return np.asarray(vector / np.linalg.norm(vector))


def _gradient_left(evaluations: Evaluations, stratum: Stratum, weights: dict[str, Vector], targets: Vector) -> float:
    """The smallest gradient that Newton's method reaches within the stratum, in parts of the first one."""
    field, shapes = evaluations.field, {name: entries.shape for name, entries in weights.items()}
    start = flat(weights)
    first = best = float("inf")
    for step in range(MOST_STEPS):
        jacobian = evaluations.jacobian(weights)
        residual = targets - evaluations.values(weights)
        gradient = jacobian @ residual
        size = float(np.linalg.norm(gradient))
        if step == 0:
            first = size
            if first < ZERO * np.linalg.norm(residual) * MOVED:
                return 0.0  # the derivative vanishes: critical for all targets
        if np.linalg.norm(flat(weights) - start) > NEAR * np.linalg.norm(start):
            break
        best = min(best, size)
        if best < ZERO * first:
            break
        tangent = stratum.tangent(weights, field)
        hessian = jacobian @ (jacobian.T @ tangent) - evaluations.hessian_product(weights, residual, tangent)
        move = tangent @ np.linalg.lstsq(hessian, gradient, rcond=CUT)[0]
        weights = stratum.projected(named(flat(weights) + move, shapes))
    return best / first
