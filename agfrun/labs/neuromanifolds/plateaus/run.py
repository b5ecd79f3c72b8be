"""The run whose plateaus are labelled: read from its folder, or trained here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from agfrun.files.saved_run import finished_status, read_config, read_run, study_name
from agfrun.labs.staircases import EVENTS, LOSS, Architecture, CompareConfig, RunConfig, build_architecture
from agfrun.labs.staircases import prepare as prepare_training
from agfrun.labs.staircases import trained as train_and_judge
from agfrun.study.checks import require
from agfrun.study.conversion import from_mapping
from agfrun.study.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from agfrun.study.bench import Bench

# Beyond, the eigenvalues of the Hessians take hours.
MOST_WEIGHTS = 4000
NEURONS, MOMENTS = "neurons/plateau_", "plateau_times"
TRAINING, ACQUISITION = "training", "acquisition"


@dataclass(frozen=True)
class LabelledRun:
    """What is labelled.

    Attributes:
        config: of the run.
        architecture: its network on its data, in float64 on the CPU.
        tables: its loss and events.
        arrays: its parameters.safetensors: the weights that it kept on each plateau.
        provenance: for the manifest: where the weights are from.
    """

    config: RunConfig
    architecture: Architecture
    tables: Mapping[str, pd.DataFrame]
    arrays: Mapping[str, np.ndarray]
    provenance: Mapping[str, Any]

    def states(self) -> list[torch.Tensor]:
        """Neurons (H, D) that training had on each plateau: in the middle, in log time, between acquisitions."""
        return [torch.tensor(self.arrays[f"{NEURONS}{k}"]) for k in range(len(self.arrays[MOMENTS]))]

    def spans(self) -> list[tuple[float, float]]:
        """Start and end of each plateau: the acquisitions around it."""
        events, loss = self.tables[EVENTS.name], self.tables[LOSS.name]
        acquired = events[(events["source"] == TRAINING) & (events["kind"] == ACQUISITION)]["time"].tolist()
        times = loss[loss["source"] == TRAINING]["time"]
        ends = [float(times.iloc[0]), *sorted(acquired), float(times.iloc[-1])]
        return list(zip(ends[:-1], ends[1:], strict=True))


def architecture_of(config: RunConfig) -> Architecture:
    """The network of a configuration on its data, in float64 on the CPU.

    Raises:
        ConfigError: see `build_architecture`, it does not give the values of its function, or is too large.
    """
    architecture = build_architecture(dataclasses.replace(config, device="cpu", dtype="float64"))
    require("model.name", config.model.name, architecture.width * architecture.neuron_dimension <= MOST_WEIGHTS,
            f"a network of at most {MOST_WEIGHTS} weights: the eigenvalues of its Hessian are taken")
    nothing = torch.zeros(1, architecture.neuron_dimension, dtype=torch.float64)
    architecture.function_values(nothing, torch.zeros(1, dtype=torch.long))
    return architecture


def check_folder(folder: str) -> RunConfig:
    """The configuration of a finished run of training in a folder.

    Raises:
        ConfigError: there is none.
    """
    path = Path(folder)
    try:
        values = read_config(path)
        if study_name(values) != CompareConfig.name:
            raise ConfigError("study.run", folder, f"it is a run of study={study_name(values)}; it must be one of "
                              f"study={CompareConfig.name}, which trains a network")
        if finished_status(path) is None:
            raise ConfigError("study.run", folder, f"the run is not finished; go on with agfrun resume {folder}")
    except OutputError as error:
        raise ConfigError("study.run", folder, f"it must be the folder of a finished run: {error}") from error
    config = from_mapping(values)
    assert isinstance(config, RunConfig)
    return config


def saved_run(folder: str) -> LabelledRun:
    """A finished run from its folder.

    Raises:
        ConfigError: see `check_folder`, or it holds no weights.
        OutputError: one of its files is damaged.
    """
    config = check_folder(folder)
    _, saved = read_run(Path(folder))
    needed = (NEURONS + "0", MOMENTS)
    if any(name not in saved.arrays for name in needed) or LOSS.name not in saved.tables:
        raise ConfigError("study.run", folder, "it must hold the weights of its plateaus, parameters.safetensors, and "
                          f"{LOSS.file}")
    return LabelledRun(config, architecture_of(config), saved.tables, saved.arrays, {
        "labelled_run": {"folder": folder, "config_hash": saved.manifest.get("config_hash"), "weights": "saved"}})


def trained_run(config: RunConfig, bench: Bench) -> LabelledRun:
    """The configured network, trained here; an interrupted training goes on from its checkpoints.

    Raises:
        ConfigError: see `agfrun.run`.
        DivergenceError: training left the finite numbers.
        KeyboardInterrupt: interrupted.
    """
    architecture = architecture_of(config)  # refused before it is trained
    result = train_and_judge(prepare_training(config, clock=bench.clock), bench)
    if result.failure is not None:
        raise result.failure
    return LabelledRun(config, architecture, result.tables, result.arrays, {
        "labelled_run": {"folder": None, "config_hash": None, "weights": "trained here"}})
