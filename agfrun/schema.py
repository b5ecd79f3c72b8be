"""The typed configuration: every key, its default and its range, checked once at the edge.

Hydra composes these dataclasses from `configs/`; a notebook builds them directly. The keys
of a network or a data set are defined beside its code and found through `agfrun.registry`. This module
imports neither torch nor Hydra, so that `agfrun --help` answers at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun import registry
from agfrun.checks import one_of, positive, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import torch
    from matplotlib.figure import Figure

    from agfrun.architectures.base import Architecture
    from agfrun.studies.study import Finished, StudyResult

DEFAULT_MODEL = "quadratic_modadd"
DEFAULT_DATA = "modular_addition"
DEFAULT_STUDY = "compare"

LOSS_NORMALIZATIONS = ("paper", "mean_over_outputs", "sum_over_outputs")
FLOW_METHODS = ("auto", "rosenbrock", "extrapolation", "rkc", "lsoda")
COST_PHASES = ("instantaneous", "timed")
DORMANT_CLOCKS = ("carried", "restarted")
AGF_METHODS = ("auto", "generic", "closed_form")
DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float64", "float32")
PLOT_FORMATS = ("png", "pdf")


@dataclass
class ModelConfig:
    """Which network; every network has a subclass of its own, beside its code.

    `loss_normalization` is how the published code normalizes its loss: the default of
    `train=gradient_descent`.
    """

    name: str
    loss_normalization: str = "paper"

    data_type: ClassVar[type]
    """Type of the data that the network is built on."""
    initializations: ClassVar[tuple[str, ...]] = ("gaussian",)
    """Choices of `init` that the network has."""

    def check(self) -> None:
        """Check the ranges of this network's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def build(self, data: Any) -> Architecture:
        """The network on `data`, an instance of `data_type`.

        Raises:
            ConfigError: the network cannot be built on these data.
        """
        raise NotImplementedError


@dataclass
class DataConfig:
    """Which data; every data set has a subclass of its own, beside its code."""

    name: str

    provides: ClassVar[type]
    """Type of what `build` returns; a network whose `data_type` this is can be trained on it."""

    def check(self) -> None:
        """Check the ranges of this data set's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def build(self, dtype: torch.dtype, device: torch.device) -> Any:
        """The data.

        Raises:
            ConfigError: they cannot be made or read.
        """
        raise NotImplementedError


@dataclass
class InitConfig:
    """The initialization. `scale` is alpha: a typical neuron starts at norm sqrt(2) * alpha.

    `log10_scale`, where given, stands in for `scale`, so that alpha may be below the smallest float.
    """

    name: str = "gaussian"
    scale: float = 1e-2
    log10_scale: float | None = None

    @property
    def log_scale(self) -> float:
        """Natural logarithm of alpha."""
        return math.log(self.scale) if self.log10_scale is None else self.log10_scale * math.log(10)


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
    dormant_clock: str = "carried"
    threshold: float = 1.0
    tolerance: float = 1e-8
    cost_tolerance: float = 1e-2
    loss_tolerance: float = 1e-4
    max_events: int = 200
    max_time: float | None = None


@dataclass
class EnsembleConfig:
    """Many members in one run: seeds `seed`, `seed` + 1, ..., each at every scale.

    `scales` stand in for `init.scale`; null is that scale alone.
    """

    seeds: int = 1
    scales: list[float] | None = None

    @property
    def is_asked_for(self) -> bool:
        """Whether there is anything but the one run that is configured."""
        return self.seeds > 1 or self.scales is not None


@dataclass
class StudyConfig:
    """What is done with the configured network; every study has a subclass of its own, beside its code.

    A study makes tables, and draws figures from these tables alone, so that they can be redrawn.
    """

    name: str

    tables: ClassVar[tuple[str, ...]] = ()
    """Names of the tables that `study` saves, each of which becomes NAME.csv."""

    def check(self, config: RunConfig) -> None:
        """Check the ranges of this study's own keys, and that it suits the configuration.

        Raises:
            ConfigError: a value is not allowed.
        """

    def study(self, config: RunConfig, save: Callable[[Mapping[str, pd.DataFrame]], None],
              progress: bool | None) -> StudyResult:
        """Do the study.

        Args:
            config: validated; the network, data and so on to study.
            save: write the tables as far as they are known. To be called whenever something is finished, so
                that nothing is lost to a later failure.
            progress: show a bar; None decides by whether standard error is a terminal.
        """
        raise NotImplementedError

    def figures(self, tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Figure]]:
        """Names and figures drawn from the saved tables; a table that was not saved yet is absent."""
        return iter(())

    def execute(self, config: RunConfig, *, output_dir: Path | str | None, progress: bool | None,
                command: Sequence[str] | None) -> Finished:
        """Do the study and write its files; what `agfrun` calls."""
        from agfrun.studies.runner import execute_study

        return execute_study(self, config, output_dir, progress, command)


@dataclass
class RunConfig:
    """One run: a study of one network from one initialization."""

    model: ModelConfig = field(default_factory=lambda: registry.models()[DEFAULT_MODEL]())  # type: ignore[call-arg]
    data: DataConfig = field(default_factory=lambda: registry.data_sets()[DEFAULT_DATA]())  # type: ignore[call-arg]
    init: InitConfig = field(default_factory=InitConfig)
    train: TrainConfig = field(default_factory=GradientFlowConfig)
    agf: AgfConfig = field(default_factory=AgfConfig)
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
    study: StudyConfig = field(default_factory=lambda: registry.studies()[DEFAULT_STUDY]())  # type: ignore[call-arg]
    seed: int = 0
    device: str = "auto"
    dtype: str = "float64"
    plots: bool = True
    plot_formats: list[str] = field(default_factory=lambda: ["png", "pdf"])
    report: bool = True
    overwrite: bool = False


TRAINERS: dict[str, type[TrainConfig]] = {
    "gradient_flow": GradientFlowConfig,
    "gradient_descent": GradientDescentConfig,
}


def config_hash(config: RunConfig) -> str:
    """Hash of everything that decides the numbers of a run (not of plots, report or overwriting)."""
    values = dataclasses.asdict(config)
    for key in ("plots", "plot_formats", "report", "overwrite"):
        values.pop(key)
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def validate(config: RunConfig) -> RunConfig:
    """Check every range; return the configuration unchanged.

    Raises:
        ConfigError: names the first key that is not allowed, its value and what is allowed.
    """
    one_of("device", config.device, DEVICES)
    one_of("dtype", config.dtype, DTYPES)
    require("seed", config.seed, 0 <= config.seed < 2**63, "an integer from 0 to 2**63 - 1")
    for plot_format in config.plot_formats:
        one_of("plot_formats", plot_format, PLOT_FORMATS)
    one_of("model.loss_normalization", config.model.loss_normalization, LOSS_NORMALIZATIONS)
    config.model.check()
    config.data.check()
    _validate_match(config)
    _validate_init(config)
    _validate_train(config.train)
    _validate_agf(config.agf)
    _validate_ensemble(config)
    config.study.check(config)
    return config


def _validate_match(config: RunConfig) -> None:
    """The network can be built on the data, and has the initialization."""
    model = config.model
    fitting = [name for name, data in registry.data_sets().items() if issubclass(data.provides, model.data_type)]
    if not issubclass(config.data.provides, model.data_type):
        one_of("data.name", config.data.name, fitting, f" with model={model.name}")
    one_of("init.name", config.init.name, model.initializations, f" with model={model.name}")


def _validate_init(config: RunConfig) -> None:
    scale, exponent = config.init.scale, config.init.log10_scale
    require("init.scale", scale, math.isfinite(scale) and 0 < scale < 1,
            "a number above 0 and below 1; for scales below the smallest float there is init.log10_scale, e.g. -400")
    require("init.log10_scale", exponent, exponent is None or -1e6 <= exponent < 0,
            "an exponent from -1e6 up to but not including 0, or null")


def _validate_ensemble(config: RunConfig) -> None:
    ensemble = config.ensemble
    require("ensemble.seeds", ensemble.seeds, ensemble.seeds >= 1, "an integer of at least 1")
    scales = ensemble.scales
    if scales is not None:
        fine = all(math.isfinite(scale) and 0 < scale < 1 for scale in scales)
        require("ensemble.scales", scales, fine and 0 < len(set(scales)) == len(scales),
                "a list of different numbers above 0 and below 1, or null")
        require("init.log10_scale", config.init.log10_scale, config.init.log10_scale is None,
                "null where ensemble.scales are given")
    if ensemble.is_asked_for:
        require("study", config.study.name, config.study.name == DEFAULT_STUDY, f"{DEFAULT_STUDY} for an ensemble")
    sampled = isinstance(config.train, GradientDescentConfig) and config.train.batch_size is not None
    require("ensemble.seeds", ensemble.seeds, ensemble.seeds == 1 or config.init.name != "deterministic" or sampled,
            "1 with init=deterministic, which no seed changes")
    require("ensemble.seeds", ensemble.seeds, config.seed + ensemble.seeds <= 2**63,
            "few enough for seeds below 2**63")


def _validate_train(train: TrainConfig) -> None:
    one_of("train.name", train.name, tuple(TRAINERS))
    if train.horizon is not None:
        require("train.horizon", train.horizon, positive(train.horizon),
                "a positive time, or null to choose it from the prediction")
    require("train.convergence", train.convergence, 0 <= train.convergence < 1,
            "a fraction of the initial loss from 0 up to but not including 1")
    require("train.max_rows", train.max_rows, 100 <= train.max_rows <= 20000, "an integer from 100 to 20000")
    if isinstance(train, GradientFlowConfig):
        one_of("train.method", train.method, FLOW_METHODS)
        require("train.tolerance", train.tolerance, 1e-13 <= train.tolerance <= 1e-2,
                "a number from 1e-13 to 1e-2")
    elif isinstance(train, GradientDescentConfig):
        require("train.learning_rate", train.learning_rate, positive(train.learning_rate),
                "a positive number")
        require("train.momentum", train.momentum, 0 <= train.momentum < 1,
                "a number from 0 up to but not including 1")
        for key in ("max_steps", "batch_size"):
            value = getattr(train, key)
            require(f"train.{key}", value, value is None or value >= 1, "an integer of at least 1, or null")
        one_of("train.loss_normalization", train.loss_normalization, LOSS_NORMALIZATIONS)


def _validate_agf(agf: AgfConfig) -> None:
    one_of("agf.method", agf.method, AGF_METHODS)
    one_of("agf.cost_phase", agf.cost_phase, COST_PHASES)
    one_of("agf.dormant_clock", agf.dormant_clock, DORMANT_CLOCKS)
    require("agf.threshold", agf.threshold, positive(agf.threshold), "a positive norm")
    for key in ("tolerance", "cost_tolerance"):
        value = getattr(agf, key)
        require(f"agf.{key}", value, 1e-13 <= value <= 1e-2, "a number from 1e-13 to 1e-2")
    require("agf.loss_tolerance", agf.loss_tolerance, 0 <= agf.loss_tolerance < 1,
            "a fraction of the initial loss from 0 up to but not including 1")
    require("agf.max_events", agf.max_events, agf.max_events >= 1, "an integer of at least 1")
    require("agf.max_time", agf.max_time, agf.max_time is None or positive(agf.max_time),
            "a positive time, or null")
