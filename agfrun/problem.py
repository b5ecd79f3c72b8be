"""From a validated configuration to a network on its data and its initialization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from agfrun.architectures.base import Architecture
from agfrun.architectures.diagonal_linear import DiagonalLinear
from agfrun.architectures.quadratic_modadd import QuadraticModadd
from agfrun.data.modular_addition import modular_addition
from agfrun.data.regression import Regression, random_regression, rotated_regression
from agfrun.errors import ConfigError
from agfrun.schema import (
    DiagonalLinearConfig,
    ModularAdditionConfig,
    QuadraticModaddConfig,
    RandomRegressionConfig,
    RotatedRegressionConfig,
    RunConfig,
)


@dataclass(frozen=True)
class Problem:
    """A network on its data, and where it starts: neurons `initial`, (H, D)."""

    architecture: Architecture
    initial: Tensor


def build_problem(config: RunConfig) -> Problem:
    """Build the network and draw its initialization from `seed`.

    Raises:
        ConfigError: the device is not there, or the network has no such initialization.
    """
    device, dtype = resolve_device(config.device), getattr(torch, config.dtype)
    builder = ARCHITECTURES[type(config.model)]
    architecture = builder(config, dtype, device)
    generator = torch.Generator(device="cpu").manual_seed(config.seed)
    return Problem(architecture, architecture.initialize(config.init.name, config.init.scale, generator))


def resolve_device(name: str) -> torch.device:
    """The device of a name; `auto` is CUDA where there is one.

    Raises:
        ConfigError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device", name, "no CUDA device is available here; choose cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _quadratic_modadd(config: RunConfig, dtype: torch.dtype, device: torch.device) -> Architecture:
    assert isinstance(config.data, ModularAdditionConfig)
    assert isinstance(config.model, QuadraticModaddConfig)
    data = modular_addition(config.data.p, config.data.frequencies, config.data.amplitudes, dtype, device)
    return QuadraticModadd(data, config.model.width)


def _diagonal_linear(config: RunConfig, dtype: torch.dtype, device: torch.device) -> Architecture:
    return DiagonalLinear(_regression(config, dtype, device))


def _regression(config: RunConfig, dtype: torch.dtype, device: torch.device) -> Regression:
    data = config.data
    if isinstance(data, RotatedRegressionConfig):
        return rotated_regression(data.eigenvalues, data.rotation_degrees, data.coefficients, dtype, device)
    assert isinstance(data, RandomRegressionConfig)
    return random_regression(data.dimension, data.samples, data.data_seed, dtype, device)


Builder = Callable[[RunConfig, torch.dtype, torch.device], Architecture]

ARCHITECTURES: dict[type, Builder] = {
    QuadraticModaddConfig: _quadratic_modadd,
    DiagonalLinearConfig: _diagonal_linear,
}
