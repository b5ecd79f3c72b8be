"""From a validated configuration to a network on its data and its initialization."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from agfrun.labs.staircases.config import GradientDescentConfig, RunConfig
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.homogeneity import check_homogeneity
from agfrun.labs.staircases.networks.streams import NeuronStreams
from agfrun.labs.staircases.run.sizes import check_training_memory
from agfrun.labs.staircases.trainers.optimizer import OptimizerConfig
from agfrun.study.errors import ConfigError
from agfrun.training.devices import resolve_device


@dataclass(frozen=True)
class Problem:
    """A network on its data, and where it starts.

    Attributes:
        architecture: the network.
        initial: neurons at the start, (H, D), over exp(log_factor).
        log_scale: natural logarithm of alpha: a typical neuron starts at norm sqrt(2) * alpha.
        log_factor: logarithm of the factor that the neurons are held over: 0, or that of the initialization scale
            where it is too small for floats. Log norms and directions of the neurons are then carried apart.
    """

    architecture: Architecture
    initial: Tensor
    log_scale: float
    log_factor: float = 0.0

    @property
    def initial_loss(self) -> float:
        """Loss of the network without neurons."""
        return float(self.architecture.loss(self.architecture.empty_residual()))

    @cached_property
    def final_sizes(self) -> FloatArray | None:
        """Sizes of the features where training is to end, (F,), NaN where they are not known; None: nowhere."""
        sizes = self.architecture.solution_features(self.initial)
        return None if sizes is None else sizes.detach().double().cpu().numpy()


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
    """The configured network with its initialization, drawn from `seed` or read.

    Raises:
        ConfigError: the initialization is too small for the numbers that hold it, or is none of this network.
    """
    if config.init.of_any_network:
        return _given(config, architecture)
    log_scale = config.init.log_scale
    log_factor = log_scale if _is_apart(config, architecture, log_scale) else 0.0
    scale = 1.0 if log_factor else math.exp(log_scale)
    neurons = architecture.initialize(config.init.name, scale, _generator(config))
    return Problem(architecture, neurons, log_scale, log_factor)


def _given(config: RunConfig, architecture: Architecture) -> Problem:
    """The network with neurons that the initialization itself has.

    Raises:
        ConfigError: see `draw_initialization`.
    """
    unscaled = torch.from_numpy(config.init.neurons((architecture.width, architecture.neuron_dimension)))
    log_norms = _log_norms(unscaled)
    # A Gaussian initialization of scale alpha has neurons of mean square norm 2 alpha^2.
    log_size = 0.5 * (torch.logsumexp(2 * log_norms, 0).item() - math.log(2 * len(log_norms)))
    log_scale = config.init.log_scale + log_size
    # What underflows is the smallest neuron; above degree 2 no scale is carried apart, and the typical one sets times.
    log_smallest = log_scale if architecture.homogeneity_degree > 2 else \
        float(log_norms.min()) + config.init.log_scale - 0.5 * math.log(2)
    log_factor = log_scale if _is_apart(config, architecture, log_smallest) else 0.0
    log_multiplier = config.init.log_scale - log_factor
    if log_factor and _is_apart(config, architecture, log_smallest - log_factor):
        raise ConfigError("init.name", config.init.name, "its smallest neuron is too small beside the others for "
                          f"{config.dtype}: by a factor of {math.exp(log_smallest - log_scale):.1g}")
    largest = torch.finfo(architecture.dtype).max ** (1 / architecture.homogeneity_degree) * 1e-3
    if float(log_norms.max()) + log_multiplier > math.log(largest):
        raise ConfigError("init.scale", config.init.scale, f"{config.dtype} cannot hold neurons of that size")
    neurons = unscaled * math.exp(log_multiplier)
    return Problem(architecture, neurons.to(architecture.device, architecture.dtype), log_scale, log_factor)


def _log_norms(neurons: Tensor) -> Tensor:
    """Logarithms of the neurons' norms, (H, D) to (H,), also where the squares of the numbers underflow."""
    largest = neurons.abs().amax(1, keepdim=True)
    norms: Tensor = torch.linalg.vector_norm(neurons / largest, dim=1)
    return norms.log() + largest[:, 0].log()


def _generator(config: RunConfig) -> torch.Generator:
    """Where the random numbers of the initial neurons come from."""
    if config.init.stream == "neuron":
        return NeuronStreams(config.seed)
    return torch.Generator(device="cpu").manual_seed(config.seed)


def _is_apart(config: RunConfig, architecture: Architecture, log_scale: float) -> bool:
    """Whether a scale has to be carried apart: a product of a neuron's parameters would underflow and lose its digits.

    Raises:
        ConfigError: numbers of this precision can hold neither the scale nor, above degree 2, its times.
    """
    degree = architecture.homogeneity_degree
    numbers = torch.finfo(architecture.dtype)
    smallest = numbers.tiny ** (1 / degree) * 1e3
    if degree > 2:
        # Features come at times of order scale^(2 - degree), to which the length of a drop, of order 1, must still add.
        smallest = max(smallest, numbers.eps ** (1 / (degree - 2)))
    if log_scale >= math.log(smallest):
        return False
    if degree > 2:
        key = "scale" if config.init.log10_scale is None else "log10_scale"
        bound = smallest if key == "scale" else math.log10(smallest)
        raise ConfigError(f"init.{key}", getattr(config.init, key), f"at homogeneity degree {degree} the times of "
                          f"{config.dtype} tell no drop from the next below {bound:.3g}")
    if isinstance(config.train, GradientDescentConfig | OptimizerConfig):
        raise ConfigError("train", config.train.name, "a scale below the smallest float needs train=gradient_flow")
    return True
