"""A numerical check that a network's neurons are homogeneous, and of the degree that it declares.

AGF rests on it: U(lambda theta; r) = lambda^kappa U(theta; r) for lambda > 0 (AGF paper, section 2), so that direction
and norm part. The check is on the gradient, which is of degree kappa - 1 as a vector, has no sign
to cancel and is zero only for a neuron that the data do not move at all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agfrun.labs.staircases.networks.base import Architecture
from agfrun.study.errors import ConfigError

# Powers of two scale floats without rounding, and leave the pattern of a ReLU as it is.
FACTORS = (0.5, 2.0, 4.0)
DRAWS = 3
# Of a gradient, in units of the square root of the floats' spacing (1.5e-8 or 3.5e-4).
TOLERANCE = 10.0


def check_homogeneity(architecture: Architecture, generator: torch.Generator) -> None:
    """Check the declared degree on random neurons of order one, against the target and what random neurons leave of it.

    Costs a dozen gradients. Neurons that the data do not move (a ReLU that is dead on all samples) tell nothing.

    Args:
        generator: draws the neurons, on the CPU.

    Raises:
        ConfigError: the degree is not an integer of at least 2, the neurons have another degree or none, or they do
            not vanish at the origin.
    """
    degree = architecture.homogeneity_degree
    if not isinstance(degree, int) or degree < 2:
        raise _refused(architecture, f"it declares homogeneity_degree={degree}; AGF needs an integer of at least 2, "
                       "for the origin to be a saddle")
    _check_origin(architecture)
    tolerance = TOLERANCE * torch.finfo(architecture.dtype).eps ** 0.5
    exponents, deviations = _measure(architecture, generator)
    if exponents.numel() == 0 or float(deviations.max()) <= tolerance:
        return
    low, high = float(exponents.min()), float(exponents.max())
    if math.isnan(low):
        raise _refused(architecture, "the utility of its neurons is not a finite number")
    if high - low <= tolerance:
        raise _refused(architecture, f"it declares homogeneity_degree={degree}, but its neurons are measured to be "
                       f"homogeneous of degree {round(low, 2):g}")
    raise _refused(architecture, f"its neurons are not homogeneous: declared degree {degree}, measured from {low:.4g} "
                   f"to {high:.4g}, the gradient off by up to {float(deviations.max()):.1e}. A bias on the output, "
                   "terms of different degree and activations such as tanh break homogeneity, which AGF needs")


def _check_origin(architecture: Architecture) -> None:
    """Neurons at the origin must leave the target as it is."""
    origin = torch.zeros(architecture.width, architecture.neuron_dimension, dtype=architecture.dtype,
                         device=architecture.device)
    empty = float(architecture.loss(architecture.empty_residual()))
    with_neurons = float(architecture.loss(architecture.residual(origin)))
    if not abs(with_neurons - empty) <= 1e-5 * abs(empty):
        raise _refused(architecture, "its neurons do not vanish at the origin, as AGF needs: with all parameters zero "
                       f"the loss is {with_neurons:.6g}, without neurons it is {empty:.6g}")


def _measure(architecture: Architecture, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Exponents of the utility and relative deviations of its gradient from the declared degree.

    Both of shape (R,), over draws, neurons that move, and `FACTORS`.
    """
    residual = architecture.empty_residual()  # which a bias need not correlate with, so that it is not the only one
    size = architecture.neuron_dimension
    exponents, deviations = [], []
    for _ in range(DRAWS):
        drawn = torch.randn(architecture.width, size, generator=generator, dtype=architecture.dtype)
        neurons = drawn.to(architecture.device) * (2 / size) ** 0.5  # of norm sqrt(2), as at a scale of 1
        gradient = architecture.utility_gradient(neurons, residual)
        norms = torch.linalg.vector_norm(gradient, dim=1)
        for factor in FACTORS:
            scaled = architecture.utility_gradient(factor * neurons, residual)
            expected = factor ** (architecture.homogeneity_degree - 1) * gradient
            scaled_norms = torch.linalg.vector_norm(scaled, dim=1)
            largest = torch.maximum(scaled_norms, torch.linalg.vector_norm(expected, dim=1))
            moving = ~(largest <= torch.finfo(architecture.dtype).tiny ** 0.5)  # or not a number
            deviation = torch.linalg.vector_norm(scaled - expected, dim=1) / largest
            # The gradient is of degree kappa - 1.
            exponents.append((1 + (scaled_norms / norms).log() / math.log(factor))[moving])
            deviations.append(deviation[moving])
        residual = architecture.residual(neurons)
    return torch.cat(exponents), torch.nan_to_num(torch.cat(deviations), nan=math.inf)


def _refused(architecture: Architecture, reason: str) -> ConfigError:
    return ConfigError("model.name", architecture.name, reason)
