"""The typed configuration: every key and its default; `agfrun.study.validation` checks the ranges.

Hydra composes these dataclasses from `configs/`; a notebook builds them directly. The keys
of a network or a data set are defined beside its code and found through `agfrun.study.registry`. This module
imports neither torch nor Hydra, so that `agfrun --help` answers at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.study import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import torch
    from matplotlib.figure import Figure

    from agfrun.labs.staircases.networks.base import Architecture
    from agfrun.study.study import Finished, StudyResult

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
TRACKERS = ("none", "mlflow", "tensorboard")
# What MLflow can log to; its store of plain files refuses to.
TRACKING_SCHEMES = ("sqlite:///", "http://", "https://", "postgresql", "mysql", "mssql", "databricks")
# Keys that say how and where a run is done, not what: they change no number of it.
NOT_IN_HASH = ("plots", "plot_formats", "report", "overwrite", "checkpoint", "sweep", "tracking")


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

    def memory(self) -> float:
        """Bytes that `build` and whatever a network keeps of the data will take, roughly; 0 where it is not known."""
        return 0.0

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
    """Gradient descent with heavy-ball momentum; `batch_size` null is full batch.

    `compile` has many steps compiled into one: the same numbers but for rounding, sooner done from
    some 300,000 steps on.
    """

    name: str = "gradient_descent"
    learning_rate: float = 0.01
    momentum: float = 0.0
    max_steps: int | None = None
    batch_size: int | None = None
    compile: bool = False
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
class SweepConfig:
    """How the runs of `--multirun` are shared out. It changes no number of them.

    `resume` is the folder of a sweep to continue; `batch_size` the most runs that one process does;
    `together` whether runs of a batch that differ in seed and scale alone are trained together; `parquet`
    whether the gathered loss is written as Parquet too, null where it is large and pyarrow is installed.
    """

    resume: str | None = None
    batch_size: int = 32
    together: bool = True
    parquet: bool | None = None


@dataclass(frozen=True)
class CheckpointConfig:
    """How often a run under way is saved, for `agfrun resume`. It changes no number of it.

    `seconds` are those between two checkpoints, null for none; `keep` is how many of the last stay.
    """

    seconds: float | None = 60.0
    keep: int = 2


@dataclass(frozen=True)
class TrackingConfig:
    """Where runs are recorded besides their folders. It changes no number of them.

    `uri` and `experiment` are MLflow's, `folder` is TensorBoard's.
    """

    name: str = "none"
    uri: str = "sqlite:///outputs/mlflow.db"
    experiment: str = "agfrun"
    folder: str = "outputs/tensorboard"


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
        from agfrun.runner.execution import execute_study

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
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


TRAINERS: dict[str, type[TrainConfig]] = {
    "gradient_flow": GradientFlowConfig,
    "gradient_descent": GradientDescentConfig,
}


def saved_values(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain values; where a run was shared out with others or recorded besides is no part."""
    values = dataclasses.asdict(config)
    for key in ("sweep", "tracking"):
        del values[key]
    return values


def config_hash(config: RunConfig) -> str:
    """Hash of everything that decides the numbers of a run (not of plots, report or overwriting)."""
    values = dataclasses.asdict(config)
    for key in NOT_IN_HASH:
        values.pop(key, None)
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
