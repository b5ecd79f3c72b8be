"""How training ends: converged, at its horizon, diverged or interrupted, by flow and by descent."""

from __future__ import annotations

import math
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
import torch
from explicit_networks import CPU, ExplicitNetwork, regression_5d, small_modadd
from torch import Tensor

from agfrun import Architecture, train_by_gradient_descent, train_by_gradient_flow
from agfrun.labs.staircases.dynamics.heavy_ball import HeavyBall
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.networks.diagonal_linear.data import Regression, random_regression
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAddition, modular_addition
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

Train = Callable[..., TrainingResult]


def flow(architecture: Architecture, neurons: Tensor, length: float = 20.0, **options: object) -> TrainingResult:
    return train_by_gradient_flow(architecture, neurons, length, **options)  # type: ignore[arg-type]


def rkc(architecture: Architecture, neurons: Tensor, length: float = 20.0, **options: object) -> TrainingResult:
    return flow(architecture, neurons, length, method="rkc", **options)


def descent(architecture: Architecture, neurons: Tensor, length: float = 20.0, **options: object) -> TrainingResult:
    return train_by_gradient_descent(architecture, neurons, round(length / 0.02), learning_rate=0.02,
                                     loss_normalization="paper", **options)  # type: ignore[arg-type]


def sampled(architecture: Architecture, neurons: Tensor, length: float = 20.0, **options: object) -> TrainingResult:
    return descent(architecture, neurons, length, batch_size=64, **options)


def by_torch(architecture: Architecture, neurons: Tensor, length: float = 20.0, **options: object) -> TrainingResult:
    with mock.patch.object(HeavyBall, "kernel", return_value=None):
        return descent(architecture, neurons, length, **options)


pytestmark = pytest.mark.usefixtures("steps_alone")


TRAINERS = pytest.mark.parametrize("train", [flow, rkc, descent, sampled, by_torch])


def start(network: ExplicitNetwork, scale: float = 0.1) -> Tensor:
    return network.architecture.initialize("gaussian", scale, torch.Generator().manual_seed(1))


@TRAINERS
def test_converged(train: Train) -> None:
    network = regression_5d()
    result = train(network.architecture, start(network), 200.0, convergence=1e-2)
    loss = result.trajectory.loss
    assert result.status == "converged"
    assert "all but 0.01 of the loss was learned" in result.reason
    assert loss[-1] <= 1e-2 * loss[0]
    assert float(network.loss(result.final)) == pytest.approx(loss[-1], rel=1e-9)
    assert (loss[:-1] > 1e-2 * loss[0]).sum() >= len(loss) - 15  # points inside the last step may be below too
    assert result.trajectory.times[-1] < 200.0


@TRAINERS
def test_horizon(train: Train) -> None:
    network = regression_5d()
    result = train(network.architecture, start(network), 1.0)
    assert result.status == "horizon"
    assert result.trajectory.times[-1] == pytest.approx(1.0)
    assert float(network.loss(result.final)) == pytest.approx(result.trajectory.loss[-1], rel=1e-9)


@TRAINERS
def test_interrupted_keeps_what_is_recorded(train: Train) -> None:
    network = regression_5d()
    calls: list[tuple[float, float]] = []

    def interrupt(time: float, loss: float) -> None:
        calls.append((time, loss))
        if len(calls) == 12:
            raise KeyboardInterrupt

    whole = train(network.architecture, start(network), convergence=0.0, max_rows=20000)
    result = train(network.architecture, start(network), convergence=0.0, max_rows=20000, progress=interrupt)
    assert result.status == "interrupted"
    assert "interrupted by the user" in result.reason
    assert len(calls) == 12
    times, rows = result.trajectory.times, len(result.trajectory.times)
    assert times[-1] == calls[-1][0]
    assert 12 <= rows < len(whole.trajectory.times)
    np.testing.assert_array_equal(times, whole.trajectory.times[:rows])
    np.testing.assert_array_equal(result.trajectory.loss, whole.trajectory.loss[:rows])
    np.testing.assert_array_equal(result.trajectory.features, whole.trajectory.features[:rows])
    assert float(network.loss(result.final)) == pytest.approx(result.trajectory.loss[-1], rel=1e-9)


@TRAINERS
def test_interrupted_at_the_first_report(train: Train) -> None:
    network = small_modadd()

    def interrupt(time: float, loss: float) -> None:
        raise KeyboardInterrupt

    result = train(network.architecture, start(network), progress=interrupt)
    assert result.status == "interrupted"
    assert len(result.trajectory.times) >= 1
    assert result.trajectory.times[0] == 0


@TRAINERS
def test_progress_reports_time_and_loss(train: Train) -> None:
    network = regression_5d()
    calls: list[tuple[float, float]] = []
    result = train(network.architecture, start(network), 2.0, max_rows=20000,
                   progress=lambda time, loss: calls.append((time, loss)))
    rows = dict(zip(result.trajectory.times, result.trajectory.loss, strict=True))
    assert len(calls) > 5
    assert calls == sorted(calls)
    assert calls[-1][0] == result.trajectory.times[-1]
    for time, loss in calls:
        assert rows[time] == loss


@pytest.mark.parametrize("batch_size", [None, 16])
def test_descent_that_diverges_says_where(batch_size: int | None) -> None:
    network = small_modadd()
    result = train_by_gradient_descent(network.architecture, start(network, 0.5), 5000, learning_rate=1.0,
                                       batch_size=batch_size)
    assert result.status == "diverged"
    step = int(result.reason.split("at step ")[1].split(",")[0])
    assert 0 < step < 200
    assert result.trajectory.steps is not None
    assert result.trajectory.steps[-1] < step
    assert np.isfinite(result.trajectory.loss).all()


def overflowing() -> QuadraticModadd:
    """The amplitudes are allowed, the loss of the start is not a number that exists."""
    return QuadraticModadd(modular_addition(5, [1], [1e200], torch.float64, CPU), 2)


@TRAINERS
def test_start_without_a_finite_loss(train: Train) -> None:
    architecture = overflowing()
    neurons = architecture.initialize("gaussian", 1e-2, torch.Generator().manual_seed(0))
    result = train(architecture, neurons)
    assert result.status == "diverged"
    assert "not finite at" in result.reason
    torch.testing.assert_close(result.final, neurons, rtol=1e-13, atol=1e-16)
    assert len(result.trajectory.times) == 1


@TRAINERS
def test_nan_in_the_start(train: Train) -> None:
    network = regression_5d()
    neurons = start(network)
    neurons[2, 0] = math.nan
    result = train(network.architecture, neurons)
    assert result.status == "diverged"


def run_of_everything(data: ModularAddition | Regression, default: torch.dtype) -> list[Tensor]:
    torch.set_default_dtype(default)
    architecture = QuadraticModadd(data, 3) if isinstance(data, ModularAddition) else DiagonalLinear(data)
    found: list[Tensor] = []
    for kind in ("gaussian", "balanced"):
        neurons = architecture.initialize(kind, 0.1, torch.Generator().manual_seed(0))
        found += [neurons, architecture.features(neurons), *architecture.loss_and_gradient(neurons),
                  architecture.hessian(neurons), architecture.utility(neurons, architecture.empty_residual())]
        found += [train(architecture, neurons, 2.0).final for train in (flow, rkc, descent, sampled)]
    return found


@pytest.mark.parametrize("data", [modular_addition(6, [1, 3], [5.0, 3.0], torch.float64, CPU),
                                  random_regression(5, 20, 10, torch.float64, CPU)], ids=["modadd", "regression"])
def test_torch_s_default_dtype_decides_nothing(data: ModularAddition | Regression) -> None:
    """The other tests set it to float64, a user does not."""
    double, single = (run_of_everything(data, default) for default in (torch.float64, torch.float32))
    for expected, measured in zip(double, single, strict=True):
        assert measured.dtype == torch.float64
        assert torch.equal(measured, expected)


def test_descent_of_no_steps_is_the_start() -> None:
    network = regression_5d()
    result = train_by_gradient_descent(network.architecture, start(network), 0, learning_rate=0.1)
    assert result.status == "horizon"
    assert torch.equal(result.final, start(network))
    assert result.trajectory.times.tolist() == [0.0]
