"""The typed configuration: every key, its default and its range, checked once at the edge.

Hydra composes these dataclasses from `configs/`; a notebook builds them directly. This module
imports neither torch nor Hydra, so that `agfrun --help` answers at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from dataclasses import dataclass, field
from typing import Any

from agfrun.errors import ConfigError, closest, did_you_mean

LOSS_NORMALIZATIONS = ("paper", "mean_over_outputs", "sum_over_outputs")
FLOW_METHODS = ("auto", "rosenbrock", "rkc")
COST_PHASES = ("instantaneous", "timed")
AGF_METHODS = ("auto", "generic", "closed_form")
DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float64", "float32")
PLOT_FORMATS = ("png", "pdf")


@dataclass
class ModelConfig:
    """Which network. `loss_normalization` is how the published code normalizes its loss."""

    name: str = "quadratic_modadd"
    loss_normalization: str = "mean_over_outputs"


@dataclass
class QuadraticModaddConfig(ModelConfig):
    """Two-layer network with quadratic activation on modular addition (AGF paper, section 6)."""

    width: int = 18


@dataclass
class DiagonalLinearConfig(ModelConfig):
    """Diagonal linear network beta = u * v (AGF paper, section 3). Its width is the data's dimension."""

    name: str = "diagonal_linear"
    loss_normalization: str = "paper"


@dataclass
class DataConfig:
    """Which data."""

    name: str = "modular_addition"


@dataclass
class ModularAdditionConfig(DataConfig):
    """Addition modulo p with a real, mean-zero template of given Fourier amplitudes."""

    p: int = 20
    frequencies: list[int] = field(default_factory=lambda: [1, 3, 5])
    amplitudes: list[float] = field(default_factory=lambda: [10.0, 5.0, 2.5])


@dataclass
class RotatedRegressionConfig(DataConfig):
    """The paper's two-dimensional regression: a rotated covariance and a planted coefficient."""

    name: str = "rotated_regression"
    eigenvalues: list[float] = field(default_factory=lambda: [1.0, 25.0])
    rotation_degrees: float = 150.0
    coefficients: list[float] = field(default_factory=lambda: [-0.2, 2.0])


@dataclass
class RandomRegressionConfig(DataConfig):
    """Gaussian regression with covariance diag(1/i) and coefficients 10 * N(0, 1)."""

    name: str = "random_regression"
    dimension: int = 5
    samples: int = 20
    data_seed: int = 10


@dataclass
class InitConfig:
    """The initialization. `scale` is alpha: a typical neuron starts at norm sqrt(2) * alpha."""

    name: str = "gaussian"
    scale: float = 1e-2


@dataclass
class TrainConfig:
    """The real training. `horizon` is in gradient-flow time; null chooses it from the prediction."""

    name: str = "gradient_flow"
    horizon: float | None = None
    convergence: float = 1e-6
    max_rows: int = 2000


@dataclass
class GradientFlowConfig(TrainConfig):
    """Gradient flow, integrated adaptively to a relative tolerance for each neuron."""

    method: str = "auto"
    tolerance: float = 1e-6


@dataclass
class GradientDescentConfig(TrainConfig):
    """Gradient descent with heavy-ball momentum; `batch_size` null is full batch."""

    name: str = "gradient_descent"
    learning_rate: float = 0.01
    momentum: float = 0.0
    max_steps: int | None = None
    batch_size: int | None = None
    loss_normalization: str = "mean_over_outputs"


@dataclass
class AgfConfig:
    """Alternating Gradient Flows: the prediction."""

    method: str = "auto"
    cost_phase: str = "instantaneous"
    dormant_interaction: bool = False
    threshold: float = 1.0
    tolerance: float = 1e-8
    cost_tolerance: float = 3e-3
    loss_tolerance: float = 1e-4
    max_events: int = 200
    max_time: float | None = None


@dataclass
class RunConfig:
    """One run: training and prediction of one network from one initialization."""

    model: ModelConfig = field(default_factory=QuadraticModaddConfig)
    data: DataConfig = field(default_factory=ModularAdditionConfig)
    init: InitConfig = field(default_factory=InitConfig)
    train: TrainConfig = field(default_factory=GradientFlowConfig)
    agf: AgfConfig = field(default_factory=AgfConfig)
    seed: int = 0
    device: str = "auto"
    dtype: str = "float64"
    plots: bool = True
    plot_formats: list[str] = field(default_factory=lambda: ["png", "pdf"])
    overwrite: bool = False


MODELS: dict[str, type[ModelConfig]] = {
    "quadratic_modadd": QuadraticModaddConfig,
    "diagonal_linear": DiagonalLinearConfig,
}
DATA: dict[str, type[DataConfig]] = {
    "modular_addition": ModularAdditionConfig,
    "rotated_regression": RotatedRegressionConfig,
    "random_regression": RandomRegressionConfig,
}
TRAINERS: dict[str, type[TrainConfig]] = {
    "gradient_flow": GradientFlowConfig,
    "gradient_descent": GradientDescentConfig,
}
INITIALIZATIONS: tuple[str, ...] = ("gaussian", "deterministic", "balanced")
DATA_OF_MODEL: dict[str, tuple[str, ...]] = {
    "quadratic_modadd": ("modular_addition",),
    "diagonal_linear": ("rotated_regression", "random_regression"),
}


def config_hash(config: RunConfig) -> str:
    """Hash of everything that decides the numbers of a run (not of plots or overwriting)."""
    values = dataclasses.asdict(config)
    for key in ("plots", "plot_formats", "overwrite"):
        values.pop(key)
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def validate(config: RunConfig) -> RunConfig:
    """Check every range; return the configuration unchanged.

    Raises:
        ConfigError: names the first key that is not allowed, its value and what is allowed.
    """
    _one_of("device", config.device, DEVICES)
    _one_of("dtype", config.dtype, DTYPES)
    _require("seed", config.seed, 0 <= config.seed < 2**63, "an integer from 0 to 2**63 - 1")
    for plot_format in config.plot_formats:
        _one_of("plot_formats", plot_format, PLOT_FORMATS)
    _validate_model(config.model)
    _validate_data(config.data)
    _one_of("data.name", config.data.name, DATA_OF_MODEL[config.model.name],
            f" with model={config.model.name}")
    _validate_init(config)
    _validate_train(config.train)
    _validate_agf(config)
    return config


def _validate_model(model: ModelConfig) -> None:
    _one_of("model.name", model.name, tuple(MODELS))
    _one_of("model.loss_normalization", model.loss_normalization, LOSS_NORMALIZATIONS)
    if isinstance(model, QuadraticModaddConfig):
        _require("model.width", model.width, model.width >= 1, "an integer of at least 1")


def _validate_data(data: DataConfig) -> None:
    _one_of("data.name", data.name, tuple(DATA))
    if isinstance(data, ModularAdditionConfig):
        _validate_modular_addition(data)
    elif isinstance(data, RotatedRegressionConfig):
        _require("data.eigenvalues", data.eigenvalues,
                 len(data.eigenvalues) == 2 and all(_positive(v) for v in data.eigenvalues),
                 "two positive numbers")
        _require("data.coefficients", data.coefficients,
                 len(data.coefficients) == 2 and all(map(math.isfinite, data.coefficients)),
                 "two finite numbers")
        _require("data.rotation_degrees", data.rotation_degrees,
                 math.isfinite(data.rotation_degrees), "a finite number")
    elif isinstance(data, RandomRegressionConfig):
        _require("data.dimension", data.dimension, data.dimension >= 1, "an integer of at least 1")
        _require("data.samples", data.samples, data.samples >= 1, "an integer of at least 1")
        _require("data.data_seed", data.data_seed, 0 <= data.data_seed < 2**32,
                 "an integer from 0 to 2**32 - 1")


def _validate_modular_addition(data: ModularAdditionConfig) -> None:
    _require("data.p", data.p, data.p >= 2, "an integer of at least 2")
    half = data.p // 2
    _require("data.frequencies", data.frequencies,
             len(data.frequencies) > 0 and all(1 <= k <= half for k in data.frequencies),
             f"a list of frequencies from 1 to p/2 = {half}")
    _require("data.frequencies", data.frequencies,
             len(set(data.frequencies)) == len(data.frequencies), "a list with each frequency once")
    _require("data.amplitudes", data.amplitudes,
             len(data.amplitudes) == len(data.frequencies),
             f"one amplitude for each of the {len(data.frequencies)} frequencies")
    _require("data.amplitudes", data.amplitudes, all(1e-6 <= a <= 1e6 for a in data.amplitudes),
             "numbers from 1e-6 to 1e6")


def _validate_init(config: RunConfig) -> None:
    init = config.init
    _one_of("init.name", init.name, INITIALIZATIONS)
    if init.name == "deterministic" and config.model.name != "diagonal_linear":
        raise ConfigError("init.name", init.name, "it is for model=diagonal_linear only")
    # The smallest quantity formed from the parameters is a product of two of them (degree 2) or
    # three (degree 3); below the smallest normal number such a product loses its digits.
    tiny = sys.float_info.min if config.dtype == "float64" else 1.1754943508222875e-38
    degree = 2 if config.model.name == "diagonal_linear" else 3
    smallest = tiny ** (1 / degree) * 1e3
    _require("init.scale", init.scale, math.isfinite(init.scale) and smallest <= init.scale < 1,
             f"a number from {smallest:.0e} (below it {config.dtype} underflows) up to but not including 1")


def _validate_train(train: TrainConfig) -> None:
    _one_of("train.name", train.name, tuple(TRAINERS))
    if train.horizon is not None:
        _require("train.horizon", train.horizon, _positive(train.horizon),
                 "a positive time, or null to choose it from the prediction")
    _require("train.convergence", train.convergence, 0 <= train.convergence < 1,
             "a fraction of the initial loss from 0 up to but not including 1")
    _require("train.max_rows", train.max_rows, 100 <= train.max_rows <= 20000, "an integer from 100 to 20000")
    if isinstance(train, GradientFlowConfig):
        _one_of("train.method", train.method, FLOW_METHODS)
        _require("train.tolerance", train.tolerance, 1e-13 <= train.tolerance <= 1e-2,
                 "a number from 1e-13 to 1e-2")
    elif isinstance(train, GradientDescentConfig):
        _require("train.learning_rate", train.learning_rate, _positive(train.learning_rate),
                 "a positive number")
        _require("train.momentum", train.momentum, 0 <= train.momentum < 1,
                 "a number from 0 up to but not including 1")
        for key in ("max_steps", "batch_size"):
            value = getattr(train, key)
            _require(f"train.{key}", value, value is None or value >= 1, "an integer of at least 1, or null")
        _one_of("train.loss_normalization", train.loss_normalization, LOSS_NORMALIZATIONS)


def _validate_agf(config: RunConfig) -> None:
    agf = config.agf
    _one_of("agf.method", agf.method, AGF_METHODS)
    idealized = agf.cost_phase == "instantaneous" and not agf.dormant_interaction
    if agf.method == "closed_form" and not (idealized and config.model.name == "diagonal_linear"):
        raise ConfigError("agf.method", agf.method, "a closed form is known for model=diagonal_linear with "
                          "agf.cost_phase=instantaneous and agf.dormant_interaction=false only")
    _one_of("agf.cost_phase", agf.cost_phase, COST_PHASES)
    _require("agf.threshold", agf.threshold, _positive(agf.threshold), "a positive norm")
    for key in ("tolerance", "cost_tolerance"):
        value = getattr(agf, key)
        _require(f"agf.{key}", value, 1e-13 <= value <= 1e-2, "a number from 1e-13 to 1e-2")
    _require("agf.loss_tolerance", agf.loss_tolerance, 0 <= agf.loss_tolerance < 1,
             "a fraction of the initial loss from 0 up to but not including 1")
    _require("agf.max_events", agf.max_events, agf.max_events >= 1, "an integer of at least 1")
    _require("agf.max_time", agf.max_time, agf.max_time is None or _positive(agf.max_time),
             "a positive time, or null")


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _require(key: str, value: Any, holds: bool, allowed: str) -> None:
    if not holds:
        raise ConfigError(key, value, f"must be {allowed}")


def _one_of(key: str, value: str, allowed: tuple[str, ...], context: str = "") -> None:
    if value not in allowed:
        hint = did_you_mean(closest(value, allowed))
        raise ConfigError(key, value, f"choose one of {', '.join(allowed)}{context}{hint}")
