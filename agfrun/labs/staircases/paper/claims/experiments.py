"""The configurations that the claims of the paper are decided on: the paper's own, or smaller ones of their kind."""

from __future__ import annotations

from dataclasses import replace

from agfrun.labs.staircases.config import AgfConfig, InitConfig, RunConfig
from agfrun.labs.staircases.networks.diagonal_linear.data import RandomRegressionConfig, RotatedRegressionConfig
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.labs.staircases.networks.fully_connected_linear.data import (
    CommutingLinearMapConfig,
    NoncommutingLinearMapConfig,
)
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinearConfig
from agfrun.labs.staircases.networks.linear_attention.data import InContextRegressionConfig
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttentionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig
from agfrun.labs.staircases.networks.two_layer.network import ReluConfig
from agfrun.labs.staircases.networks.two_layer.orthogonal_inputs import OrthogonalInputsConfig
from agfrun.labs.staircases.sources import DECOUPLED

# The AGF variant of docs/agreement.md: cost phases take time, and a neuron activates before its output matters.
DECOUPLED_THRESHOLD = 0.05


def decoupled_flow(threshold: float | None = None) -> AgfConfig:
    """The decoupled flow, `agf=decoupled`, at its own threshold unless told."""
    preset = AgfConfig().of_rung(DECOUPLED)
    return preset if threshold is None else replace(preset, threshold=threshold)


def diagonal_two(scale: float = 1e-6, generic: bool = False) -> RunConfig:
    """The paper's two coefficients, whose first one collapses and comes back; `generic`: AGF by its general engine."""
    agf = AgfConfig(method="generic", tolerance=1e-10, cost_tolerance=1e-8) if generic else AgfConfig()
    return RunConfig(model=DiagonalLinearConfig(), data=RotatedRegressionConfig(),
                     init=InitConfig("deterministic", scale), agf=agf)


def diagonal_five(log10_scale: float = -8.0, data_seed: int = 10) -> RunConfig:
    """The paper's five coefficients (`data_seed` 10), or another Gaussian design."""
    return RunConfig(model=DiagonalLinearConfig(), data=RandomRegressionConfig(data_seed=data_seed),
                     init=InitConfig("deterministic", log10_scale=log10_scale))


def diagonal_deep() -> RunConfig:
    """The paper's five coefficients with three layers, at scale 1e-2."""
    return RunConfig(model=DiagonalLinearConfig(depth=3), data=RandomRegressionConfig(),
                     init=InitConfig("gaussian", 1e-2))


def linear(commuting: bool, scale: float = 1e-15) -> RunConfig:
    """The paper's ten modes, at its own scale unless told."""
    data = CommutingLinearMapConfig() if commuting else NoncommutingLinearMapConfig()
    return RunConfig(model=FullyConnectedLinearConfig(), data=data, init=InitConfig("gaussian", scale))


def attention(scale: float = 1e-2) -> RunConfig:
    """The paper's four modes and five heads."""
    return RunConfig(model=LinearAttentionConfig(), data=InContextRegressionConfig(),
                     init=InitConfig("gaussian", scale), agf=decoupled_flow())


def modular_addition(scale: float = 1e-2, agf: AgfConfig | None = None) -> RunConfig:
    """The paper's three frequencies modulo 20 and eighteen neurons; AGF as published unless told."""
    return RunConfig(model=QuadraticModaddConfig(), data=ModularAdditionConfig(), init=InitConfig("gaussian", scale),
                     agf=agf or AgfConfig())


def one_frequency(p: int, frequency: int, amplitude: float, width: int) -> RunConfig:
    """Modular addition with a single frequency."""
    return RunConfig(model=QuadraticModaddConfig(width=width), init=InitConfig("gaussian", 1e-2), agf=decoupled_flow(),
                     data=ModularAdditionConfig(p=p, frequencies=[frequency], amplitudes=[amplitude]))


def relu(scale: float = 1e-6) -> RunConfig:
    """Twenty ReLU neurons on four orthonormal inputs, two targets of either sign."""
    return RunConfig(model=ReluConfig(), data=OrthogonalInputsConfig(targets=[1.2, 0.9, -0.8, -0.5]),
                     init=InitConfig("gaussian", scale))


def every_network() -> list[RunConfig]:
    """One configuration of each of the five architectures."""
    return [diagonal_two(), linear(commuting=False), attention(), modular_addition(), relu()]
