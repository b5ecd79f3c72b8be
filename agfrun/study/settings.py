"""The settings that every run has, whatever its study. Imports neither torch nor Hydra."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agfrun.study.checks import one_of, require
from agfrun.study.study import Study

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float64", "float32")
PLOT_FORMATS = ("png", "pdf")
TRACKERS = ("none", "mlflow", "tensorboard")
# What MLflow can log to; its store of plain files refuses to.
TRACKING_SCHEMES = ("sqlite:///", "http://", "https://", "postgresql", "mysql", "mssql", "databricks")
# Keys that say how and where a run is done, not what: they change no number of it.
NOT_IN_HASH = ("plots", "plot_formats", "report", "overwrite", "checkpoint", "sweep", "tracking")


@dataclass
class SweepConfig:
    """How the runs of `--multirun` are shared out. It changes no number of them.

    `resume` is the folder of a sweep to continue; `batch_size` the most runs that one process does;
    `together` whether runs of a batch that differ in the study's `together_keys` alone are done together; `parquet`
    whether large gathered tables are written as Parquet too, null where they are large and pyarrow is installed.
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
class RunSettings:
    """The settings of any run: a study, and how and where it is done.

    A study whose settings are more derives a dataclass from this one. Its further fields are plain values, groups of
    plain values (dataclasses), or slots: a field whose type is a subclass of `Choice` is chosen by name among what
    is registered for that slot.
    """

    study: Study
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

    @classmethod
    def unsaid(cls, number: int) -> Mapping[str, Any]:
        """What folders of the format `number` meant by keys that they did not have, by `group.key`.

        Only where that is not the key's default: a run is done again, and a sweep continued, as it was begun.
        """
        return {}

    @classmethod
    def renamed(cls, number: int) -> Mapping[str, Mapping[Any, Any]]:
        """What values of folders of the format `number` are called now: by `group.key`, new names by old ones."""
        return {}

    @classmethod
    def removed(cls) -> Mapping[str, str]:
        """Keys of earlier formats that there are no more, by `group.key`, and what to tell who writes one.

        What a folder or the plan of a sweep says of them is left out. Whoever removes one raises the format.
        """
        return {}

    def check(self) -> None:
        """Check every range but those of the study's own keys.

        Raises:
            ConfigError: names the first key that is not allowed, its value and what is allowed.
        """
        one_of("device", self.device, DEVICES)
        one_of("dtype", self.dtype, DTYPES)
        require("seed", self.seed, 0 <= self.seed < 2**63, "an integer from 0 to 2**63 - 1")
        for plot_format in self.plot_formats:
            one_of("plot_formats", plot_format, PLOT_FORMATS)
        check_sweep(self.sweep)
        _check_checkpoint(self.checkpoint)
        _check_tracking(self.tracking)


def require_float64_on_cpu(config: RunSettings, why: str) -> None:
    """Refuse a device or a number type that a study has no use for; `why` ends the sentence, such as "it counts".

    Raises:
        ConfigError: names the key.
    """
    for key, allowed in (("device", ("auto", "cpu")), ("dtype", ("float64",))):
        value = getattr(config, key)
        require(key, value, value in allowed, f"{' or '.join(allowed)} with study={config.study.name}: {why}")


def validate(config: Any) -> Any:
    """Check every range of a configuration, those of its study too; return it unchanged.

    Raises:
        ConfigError: names the first key that is not allowed, its value and what is allowed.
    """
    config.check()
    config.study.check(config)
    return config


def saved_values(config: RunSettings) -> dict[str, Any]:
    """The configuration as plain values; where a run was shared out with others or recorded besides is no part."""
    values = dataclasses.asdict(config)
    for key in ("sweep", "tracking"):
        del values[key]
    return values


def config_hash(config: RunSettings) -> str:
    """Hash of everything that decides the numbers of a run (not of plots, report or overwriting)."""
    return hash_of_values(dataclasses.asdict(config))


def hash_of_values(values: Mapping[str, Any]) -> str:
    """`config_hash` of a configuration as plain values, such as a manifest holds: of the keys that it has."""
    text = json.dumps({key: value for key, value in values.items() if key not in NOT_IN_HASH}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_sweep(sweep: SweepConfig) -> None:
    """Check the ranges of the keys `sweep.*`, which the jobs of a sweep do not have.

    Raises:
        ConfigError: a value is not allowed.
    """
    require("sweep.batch_size", sweep.batch_size, sweep.batch_size >= 1, "an integer of at least 1")


def _check_tracking(tracking: TrackingConfig) -> None:
    one_of("tracking.name", tracking.name, TRACKERS)
    require("tracking.uri", tracking.uri, tracking.uri.startswith(TRACKING_SCHEMES),
            "sqlite:///FILE, or the address of a server, http://HOST:PORT")
    require("tracking.experiment", tracking.experiment, bool(tracking.experiment.strip()), "a name")
    require("tracking.folder", tracking.folder, bool(tracking.folder.strip()), "a folder")


def _check_checkpoint(checkpoint: CheckpointConfig) -> None:
    seconds = checkpoint.seconds
    require("checkpoint.seconds", seconds, seconds is None or 0 <= seconds < math.inf,
            "a number of seconds of at least 0, or null for no checkpoints")
    require("checkpoint.keep", checkpoint.keep, checkpoint.keep >= 1, "an integer of at least 1")
