"""Gradient descent: exact iterates against torch.optim.SGD, its clock against gradient flow, its batches."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from explicit_networks import ExplicitNetwork, regression_2d, regression_5d, small_modadd
from torch import Tensor

from agfrun import train_by_gradient_descent, train_by_gradient_flow
from agfrun.labs.staircases.dynamics.clock import flow_time_per_step
from agfrun.labs.staircases.dynamics.result import TrainingResult

NETWORKS = [small_modadd(5, (1, 2), (5.0, 3.0), width=3), regression_5d()]
ALL = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
NORMALIZATIONS = ["paper", "mean_over_outputs", "sum_over_outputs"]
LEARNING_RATES = {"paper": 0.02, "mean_over_outputs": 0.05, "sum_over_outputs": 0.01}


def start(network: ExplicitNetwork, scale: float = 0.2) -> Tensor:
    return network.architecture.initialize("gaussian", scale, torch.Generator().manual_seed(3))


def descend(network: ExplicitNetwork, steps: int, **options: Any) -> TrainingResult:
    return train_by_gradient_descent(network.architecture, start(network), steps, convergence=0.0, **options)


def loss_of_the_codes(network: ExplicitNetwork, neurons: Tensor, normalization: str) -> Tensor:
    """The three ways in which published code writes its loss, over the explicit data set."""
    output = network.answers(neurons, None).sum(0)
    if normalization == "mean_over_outputs":
        return torch.nn.functional.mse_loss(output, network.targets)
    squares = (output - network.targets).square().sum(1).mean()
    return squares if normalization == "sum_over_outputs" else 0.5 * squares


def sgd(network: ExplicitNetwork, steps: int, learning_rate: float, momentum: float, normalization: str) -> Tensor:
    neurons = start(network).requires_grad_()
    optimizer = torch.optim.SGD([neurons], lr=learning_rate, momentum=momentum)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of_the_codes(network, neurons, normalization).backward()
        optimizer.step()
    return neurons.detach()


@ALL
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_iterates_are_those_of_torch_s_sgd(network: ExplicitNetwork, normalization: str, momentum: float) -> None:
    rate = LEARNING_RATES[normalization] * (1 - momentum)
    result = descend(network, 150, learning_rate=rate, momentum=momentum, loss_normalization=normalization)
    expected = sgd(network, 150, rate, momentum, normalization)
    torch.testing.assert_close(result.final, expected, rtol=1e-9, atol=1e-11)
    assert float((expected - start(network)).norm()) > 0.5


@cache
def flow_end(index: int, time: float) -> Tensor:
    network = NETWORKS[index]
    return train_by_gradient_flow(network.architecture, start(network), time, tolerance=1e-10, convergence=0.0).final


@pytest.mark.parametrize("index", range(len(NETWORKS)), ids=[network.name for network in NETWORKS])
@pytest.mark.parametrize(("momentum", "normalization", "fewest"), [
    (0.0, "paper", 400), (0.0, "mean_over_outputs", 400), (0.0, "sum_over_outputs", 400),
    # The start from rest lags by m / (1 - m) steps.
    (0.5, "paper", 800), (0.5, "sum_over_outputs", 800), (0.9, "mean_over_outputs", 1500),
])
def test_descent_becomes_the_flow_at_the_converted_time(
    index: int, momentum: float, normalization: str, fewest: int
) -> None:
    """The distance is of first order in the learning rate: a wrong clock would leave a constant."""
    network, time = NETWORKS[index], 0.5
    ends = []
    for steps in (fewest, 2 * fewest):
        per_unit = flow_time_per_step(1.0, momentum, normalization, network.architecture.output_dimension)
        result = descend(network, steps, learning_rate=time / steps / per_unit, momentum=momentum,
                         loss_normalization=normalization)
        assert result.trajectory.times[-1] == pytest.approx(time, rel=1e-12)
        ends.append(result.final)
    flow = flow_end(index, time)
    errors = [float((end - flow).norm()) for end in ends]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    # Richardson: what the two runs say of the limit is nearer by an order.
    assert float((2 * ends[1] - ends[0] - flow).norm()) < 0.1 * errors[1]


@ALL
def test_momentum_and_normalization_only_relabel_the_clock(network: ExplicitNetwork) -> None:
    """Without momentum the three losses give the same path if the learning rates make up for it."""
    ends = []
    for normalization in NORMALIZATIONS:
        per_unit = flow_time_per_step(1.0, 0.0, normalization, network.architecture.output_dimension)
        ends.append(descend(network, 100, learning_rate=5e-3 / per_unit, loss_normalization=normalization).final)
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(ends[0], ends[2], rtol=1e-10, atol=1e-12)


@ALL
def test_trajectory_and_clock(network: ExplicitNetwork) -> None:
    result = descend(network, 300, learning_rate=0.01, momentum=0.5, loss_normalization="sum_over_outputs")
    trajectory = result.trajectory
    assert result.status == "horizon"
    assert result.clock == {"learning_rate": 0.01, "momentum": 0.5, "loss_normalization": "sum_over_outputs",
                            "flow_time_per_step": pytest.approx(0.04)}
    assert trajectory.source == "training"
    assert trajectory.steps is not None
    assert (trajectory.steps[0], trajectory.steps[-1]) == (0, 300)
    assert (np.diff(trajectory.steps) > 0).all()
    np.testing.assert_allclose(trajectory.times, 0.04 * trajectory.steps, rtol=1e-12)
    assert trajectory.loss[0] == pytest.approx(float(network.loss(start(network))), rel=1e-12)
    assert trajectory.loss[-1] == pytest.approx(float(network.loss(result.final)), rel=1e-9)
    assert result.statistics.gradient_evaluations == result.statistics.accepted_steps == 300


@ALL
def test_rows_are_the_iterates_of_their_steps(network: ExplicitNetwork) -> None:
    result = descend(network, 60, learning_rate=0.02)
    assert result.trajectory.steps is not None
    for row in (3, len(result.trajectory.steps) // 2):
        shorter = descend(network, int(result.trajectory.steps[row]), learning_rate=0.02)
        assert result.trajectory.loss[row] == pytest.approx(float(network.loss(shorter.final)), rel=1e-10)
        np.testing.assert_allclose(result.trajectory.features[row], network.architecture.features(shorter.final))


def test_recording_is_dense_where_the_loss_moves_and_sparse_elsewhere() -> None:
    architecture = regression_2d().architecture
    neurons = architecture.initialize("deterministic", 1e-6, torch.Generator())
    result = train_by_gradient_descent(architecture, neurons, 30000, learning_rate=2e-3, convergence=1e-4,
                                       loss_normalization="paper", max_rows=20000)
    trajectory = result.trajectory
    assert result.status == "converged"
    assert trajectory.steps is not None
    skipped = np.diff(trajectory.steps) > 1
    change = np.abs(np.diff(trajectory.loss)) / trajectory.loss[:-1]
    assert change[skipped].max() < 0.02
    assert len(trajectory.steps) < 0.1 * trajectory.steps[-1]


@ALL
def test_the_initialization_is_not_touched(network: ExplicitNetwork) -> None:
    neurons = start(network)
    before = neurons.clone()
    result = train_by_gradient_descent(network.architecture, neurons, 20, learning_rate=0.02, momentum=0.9)
    assert torch.equal(neurons, before)
    torch.testing.assert_close(result.recorder.state_near(0.0)[1], before, rtol=1e-13, atol=1e-16)


@ALL
@pytest.mark.parametrize("batch_size", [1, 7])
def test_batches_come_from_the_seed(network: ExplicitNetwork, batch_size: int) -> None:
    options = {"learning_rate": 1e-3, "momentum": 0.5, "batch_size": batch_size}
    first, again, other = (descend(network, 65, seed=seed, **options) for seed in (4, 4, 5))
    assert torch.equal(first.final, again.final)
    np.testing.assert_array_equal(first.trajectory.loss, again.trajectory.loss)
    assert not torch.equal(first.final, other.final)


@ALL
def test_sampled_iterates_follow_the_sampled_gradients(network: ExplicitNetwork) -> None:
    """Plain loop over the same generator, heavy ball written out."""
    factor = flow_time_per_step(1.0, 0.0, "mean_over_outputs", network.architecture.output_dimension)
    generator, neurons = torch.Generator().manual_seed(9), start(network)
    velocity = torch.zeros_like(neurons)
    for _ in range(50):
        gradient = factor * network.architecture.sampled_gradient(neurons, 3, generator)
        velocity = 0.8 * velocity + gradient
        neurons = neurons - 2e-3 * velocity
    result = descend(network, 50, learning_rate=2e-3, momentum=0.8, batch_size=3, seed=9)
    torch.testing.assert_close(result.final, neurons, rtol=1e-11, atol=1e-13)


@ALL
def test_recorded_loss_of_a_sampled_run_is_that_of_all_data(network: ExplicitNetwork) -> None:
    result = descend(network, 90, learning_rate=1e-3, batch_size=2)
    trajectory = result.trajectory
    assert trajectory.steps is not None
    assert (trajectory.steps[0], trajectory.steps[-1]) == (0, 90)
    for time, loss in zip(trajectory.times, trajectory.loss, strict=True):
        kept_time, neurons = result.recorder.state_near(float(time))
        assert kept_time == time
        assert loss == pytest.approx(float(network.loss(neurons)), rel=1e-10)


def test_mean_path_of_sampled_runs_is_the_full_batch_path() -> None:
    """One small step of many seeds averages to the full-batch step; the spread falls like the batch size."""
    network = NETWORKS[1]
    full = descend(network, 1, learning_rate=1e-3).final - start(network)
    steps = torch.stack([descend(network, 1, learning_rate=1e-3, batch_size=8, seed=seed).final - start(network)
                         for seed in range(600)])
    scores = (steps.mean(0) - full) / (steps.std(0) / 600**0.5)
    assert float(scores.abs().max()) < 4


@pytest.mark.parametrize("network", [regression_2d()], ids=["2d"])
def test_too_long_steps_are_not_the_flow(network: ExplicitNetwork) -> None:
    """Above 2 / curvature the loss rises: the clock is true to first order only, and says nothing there."""
    largest = float(torch.linalg.eigvalsh(network.architecture.hessian(start(network, 1.0))).max())
    result = train_by_gradient_descent(network.architecture, start(network, 1.0), 200, learning_rate=4 / largest,
                                       loss_normalization="paper", convergence=0.0)
    assert float(np.diff(result.trajectory.loss).max()) > 0
