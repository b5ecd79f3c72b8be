"""The settings of the studies of loss staircases: every key and its default, and the ranges of the values.

Hydra composes these dataclasses from `configs/`; a notebook builds them directly. The keys of a network or a data set
are defined beside its code. This module imports neither torch nor Hydra, so that `agfrun --help` answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.labs.staircases import sources
from agfrun.labs.staircases.run.sizes import check_data_memory
from agfrun.study import registry
from agfrun.study.checks import one_of, positive, require
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Choice, Study

if TYPE_CHECKING:
    import numpy as np
    import torch

    from agfrun.labs.staircases.networks.base import Architecture

DEFAULT_MODEL = "quadratic_modadd"
DEFAULT_DATA = "modular_addition"
DEFAULT_STUDY = "compare"

LOSS_NORMALIZATIONS = ("paper", "mean_over_outputs", "sum_over_outputs")
FLOW_METHODS = ("auto", "rosenbrock", "extrapolation", "rkc", "rock4", "lsoda")
FACTORIZING = ("rosenbrock", "lsoda")
# Up to so many unknowns `auto` takes a method that factorizes.
LARGEST_FACTORIZED = 2500
# Unknowns of the neurons that extrapolation treats implicitly, at most, or one neuron: a factorization takes 0.1 s.
MOST_IMPLICIT = 1500
# Square matrices held at a time by a method that factorizes (the Jacobian, its factors, those of the carried error) and
# by extrapolation (the Jacobian, what it is copied from, its factors).
FACTORIZING_MATRICES, EXTRAPOLATION_MATRICES = 8, 3
STREAMS = ("neuron", "network")
COST_PHASES = tuple(sources.OF_COST_PHASE)
# What can be predicted beside the main prediction; closed forms cost nothing and are always there.
BESIDE = tuple(rung for rung in sources.LADDER if rung != sources.THEORY)
# Of the alternations, as in configs/agf: how cost phases go, threshold and loss tolerance.
PRESETS = {sources.AGF: ("instantaneous", 1.0, 1e-4), sources.DECOUPLED: ("decoupled", 0.2, 1e-6)}
DORMANT_CLOCKS = ("carried", "restarted")
AGF_METHODS = ("auto", "generic", "closed_form")


@dataclass
class ModelConfig(Choice):
    """Which network; every network has a subclass of its own, beside its code.

    `loss_normalization` is how the published code normalizes its loss: the default of
    `train=gradient_descent`.
    """

    loss_normalization: str = "paper"

    data_type: ClassVar[type]
    """Type of the data that the network is built on."""
    initializations: ClassVar[tuple[str, ...]] = ("gaussian",)
    """Choices of `init` that the network has."""

    @classmethod
    def check_declaration(cls) -> None:
        """Check what the class declares, when it is registered.

        Raises:
            ValueError: it does not say on which data it is built.
        """
        _require_declared(cls, "data_type", "on which data it is built")

    def check(self) -> None:
        """Check the ranges of this network's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def neurons_shape(self, data: Any) -> tuple[int, int] | None:
        """Number of neurons H and their dimension D on `data`, known before the network is built.

        With it a network that cannot be trained in the memory there is is refused at once; None leaves that out.
        """
        return None

    def build(self, data: Any) -> Architecture:
        """The network on `data`, an instance of `data_type`.

        Raises:
            ConfigError: the network cannot be built on these data.
        """
        raise NotImplementedError


@dataclass
class DataConfig(Choice):
    """Which data; every data set has a subclass of its own, beside its code."""

    provides: ClassVar[type]
    """Type of what `build` returns; a network whose `data_type` this is can be trained on it."""

    @classmethod
    def check_declaration(cls) -> None:
        """See `ModelConfig.check_declaration`.

        Raises:
            ValueError: it does not say what it makes.
        """
        _require_declared(cls, "provides", "what it makes")

    def check(self) -> None:
        """Check the ranges of this data set's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def memory(self) -> float:
        """Bytes that `build` and whatever a network keeps of the data will take, roughly; 0 where it is not known."""
        return 0.0

    def build(self, dtype: torch.dtype, device: torch.device) -> Any:
        """The data.

        Raises:
            ConfigError: they cannot be made or read.
        """
        raise NotImplementedError


@register("init", "balanced", "deterministic", "gaussian")
@dataclass
class InitConfig(Choice):
    """The initialization. `scale` is alpha: a typical neuron starts at norm sqrt(2) * alpha.

    `log10_scale`, where given, stands in for `scale`, so that alpha may be below the smallest float.
    `stream` says from where random numbers come: `neuron`, a stream for each neuron, so that a wider network begins
    with the neurons of the narrower one; `network`, one for all in the run's precision, as in earlier versions.
    """

    name: str = "gaussian"
    scale: float = 1e-2
    log10_scale: float | None = None
    stream: str = "neuron"

    of_any_network: ClassVar[bool] = False
    """Whether the choice itself has the neurons, in `neurons`; else the network draws them."""

    @property
    def log_scale(self) -> float:
        """Natural logarithm of alpha."""
        return math.log(self.scale) if self.log10_scale is None else self.log10_scale * math.log(10)

    def check(self) -> None:
        """Check the ranges of the initialization's keys.

        Raises:
            ConfigError: a value is not allowed.
        """
        require("init.scale", self.scale, math.isfinite(self.scale) and 0 < self.scale < 1,
                "a number above 0 and below 1; for scales below the smallest float there is init.log10_scale, "
                "e.g. -400")
        exponent = self.log10_scale
        require("init.log10_scale", exponent, exponent is None or -1e6 <= exponent < 0,
                "an exponent from -1e6 up to but not including 0, or null")
        one_of("init.stream", self.stream, STREAMS)

    def neurons(self, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
        """The neurons (H, D) before they are multiplied by `scale`, of a choice that has them for any network.

        Raises:
            ConfigError: it has none of this shape.
        """
        raise NotImplementedError


@dataclass
class TrainConfig(Choice):
    """The real training. `horizon` is in gradient-flow time; null chooses it from the prediction."""

    name: str = "gradient_flow"
    horizon: float | None = None
    convergence: float = 1e-6
    max_rows: int = 2000

    def check(self) -> None:
        """Check the ranges of the trainer's keys.

        Raises:
            ConfigError: a value is not allowed.
        """
        if self.horizon is not None:
            require("train.horizon", self.horizon, positive(self.horizon),
                    "a positive time, or null to choose it from the prediction")
        require("train.convergence", self.convergence, 0 <= self.convergence < 1,
                "a fraction of the initial loss from 0 up to but not including 1")
        require("train.max_rows", self.max_rows, 100 <= self.max_rows <= 20000, "an integer from 100 to 20000")

    def matrix_entries(self, width: int, dimension: int) -> float:
        """Entries of all square matrices that are held at a time, for H neurons of dimension D: for the memory."""
        return 0.0

    def unpredicted(self) -> Mapping[str, str]:
        """What AGF says nothing of in this training, of `levels` and `times`, with the reason: it is not compared."""
        return {}

    def run(self, problem: Any, horizon: float, watch: Any) -> Any:
        """Train a network from its initialization: what a trainer from outside brings.

        Those that are built in are in `staircases.run.training`, which this module cannot import.

        Args:
            problem: the network and where it starts, an `agfrun.Problem`.
            horizon: gradient-flow time at which to stop at the latest.
            watch: progress, checkpoints and what to go on from, a `staircases.run.training.Watch`.

        Returns:
            A `staircases.dynamics.result.TrainingResult`.

        Raises:
            CheckpointError: what to go on from is of another training.
        """
        raise NotImplementedError


@register("train")
@dataclass
class GradientFlowConfig(TrainConfig):
    """Gradient flow, integrated adaptively to a relative tolerance for each neuron."""

    method: str = "auto"
    tolerance: float = 1e-6

    def check(self) -> None:
        """See `TrainConfig.check`."""
        super().check()
        one_of("train.method", self.method, FLOW_METHODS)
        require("train.tolerance", self.tolerance, 1e-13 <= self.tolerance <= 1e-2, "a number from 1e-13 to 1e-2")

    def matrix_entries(self, width: int, dimension: int) -> float:
        """See `TrainConfig.matrix_entries`."""
        unknowns = float(width) * dimension
        if self.method in FACTORIZING or (self.method == "auto" and unknowns <= LARGEST_FACTORIZED):
            return FACTORIZING_MATRICES * unknowns**2
        if self.method in ("auto", "extrapolation"):
            return EXTRAPOLATION_MATRICES * min(unknowns, max(MOST_IMPLICIT, dimension)) ** 2
        return 0.0


@register("train")
@dataclass
class GradientDescentConfig(TrainConfig):
    """Gradient descent with heavy-ball momentum; `batch_size` null is full batch."""

    name: str = "gradient_descent"
    learning_rate: float = 0.01
    momentum: float = 0.0
    max_steps: int | None = None
    batch_size: int | None = None
    loss_normalization: str = "mean_over_outputs"

    def check(self) -> None:
        """See `TrainConfig.check`."""
        super().check()
        require("train.learning_rate", self.learning_rate, positive(self.learning_rate), "a positive number")
        require("train.momentum", self.momentum, 0 <= self.momentum < 1, "a number from 0 up to but not including 1")
        for key in ("max_steps", "batch_size"):
            value = getattr(self, key)
            require(f"train.{key}", value, value is None or value >= 1, "an integer of at least 1, or null")
        one_of("train.loss_normalization", self.loss_normalization, LOSS_NORMALIZATIONS)


@dataclass
class AgfConfig:
    """Alternating Gradient Flows: the prediction.

    `cost_phase` says which the main prediction is, of which the verdict and the claims speak: `instantaneous` is
    AGF as published, `decoupled` the decoupled flow. `beside` are the other rungs of the ladder; an alternation among
    them has the threshold and loss tolerance of its own preset, and everything else from here.
    """

    method: str = "auto"
    cost_phase: str = "instantaneous"
    beside: list[str] = field(default_factory=lambda: [sources.OWN_SIZE])
    dormant_interaction: bool = False
    dormant_clock: str = "carried"
    threshold: float = 1.0
    tolerance: float = 1e-8
    cost_tolerance: float = 1e-2
    loss_tolerance: float = 1e-4
    max_events: int = 200
    max_time: float | None = None

    @property
    def main(self) -> str:
        """Which rung of the ladder the main prediction is."""
        return sources.OF_COST_PHASE[self.cost_phase]

    def of_rung(self, rung: str) -> AgfConfig:
        """The settings of an alternation of the ladder: these, or for one beside the main one those of its preset."""
        if rung == self.main:
            return self
        cost_phase, threshold, loss_tolerance = PRESETS[rung]
        return replace(self, method="auto", cost_phase=cost_phase, threshold=threshold, loss_tolerance=loss_tolerance)


@dataclass
class RunConfig(RunSettings):
    """The settings of a study of one network from one initialization."""

    study: Study = field(default_factory=lambda: registry.default_choice("study", DEFAULT_STUDY, Study))
    model: ModelConfig = field(default_factory=lambda: registry.default_choice("model", DEFAULT_MODEL, ModelConfig))
    data: DataConfig = field(default_factory=lambda: registry.default_choice("data", DEFAULT_DATA, DataConfig))
    init: InitConfig = field(default_factory=InitConfig)
    train: TrainConfig = field(default_factory=GradientFlowConfig)
    agf: AgfConfig = field(default_factory=AgfConfig)

    @classmethod
    def unsaid(cls, number: int) -> Mapping[str, Any]:
        """See `RunSettings.unsaid`: before format 3 neurons were drawn from one stream, and there was no ladder."""
        return {"init.stream": "network", "agf.beside": []} if number < 3 else {}

    @classmethod
    def renamed(cls, number: int) -> Mapping[str, Mapping[Any, Any]]:
        """See `RunSettings.renamed`: the decoupled flow was called timed."""
        return {"agf.cost_phase": {"timed": "decoupled"}} if number < 3 else {}

    @classmethod
    def removed(cls) -> Mapping[str, str]:
        """See `RunSettings.removed`."""
        return {"train.compile": "there is no such key any more: steps are compiled by themselves wherever that is "
                                 "quicker; leave it out"}

    def check(self) -> None:
        """See `RunSettings.check`; also what suits what."""
        super().check()
        one_of("model.loss_normalization", self.model.loss_normalization, LOSS_NORMALIZATIONS)
        self.model.check()
        check_data_memory(self)
        self.data.check()
        _check_match(self)
        self.init.check()
        self.train.check()
        _check_agf(self.agf)


def _require_declared(kind: type, name: str, what: str) -> None:
    if not isinstance(getattr(kind, name, None), type):
        raise ValueError(f"{kind.__qualname__} does not say {what}: its class attribute {name} is no type")


def _check_match(config: RunConfig) -> None:
    """The network can be built on the data, and has the initialization."""
    model = config.model
    fitting = [name for name, data in registry.choices("data", DataConfig).items()
               if issubclass(data.provides, model.data_type)]  # type: ignore[attr-defined]
    if not issubclass(config.data.provides, model.data_type):
        one_of("data.name", config.data.name, fitting, f" with model={model.name}")
    if not config.init.of_any_network:
        drawn = [name for name, init in registry.choices("init", InitConfig).items()
                 if init.of_any_network]  # type: ignore[attr-defined]
        one_of("init.name", config.init.name, [*model.initializations, *drawn], f" with model={model.name}")


def _check_agf(agf: AgfConfig) -> None:
    one_of("agf.method", agf.method, AGF_METHODS)
    one_of("agf.cost_phase", agf.cost_phase, COST_PHASES)
    for name in agf.beside:
        one_of("agf.beside", name, BESIDE)
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
