"""A small synthetic run of modular addition with known answers, as trajectories, tables and a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from agfrun.files.tables import rows_table
from agfrun.files.writing import write_csv, write_safetensors, write_text
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.run import tables

P = 12
FEATURES = ("1", "2", "4")
AMPLITUDES = np.array([10.0, 5.0, 2.5])
DROP_TIMES = np.array([20.0, 150.0, 1500.0])
LEVELS = np.append(np.cumsum(AMPLITUDES[::-1] ** 2)[::-1], 0.0) / P
# The prediction is this much late, so that it can be told from training.
LATE = 1.25
INITIAL_NORM = 0.01
DEGREE = 3


@dataclass
class SyntheticRun:
    """A run's pieces; a test changes what it is about."""

    trajectories: list[Trajectory]
    events: dict[str, list[Event]]
    comparison_rows: list[dict[str, Any]]
    claim_rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def loss(self) -> pd.DataFrame:
        return tables.loss_table(self.trajectories)

    @property
    def features(self) -> pd.DataFrame:
        return tables.features_table(self.trajectories)

    @property
    def neurons(self) -> pd.DataFrame:
        return tables.neurons_table(self.trajectories)

    @property
    def event_table(self) -> pd.DataFrame:
        return tables.events_table(self.events)

    @property
    def comparison(self) -> pd.DataFrame:
        return rows_table(tables.COMPARISON, self.comparison_rows)


@pytest.fixture
def run() -> SyntheticRun:
    """A run of the test's own, to change."""
    return _synthetic_run()


@pytest.fixture(scope="session")
def pristine() -> SyntheticRun:
    """The run as it is, shared: drawing a figure takes a third of a second."""
    return _synthetic_run()


def _synthetic_run() -> SyntheticRun:
    trajectories = [_training(), _prediction(), _theory()]
    events = {
        "training": _acquisitions(DROP_TIMES),
        "agf": _acquisitions(LATE * DROP_TIMES),
        "theory": _acquisitions(np.full(3, np.nan)),
    }
    comparison = [
        {
            "source": "agf", "event": place + 1, "kind": "acquisition", "feature": feature,
            "time_predicted": LATE * time, "time_training": time, "time_ratio": LATE,
            "level_predicted": after, "level_training": after,
            "order_matches": True, "lower_bound": time / 4, "lower_bound_holds": True, "level_theory": after,
        }
        for place, (feature, time, after) in enumerate(zip(FEATURES, DROP_TIMES, LEVELS[1:], strict=True))
    ]
    return SyntheticRun(trajectories, events, comparison)


@pytest.fixture
def template() -> np.ndarray:
    spectrum = np.zeros(P // 2 + 1)
    spectrum[[int(feature) for feature in FEATURES]] = AMPLITUDES
    return np.fft.irfft(spectrum, n=P)


@pytest.fixture
def six_neurons() -> Callable[[int], np.ndarray]:
    """The exact solution for one frequency: six neurons with phases 2 pi i / 6 times (1, 4, 5)."""
    return _six_neurons


@pytest.fixture
def run_dir(tmp_path: Path, run: SyntheticRun, template: np.ndarray) -> Path:
    """The synthetic run as a folder of saved files."""
    folder = tmp_path / "run"
    folder.mkdir()
    for schema, frame in (
        (tables.LOSS, run.loss),
        (tables.FEATURES, run.features),
        (tables.NEURONS, run.neurons),
        (tables.EVENTS, run.event_table),
        (tables.COMPARISON, run.comparison),
    ):
        write_csv(folder / schema.file, frame)
    config = {"model": {"name": "quadratic_modadd"}, "agf": {"threshold": 1.0}}
    write_text(folder / "config.yaml", yaml.safe_dump(config))
    states = plateau_neurons()
    arrays = {f"neurons/plateau_{place}": state.reshape(18, -1) for place, state in enumerate(states)}
    arrays |= {"neurons/initial": arrays["neurons/plateau_0"], "neurons/final": arrays["neurons/plateau_1"]}
    arrays |= {"plateau_times": np.array([1.0, 4000.0]), "template": template}
    write_safetensors(folder / "parameters.safetensors", arrays)
    return folder


def plateau_neurons() -> list[np.ndarray]:
    """18 neurons on two plateaus: no frequency and all three learned."""
    solved = [_six_neurons(int(feature)) for feature in FEATURES]
    small = np.random.default_rng(0).standard_normal((6, 3, P)) * 1e-3
    return [np.concatenate(solved[:count] + [small] * (3 - count)) for count in (0, 3)]


def _six_neurons(frequency: int) -> np.ndarray:
    """Shape (6, 3, P). From sum_i (A X)^2 C cos(..) cos(..) = 3 A^2 X^2 C cos(..) = (2 X / p) cos(..)."""
    amplitude = AMPLITUDES[FEATURES.index(str(frequency))]
    size = (2 / (3 * amplitude * P)) ** (1 / 3)
    phases = 2 * np.pi / 6 * np.arange(6)[:, None] * np.array([1, 4, 5])
    angles = 2 * np.pi * frequency * np.arange(P) / P
    return size * np.cos(angles + phases[:, :, None])


def _training() -> Trajectory:
    times = np.concatenate([[0.0], np.geomspace(0.5, 5000.0, 160)])
    with np.errstate(divide="ignore"):
        risen = 1 / (1 + (DROP_TIMES / times[:, None]) ** 15)
    features = AMPLITUDES * risen
    loss = ((AMPLITUDES - features) ** 2).sum(axis=1) / P
    return _with_neurons("training", times, loss, features, DROP_TIMES)


def _prediction() -> Trajectory:
    jumps = LATE * DROP_TIMES
    within = [np.linspace(start, end, 12) for start, end in zip([0.0, *jumps], [*jumps, 4000.0], strict=True)]
    times = np.concatenate(within)
    stage = np.repeat(np.arange(4), 12)
    features = AMPLITUDES * (np.arange(3) < stage[:, None])
    return _with_neurons("agf", times, LEVELS[stage], features, jumps)


def _with_neurons(
    source: str, times: np.ndarray, loss: np.ndarray, features: np.ndarray, activations: np.ndarray
) -> Trajectory:
    """Neuron k races for feature k with constant utility and jumps to norm 2 at its activation."""
    needed = 1 / INITIAL_NORM - 1
    utility = np.minimum(times[:, None] / activations, 1.0) * needed
    active = times[:, None] > activations
    norms = np.where(active, 2.0, 1 / (1 / INITIAL_NORM - utility))
    # Neuron 2 first points at feature 0 and turns half-way.
    direction = np.tile(np.arange(3), (len(times), 1))
    direction[times < activations[2] / 2, 2] = 0
    return Trajectory(source, times, loss, FEATURES, features, np.log(norms), utility, direction, active)


def _theory() -> Trajectory:
    """Levels and final sizes without times, as theory gives them for modular addition."""
    stage = np.arange(4)
    none = np.empty((4, 0))
    return Trajectory(
        "theory", np.full(4, np.nan), LEVELS, FEATURES, AMPLITUDES * (np.arange(3) < stage[:, None]),
        none, none, none.astype(np.int64), none.astype(np.bool_),
    )


def _acquisitions(times: np.ndarray) -> list[Event]:
    return [
        Event("acquisition", float(time), feature, None, float(before), float(after))
        for time, feature, before, after in zip(times, FEATURES, LEVELS[:-1], LEVELS[1:], strict=True)
    ]
