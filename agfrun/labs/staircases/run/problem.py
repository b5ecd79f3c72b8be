"""From a validated configuration to a network on its data and its initialization."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.labs.staircases.config import GradientDescentConfig, RunConfig
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.homogeneity import check_homogeneity
from agfrun.labs.staircases.run.sizes import check_training_memory
from agfrun.study.errors import ConfigError
from agfrun.training.devices import resolve_device


@dataclass(frozen=True)
class Problem:
    """A network on its data, and where it starts.

    Attributes:
        architecture: the network.
        initial: neurons at the start, (H, D), over exp(log_factor).
        log_factor: logarithm of the factor that the neurons are held over: 0, or that of the initialization scale
            where it is too small for floats. Log norms and directions of the neurons are then carried apart.
    """

    architecture: Architecture
    initial: Tensor
    log_factor: float = 0.0

    @property
    def initial_loss(self) -> float:
        """Loss of the network without neurons."""
        return float(self.architecture.loss(self.architecture.empty_residual()))


def build_problem(config: RunConfig) -> Problem:
    """Build the network and draw its initialization from `seed`.

    Raises:
        ConfigError: the device is not there, the data cannot be made or read or are too large or small, the network
            cannot be built on them, needs more memory than there is or is not homogeneous of the degree it declares,
            or the initialization is too small for the numbers that hold it.
    """
    return draw_initialization(config, build_architecture(config))


def build_architecture(config: RunConfig) -> Architecture:
    """The network on its data.

    Raises:
        ConfigError: as `build_problem`, but for the initialization.
    """
    device, dtype = resolve_device(config.device), getattr(torch, config.dtype)
    data = config.data.build(dtype, device)
    check_training_memory(config, data)
    architecture: object = config.model.build(data)
    if not isinstance(architecture, Architecture):  # a stranger's, such as an ordinary torch module
        raise ConfigError("model.name", config.model.name, f"it builds a {type(architecture).__name__}, not an "
                          "agfrun.Architecture: a sum of homogeneous neurons")
    _check_loss(config, architecture)
    check_homogeneity(architecture, torch.Generator(device="cpu").manual_seed(0))
    return architecture


def _check_loss(config: RunConfig, architecture: Architecture) -> None:
    """The size of the data leaves room for products of numbers of that size.

    Raises:
        ConfigError: the loss without neurons is far from one, and not zero.
    """
    loss, numbers = float(architecture.loss(architecture.empty_residual())), torch.finfo(architecture.dtype)
    if loss != 0 and not numbers.tiny**0.25 <= loss <= numbers.max**0.25:
        raise ConfigError("data.name", config.data.name, f"without neurons the loss is {loss:.3g}; scale the data so "
                          f"that it is from {numbers.tiny**0.25:.1g} to {numbers.max**0.25:.1g}")


def draw_initialization(config: RunConfig, architecture: Architecture) -> Problem:
    """The configured network with its initialization, drawn from `seed`.

    Raises:
        ConfigError: the initialization is too small for the numbers that hold it.
    """
    generator = torch.Generator(device="cpu").manual_seed(config.seed)
    log_factor = _separate_scale(config, architecture)
    scale = 1.0 if log_factor else math.exp(config.init.log_scale)
    return Problem(architecture, architecture.initialize(config.init.name, scale, generator), log_factor)


def _separate_scale(config: RunConfig, architecture: Architecture) -> float:
    """Logarithm of the scale where a product of a neuron's parameters would underflow and lose its digits, else 0.

    Raises:
        ConfigError: numbers of this precision can hold neither the scale nor, above degree 2, its times.
    """
    degree = architecture.homogeneity_degree
    numbers = torch.finfo(architecture.dtype)
    smallest = numbers.tiny ** (1 / degree) * 1e3
    if degree > 2:
        # Features come at times of order scale^(2 - degree), to which the length of a drop, of order 1, must still add.
        smallest = max(smallest, numbers.eps ** (1 / (degree - 2)))
    if config.init.log_scale >= math.log(smallest):
        return 0.0
    if degree > 2:
        key = "scale" if config.init.log10_scale is None else "log10_scale"
        bound = smallest if key == "scale" else math.log10(smallest)
        raise ConfigError(f"init.{key}", getattr(config.init, key), f"at homogeneity degree {degree} the times of "
                          f"{config.dtype} tell no drop from the next below {bound:.3g}")
    if isinstance(config.train, GradientDescentConfig):
        raise ConfigError("train", config.train.name, "a scale below the smallest float needs train=gradient_flow")
    return config.init.log_scale
