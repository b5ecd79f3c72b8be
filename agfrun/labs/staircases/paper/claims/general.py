"""What AGF says of every network (AGF paper, sections 1 and 2)."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.paper.claims import experiments
from agfrun.labs.staircases.paper.claims.laboratory import AGF, Laboratory, claims_of, from_claims, largest
from agfrun.study.paper_claim import Finding, small

DIFFERENCE_STEP = 1e-5
# Norm, from 1 on, up to which a dormant neuron is followed: at degree 3 it soon blows up.
LARGEST_GROWTH = 3.0
ROUNDING = "rounding of double precision"


def _neurons(architecture: Architecture, count: int = 4) -> Tensor:
    """Random neurons of norm about 1, (count, D), at most as many as the network has."""
    count = min(count, architecture.width)
    generator = torch.Generator().manual_seed(0)
    neurons = torch.randn(count, architecture.neuron_dimension, generator=generator, dtype=architecture.dtype)
    return torch.nn.functional.normalize(neurons).to(architecture.device)


def _index(architecture: Architecture, neurons: Tensor) -> Tensor:
    return torch.arange(len(neurons), device=architecture.device)


@AGF.claim("general", "section 2", "theorem")
def utility_is_loss_decrease(laboratory: Laboratory) -> Finding:
    """The utility is what a small neuron takes off the loss to first order: L(theta) = L(0) - U(theta; y) + O(U^2)."""
    errors = []
    for config in experiments.every_network():
        architecture = laboratory.architecture(config)
        # U is of the neuron's degree in its size, what it leaves out of twice that.
        neurons = 1e-4 ** (2 / architecture.homogeneity_degree) * _neurons(architecture)
        nothing = architecture.empty_residual()
        for row in range(len(neurons)):
            neuron, index = neurons[row : row + 1], torch.tensor([row], device=architecture.device)
            utility = float(architecture.utility(neuron, nothing, index)[0])
            change = float(architecture.loss(nothing) - architecture.loss(architecture.residual(neuron, index)))
            size = float(architecture.utility_gradient(neuron, nothing, index).norm() * neuron.norm())
            errors.append(abs(change - utility) / size)
    return small(largest(errors), 1e-4, "second order in the output, and rounding of a difference of losses")


@AGF.claim("general", "section 2", "theorem")
def loss_gradient_is_utility_gradient(laboratory: Laboratory) -> Finding:
    """The gradient of the loss in a neuron is minus that of its utility with the residual held fixed."""
    errors = []
    for config in experiments.every_network():
        architecture = laboratory.architecture(config)
        neurons = _neurons(architecture)
        index = _index(architecture, neurons)
        gradient = architecture.utility_gradient(neurons, architecture.residual(neurons, index), index)
        direction = _neurons(architecture, len(neurons)).roll(1, 1) / len(neurons) ** 0.5

        def loss(step: float, architecture: Architecture = architecture, neurons: Tensor = neurons,
                 index: Tensor = index, direction: Tensor = direction) -> float:
            return float(architecture.loss(architecture.residual(neurons + step * direction, index)))

        slope = (loss(DIFFERENCE_STEP) - loss(-DIFFERENCE_STEP)) / (2 * DIFFERENCE_STEP)
        errors.append(abs(slope + float((gradient * direction).sum())) / float(gradient.norm()))
    return small(largest(errors), 1e-5, "a central difference with step 1e-5")


@AGF.claim("general", "section 2", "theorem")
def utility_is_homogeneous(laboratory: Laboratory) -> Finding:
    """A neuron's utility is homogeneous: of degree 2 in linear and ReLU networks, 3 in attention and mod-add."""
    errors = []
    for config, degree in zip(experiments.every_network(), (2, 2, 3, 3, 2), strict=True):
        architecture = laboratory.architecture(config)
        neurons = _neurons(architecture)
        index, nothing = _index(architecture, neurons), architecture.empty_residual()
        once, twice = (architecture.utility_gradient(c * neurons, nothing, index) for c in (1.0, 2.0))
        errors.append(float((twice - 2 ** (degree - 1) * once).norm() / twice.norm()))
    return small(largest(errors), 1e-9, ROUNDING)


@AGF.claim("general", "section 2", "theorem")
def accumulated_utility_gives_the_norm(laboratory: Laboratory) -> Finding:
    """A dormant neuron's norm follows its accumulated utility S: log|theta| grows by S at degree 2, 1/|theta| falls by
    S at degree 3, whatever its direction does.
    """
    return small(largest([_norm_error(laboratory.architecture(config)) for config in experiments.every_network()]),
                 1e-7, "SciPy's DOP853 at a relative tolerance of 1e-10")


def _norm_error(architecture: Architecture) -> float:
    """Worst error of the law of norms, over neurons that SciPy integrates for themselves in a fixed residual."""
    import numpy as np
    from scipy.integrate import solve_ivp

    residual, degree = architecture.empty_residual(), architecture.homogeneity_degree
    errors = []
    for row, start in enumerate(_neurons(architecture)):
        index = torch.tensor([row], device=architecture.device)

        def flow(_: float, state: np.ndarray, index: Tensor = index) -> np.ndarray:
            neuron = torch.tensor(state[:-1], dtype=architecture.dtype, device=architecture.device)[None]
            gradient = architecture.utility_gradient(neuron, residual, index)
            # Of the utility, not of the gradient: along its own gradient any norm would follow.
            gained = float(degree * architecture.utility(neuron, residual, index)[0] / neuron.norm() ** degree)
            return np.append(gradient[0].cpu().numpy(), gained)

        state = np.append(start.cpu().numpy(), 0.0)
        speed = float(np.linalg.norm(flow(0.0, state)[:-1]))
        if speed == 0:
            continue  # a neuron that no sample drives stays where it is

        def grown(_: float, state: np.ndarray) -> float:
            return float(np.linalg.norm(state[:-1])) - LARGEST_GROWTH

        grown.terminal = True  # type: ignore[attr-defined]
        end = solve_ivp(flow, (0.0, 1 / speed), state, method="DOP853", rtol=1e-10, atol=1e-12, events=grown).y[:, -1]
        norm = float(np.linalg.norm(end[:-1]))
        expected = float(np.exp(end[-1])) if degree == 2 else 1 / (1 - (degree - 2) * end[-1])
        errors.append(abs(norm / expected - 1))
    return largest(errors)


@AGF.claim("general", "section 2", "theorem")
def origin_is_a_saddle(laboratory: Laboratory) -> Finding:
    """The origin is a saddle: the gradient of the loss vanishes there, and small neurons lower the loss as well as
    raise it.
    """
    errors, both_ways = [], True
    for config in experiments.every_network():
        architecture = laboratory.architecture(config)
        neurons, nothing = _neurons(architecture, 4), architecture.empty_residual()
        index = _index(architecture, neurons)
        errors.append(float(architecture.loss_and_gradient(0 * neurons, index)[1].norm()))
        for _ in range(200):  # normalized ascent to a neuron of positive utility, whose mirror's is negative
            gradient = architecture.utility_gradient(neurons, nothing, index)
            neurons = torch.nn.functional.normalize(neurons + 0.3 * torch.nn.functional.normalize(gradient))
        small_one = 1e-2 * neurons
        mirrored = small_one.clone()
        mirrored[:, -architecture.parameter_blocks[-1][0] :] *= -1  # the last block is linear in the output
        start = float(architecture.loss(nothing))
        losses = [float(architecture.loss(architecture.residual(n, index))) for n in (small_one, mirrored)]
        both_ways = both_ways and losses[0] < start < losses[1]
    return small(largest(errors) if both_ways else 1.0, 1e-12, "exactly zero but for rounding")


@AGF.claim("general", "section 2", "theorem")
def gradient_flow_never_raises_the_loss(laboratory: Laboratory) -> Finding:
    """Along every gradient flow of the five networks the loss never rises."""
    results = [result for config in experiments.every_network() for result in laboratory.results(config)]
    return from_claims(claims_of(results, "loss_never_rises"), "rounding, relative to the initial loss",
                     laboratory.seeds_text, scale=1.0)
