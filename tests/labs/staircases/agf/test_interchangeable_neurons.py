"""AGF and training of a network whose neurons may be mixed: f(x) = A W x with covariances that do not commute."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from agfrun import AlternationOptions, predict, train_by_gradient_flow
from agfrun.labs.staircases.agf.prediction import Prediction
from agfrun.labs.staircases.dynamics.trajectory import Trajectory
from agfrun.labs.staircases.networks.diagonal_linear.data import RotatedRegressionConfig
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.labs.staircases.networks.fully_connected_linear.data import linear_map, published_moments
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear

MODES = 4


def published(commuting: bool, width: int = 10) -> FullyConnectedLinear:
    data = linear_map(*published_moments(10, 10, commuting, 0), torch.float64, torch.device("cpu"))
    return FullyConnectedLinear(data, width)


def start(architecture: FullyConnectedLinear, scale: float) -> Tensor:
    return architecture.initialize("gaussian", scale, torch.Generator().manual_seed(0))


def predicted(architecture: FullyConnectedLinear, scale: float, cost_phase: str = "instantaneous") -> Prediction:
    options = AlternationOptions(max_events=MODES, cost_phase=cost_phase, cost_tolerance=1e-6,
                                 threshold=1.0 if cost_phase == "instantaneous" else 0.2)
    return predict(architecture, start(architecture, scale), options, "generic")


def delays(architecture: FullyConnectedLinear, times: np.ndarray, scale: float) -> np.ndarray:
    """How far times lie behind the conjecture's, in e-folds of growth."""
    e_folds = -math.log(math.sqrt(2) * scale)
    return np.asarray((times / (architecture.stages.times[: len(times)] * e_folds) - 1) * e_folds)


def half_times(architecture: FullyConnectedLinear, path: Trajectory, modes: int = MODES) -> np.ndarray:
    """When each mode reaches half its settled size."""
    sizes = np.linalg.norm(architecture.stages.modes.least_squares, axis=1)[:modes]
    times = []
    for mode, size in enumerate(sizes):
        row = int(np.argmax(path.features[:, mode] >= size / 2))
        values = np.log(np.maximum(path.features[row - 1 : row + 1, mode], 1e-300))
        times.append(np.interp(math.log(size / 2), values, path.times[row - 1 : row + 1]))
    return np.array(times)


@pytest.mark.parametrize("commuting", [True, False])
def test_agf_approaches_the_conjecture_as_the_scale_vanishes(commuting: bool) -> None:
    """The delay is a number of e-folds that does not depend on the scale, so that it vanishes relative to them."""
    architecture = published(commuting)
    found = []
    for scale in (1e-6, 1e-15, 1e-60):
        prediction = predicted(architecture, scale)
        assert [stage.feature for stage in prediction.rounds] == ["1", "2", "3", "4"]
        np.testing.assert_allclose([stage.loss for stage in prediction.rounds], architecture.stages.levels[1:5],
                                   atol=1e-4 * architecture.stages.levels[0])
        found.append(delays(architecture, np.array([stage.time for stage in prediction.rounds]), scale))
    np.testing.assert_allclose(found[1], found[0], atol=0.02)
    np.testing.assert_allclose(found[2], found[0], atol=0.02)
    assert np.abs(found[0]).max() < 1


@pytest.mark.parametrize("commuting", [True, False])
def test_training_keeps_what_comes_next_at_any_scale(commuting: bool) -> None:
    architecture = published(commuting)
    found = []
    for scale in (1e-12, 1e-40):
        horizon = -1.2 * math.log(scale) * float(architecture.stages.times[MODES - 1])
        path = train_by_gradient_flow(architecture, start(architecture, scale), horizon).trajectory
        found.append(delays(architecture, half_times(architecture, path), scale))
    np.testing.assert_allclose(found[1], found[0], atol=0.1)


def test_decoupled_agf_is_training() -> None:
    architecture, scale = published(False), 1e-12
    prediction = predicted(architecture, scale, "decoupled")
    horizon = -1.2 * math.log(scale) * float(architecture.stages.times[MODES - 1])
    path = train_by_gradient_flow(architecture, start(architecture, scale), horizon).trajectory
    modes = MODES - 1  # the prediction ends when the last one's neuron activates
    np.testing.assert_allclose(half_times(architecture, prediction.trajectory, modes),
                               half_times(architecture, path, modes), rtol=5e-3)


def test_a_wide_network_is_predicted_as_its_mixtures() -> None:
    architecture = published(False, 60)
    prediction = predicted(architecture, 1e-8)
    assert prediction.final.shape == (20, 20)
    # Sixty neurons start larger together, and the same modes come earlier.
    found = delays(architecture, np.array([stage.time for stage in prediction.rounds]), 1e-8)
    assert [stage.feature for stage in prediction.rounds] == ["1", "2", "3", "4"]
    assert (found < delays(published(False), np.array(
        [stage.time for stage in predicted(published(False), 1e-8).rounds]), 1e-8)).all()


def test_networks_that_know_their_neurons_keep_them() -> None:
    architecture = DiagonalLinearConfig().build(RotatedRegressionConfig().build(torch.float64, torch.device("cpu")))
    neurons = torch.ones(2, 2)
    assert architecture.fewest_neurons(neurons) is neurons
    assert architecture.independent_mixtures(neurons / 2**0.5, torch.zeros(2)) is None
