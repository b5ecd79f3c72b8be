"""From the weights on a plateau to the critical point that it is near: active neurons, polish, ranks, curvature.

A network here is an `Architecture` of the staircases: a sum of homogeneous neurons of degree kappa >= 2. Neurons whose
weights all vanish have no derivative, so that a critical point of the active ones is one of the whole network, and the
Hessian splits: the block of the active ones, and for each dead one minus the second derivative of its utility at 0,
which vanishes above degree 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases import Architecture

# A gradient of this size, of a loss of about one, is all that rounding leaves of zero.
CRITICAL = 1e-12
# One that is surely critical, and losses that are alike, as parts of what can be learned.
ABOUT_CRITICAL, LIKE = 1e-9, 1e-2
MOST_STEPS, MOST_FITTING_STEPS = 80, 500
# Eigenvalues below this part of the largest are zero: symmetries, and what no weight changes.
ZERO = 1e-8
# Singular values below this part of the largest are alike: rounding, or what a singular point is known to.
ROUNDING = 1e-10
# Dampings that a step is tried with, as parts of the largest eigenvalue: Newton's method without, descent with much.
DAMPINGS = (1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
# A neuron that adds less than this part of the target adds nothing.
NOTHING = 1e-7
# Cosine of incoming weights that are proportional.
PROPORTIONAL = 1 - 1e-6
UTILITY_STARTS, UTILITY_STEPS = 48, 400


@dataclass(frozen=True)
class Subnetwork:
    """The active neurons of a network.

    Attributes:
        neurons: all neurons, (H, D), where mixtures of neurons are the same network in the mixtures of most use.
        active, dead: their places.
        redundant: how many active neurons have incoming weights proportional to those of another.
    """

    neurons: Tensor
    active: list[int]
    dead: list[int]
    redundant: int

    def index(self, architecture: Architecture) -> Tensor:
        """Places of the active neurons as a tensor."""
        return torch.tensor(self.active, dtype=torch.long, device=architecture.device)


@dataclass(frozen=True)
class Spectrum:
    """Numbers of eigenvalues below, at and above zero."""

    negative: int
    zero: int
    positive: int


def subnetwork(architecture: Architecture, neurons: Tensor) -> Subnetwork:
    """Which neurons are active: those above the widest gap in the sizes of what neurons add to the output.

    Sizes count from `NOTHING` of the target's norm up to that norm, so that there may be none above or below.
    """
    if architecture.interchangeable_neurons:  # an orthogonal mixture is the same network
        neurons = _mixed(neurons)
    sizes = answer_sizes(architecture, neurons, torch.arange(len(neurons), device=architecture.device))
    target = target_norm(architecture)
    order = np.argsort(-sizes, kind="stable")
    ladder = np.log(np.maximum([target, *sizes[order], 0.0], NOTHING * target))
    count = int(np.argmax(ladder[:-1] - ladder[1:]))
    active = sorted(order[:count].tolist())
    return Subnetwork(neurons, active, sorted(order[count:].tolist()), _redundant(architecture, neurons[active]))


def _mixed(neurons: Tensor) -> Tensor:
    """An orthogonal mixture of neurons (K, D) that are orthogonal to one another, the largest first."""
    _, sizes, directions = torch.linalg.svd(neurons, full_matrices=False)
    mixed = torch.zeros_like(neurons)
    mixed[: len(sizes)] = sizes[:, None] * directions
    return mixed


def answer_sizes(architecture: Architecture, neurons: Tensor, places: Tensor) -> np.ndarray:
    """Norm of what each neuron (K, D) adds to the function's values, (K,); `places` (K,) say which these are."""
    alone = [architecture.function_values(neurons[i : i + 1], places[i : i + 1]) for i in range(len(neurons))]
    return np.array([float(torch.linalg.vector_norm(values)) for values in alone])


def _redundant(architecture: Architecture, active: Tensor) -> int:
    """How many neurons have incoming weights on the line of a neuron before them."""
    width = sum(size for size, _ in architecture.parameter_blocks[:-1])
    if architecture.name == "diagonal_linear" or architecture.interchangeable_neurons or not width or len(active) < 2:
        return 0
    lines = torch.nn.functional.normalize(active[:, :width], dim=1)
    return int(((lines @ lines.T).abs().tril(-1) > PROPORTIONAL).any(1).sum())


def critical_point(architecture: Architecture, neurons: Tensor) -> tuple[Subnetwork, Tensor, float]:
    """The subnetwork of a state (H, D) on a plateau, and its critical point near by.

    An active neuron that adds nothing at the critical point is dead, and the rest is polished again.

    Returns:
        The subnetwork with the state's neurons, the active ones at the critical point (K, D), and the norm of the
        gradient that is left there.
    """
    found = subnetwork(architecture, neurons)
    while True:
        index, active = found.index(architecture), found.neurons[found.active]
        active, gradient = _polished_with_parts(architecture, active, index)
        if architecture.interchangeable_neurons:
            active = _mixed(active)
        lively = answer_sizes(architecture, active, index) > NOTHING * target_norm(architecture)
        if lively.all():
            return replace(found, redundant=_redundant(architecture, active)), active, gradient
        fallen = [place for place, is_lively in zip(found.active, lively, strict=True) if not is_lively]
        found = replace(found, active=[place for place in found.active if place not in fallen],
                        dead=sorted(found.dead + fallen))


def _polished_with_parts(architecture: Architecture, active: Tensor, index: Tensor) -> tuple[Tensor, float]:
    """`polished`, from a fit of the learned part of the target if that leads to a critical point of a like loss."""
    if len(active):
        learner, parts = architecture.on_learned_part(active)
        if learner is not architecture:
            state, gradient = polished(architecture, fitted(learner, parts, index), index)
            before, after = (float(architecture.loss(architecture.residual(one, index))) for one in (active, state))
            if gradient < ABOUT_CRITICAL and abs(after - before) < LIKE * target_norm(architecture) ** 2:
                return state, gradient
    return polished(architecture, active, index)


def target_norm(architecture: Architecture) -> float:
    """Norm of what can be learned of the target."""
    loss = float(architecture.loss(architecture.empty_residual())) - architecture.minimal_loss
    return float((2 * loss) ** 0.5)


def polished(architecture: Architecture, active: Tensor, index: Tensor) -> tuple[Tensor, float]:
    """The critical point near active neurons (K, D), of whatever kind, by Levenberg and Marquardt's method on |grad|^2.

    Returns:
        The critical point, and the norm of the gradient that is left.
    """
    def size_at(state: Tensor) -> float:
        return float(torch.linalg.vector_norm(architecture.loss_and_gradient(state, index)[1]))

    return _damped(architecture, active, index, size_at, CRITICAL, MOST_STEPS,
                   lambda along, values, damping: along * values / (values.square() + damping**2))


def fitted(architecture: Architecture, active: Tensor, index: Tensor) -> Tensor:
    """The minimum near active neurons (K, D) that can learn all of the target, by damped steps on the loss.

    Along a valley of small slope |grad|^2 has minima that are none of the loss.
    """
    return _damped(architecture, active, index, lambda state: float(architecture.loss_and_gradient(state, index)[0]),
                   CRITICAL**2, MOST_FITTING_STEPS,
                   lambda along, values, damping: along / (values.abs() + damping))[0]


def _damped(architecture: Architecture, active: Tensor, index: Tensor, size_at: Callable[[Tensor], float],
            enough: float, most_steps: int, shrunk: Callable[[Tensor, Tensor, float], Tensor]
            ) -> tuple[Tensor, float]:
    """Steps of Newton's kind that make a size smaller, each with the damping that does best.

    Where the Hessian is singular beyond symmetries each step halves the distance; elsewhere their number doubles its
    digits.

    Args:
        architecture: the network.
        active: neurons (K, D) to start from.
        index: their places.
        size_at: what becomes smaller.
        enough: size to stop at.
        most_steps: steps to stop after.
        shrunk: coefficients of the step from those of the gradient along eigenvectors, eigenvalues and a damping.

    Returns:
        The last state, and its size.
    """
    best, size = active, size_at(active)
    for _ in range(most_steps if len(active) else 0):
        if size <= enough:
            break
        gradient = architecture.loss_and_gradient(best, index)[1].reshape(-1)
        values, vectors = torch.linalg.eigh(architecture.hessian(best, index))
        along, largest = vectors.T @ gradient, float(values.abs().max())
        tried = [best - (vectors @ shrunk(along, values, part * largest)).view_as(best) for part in DAMPINGS]
        sizes = [size_at(state) for state in tried]
        place = int(np.argmin(sizes))
        if not sizes[place] < size:
            break
        best, size = tried[place], sizes[place]
    return best, size


def jacobian(architecture: Architecture, active: Tensor, index: Tensor) -> Tensor:
    """Derivative of the function's values by the active neurons' weights, (N, P); (1, 0) where none is active."""
    if not len(active):
        return active.new_zeros(1, 0)

    def values(flat: Tensor) -> Tensor:
        return architecture.function_values(flat.view_as(active), index)

    found: Tensor = torch.func.jacfwd(values)(active.reshape(-1))
    return found


def rank_with_gap(matrix: Tensor) -> tuple[int, float]:
    """Number of singular values above the widest gap between them, and its digits; below `ROUNDING` they are alike.

    At a singular point they vanish like the distance from it, which is known to half the digits: no threshold will do.
    """
    values = torch.linalg.svdvals(matrix)
    if not values.numel() or float(values[0]) == 0:
        return 0, float("inf")
    digits = torch.cat([values / values[0], values.new_zeros(1)]).clamp(min=ROUNDING).log10()
    gaps = digits[:-1] - digits[1:]
    place = int(gaps.argmax())
    return place + 1, float(gaps[place])


def spectrum(values: Tensor, scale: float) -> Spectrum:
    """Signs of eigenvalues; those below `ZERO` of a scale are zero."""
    negative, positive = int((values < -ZERO * scale).sum()), int((values > ZERO * scale).sum())
    return Spectrum(negative, values.numel() - negative - positive, positive)


def curvature(architecture: Architecture, found: Subnetwork, active: Tensor) -> tuple[Spectrum, Spectrum]:
    """Inertia of the Hessian's block of the active neurons, and of the blocks of the dead ones."""
    index, size = found.index(architecture), architecture.neuron_dimension
    own = torch.linalg.eigvalsh(architecture.hessian(active, index)) if found.active else active.new_zeros(0)
    dead = []
    for place in found.dead:
        with_dead = torch.cat([active, active.new_zeros(1, size)])
        together = torch.cat([index, torch.tensor([place], device=index.device)])
        dead.append(torch.linalg.eigvalsh(architecture.hessian(with_dead, together)[-size:, -size:]))
        if architecture.homogeneity_degree > 2:  # a form of higher degree: zero, for each of them
            dead = dead * len(found.dead)
            break
    of_dead = torch.cat(dead) if dead else active.new_zeros(0)
    everything = torch.cat([own, of_dead])
    scale = max(float(everything.abs().max()), 1e-300) if everything.numel() else 1.0
    return spectrum(own, scale), spectrum(of_dead, scale)


def largest_utility(architecture: Architecture, found: Subnetwork, active: Tensor, seed: int) -> float:
    """The largest utility of a dead neuron whose weight vectors all have norm 1; NaN where no neuron is dead.

    Its vectors are followed in turn to the directions of their gradients, with a shift that makes the utility rise
    (the power method of tensors; Kolda & Mayo, SIAM J. Matrix Anal. Appl. 32 (2011) 1095), from many random starts.
    """
    if not found.dead:
        return float("nan")
    residual = architecture.residual(active, found.index(architecture))
    generator = torch.Generator().manual_seed(seed)
    probes = torch.tensor(found.dead).repeat(-(-UTILITY_STARTS // len(found.dead)))
    sizes = [size for size, _ in architecture.parameter_blocks]
    drawn = torch.randn(len(probes), architecture.neuron_dimension, generator=generator, dtype=torch.float64)
    state, probes = _normalized(drawn.to(active), sizes), probes.to(active.device)
    value = architecture.utility(state, residual, probes)
    shift = torch.zeros_like(value)
    for _ in range(UTILITY_STEPS):
        gradient = architecture.utility_gradient(state, residual, probes)
        moved = _normalized(gradient + shift[:, None] * state, sizes, state)
        rose = architecture.utility(moved, residual, probes) >= value
        state = torch.where(rose[:, None], moved, state)
        value = torch.where(rose, architecture.utility(moved, residual, probes), value)
        norm = torch.linalg.vector_norm(gradient, dim=1)
        shift = torch.where(rose, 0.5 * shift, torch.maximum(2 * shift, norm))
    return float(value.max())


def _normalized(states: Tensor, sizes: Sequence[int], instead: Tensor | None = None) -> Tensor:
    """Neurons (K, D) with each block of weights of norm 1; one that vanishes is that of another state."""
    parts = []
    others = torch.split(states if instead is None else instead, list(sizes), dim=1)
    for part, other in zip(torch.split(states, list(sizes), dim=1), others, strict=True):
        norm = torch.linalg.vector_norm(part, dim=1, keepdim=True)
        parts.append(torch.where(norm > 0, part / norm.clamp(min=1e-300), other))
    return torch.cat(parts, dim=1)
