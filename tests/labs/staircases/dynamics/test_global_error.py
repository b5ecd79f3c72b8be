"""What a tolerance means for the times of drops, and the estimate of it that a run reports."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from explicit_networks import regression_5d, small_modadd
from known_flows import KnownFlow

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.dynamics.global_error import GlobalError
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, integrate
from agfrun.labs.staircases.dynamics.linearization import DenseLinearization
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.rosenbrock import GAMMA, Rosenbrock
from agfrun.labs.staircases.events.detect import detect_events

CASES = {
    "diagonal": (regression_5d(), 1e-4, 60.0),
    "modular addition": (small_modadd(7, (1, 2), (7.0, 3.5), width=7), 1e-2, 60.0),
}


@cache
def trained(name: str, tolerance: float) -> TrainingResult:
    """A case to its horizon: where training ends decides what half of a feature's settled size is."""
    network, scale, horizon = CASES[name]
    neurons = network.architecture.initialize("gaussian", scale, torch.Generator().manual_seed(0))
    return train_by_gradient_flow(network.architecture, neurons, horizon, tolerance=tolerance, convergence=0.0)


@pytest.mark.parametrize("name", CASES)
def test_times_of_events_at_the_default_tolerance(name: str) -> None:
    """At 1e-6 they agree with those at 1e-9 to 1e-4; the run's own estimate is of that size at most."""
    coarse, fine = (trained(name, tolerance) for tolerance in (1e-6, 1e-9))
    found, expected = (detect_events(result.trajectory, 1.0) for result in (coarse, fine))
    assert [(event.kind, event.feature, event.neuron) for event in found] == [
        (event.kind, event.feature, event.neuron) for event in expected]
    assert {event.kind for event in found} >= {"activation", "acquisition"}
    for event, reference in zip(found, expected, strict=True):
        assert event.time == pytest.approx(reference.time, rel=1e-4)
    assert coarse.statistics.drop_time_error is not None
    assert fine.statistics.drop_time_error is not None
    assert fine.statistics.drop_time_error < 0.02 * coarse.statistics.drop_time_error < 0.02 * 1e-3


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tolerance", [1e-5, 1e-6])
def test_estimate_bounds_the_shift_of_the_loss_curve(name: str, tolerance: float) -> None:
    coarse, fine = (trained(name, each) for each in (tolerance, 1e-10))
    initial = fine.trajectory.loss[0]
    levels = initial - np.linspace(0.1, 0.9, 9) * (initial - fine.trajectory.loss[-1])
    times = [np.interp(-levels, -result.trajectory.loss, result.trajectory.times) for result in (coarse, fine)]
    interpolation = 2e-4  # both paths are read between recorded rows
    assert coarse.statistics.drop_time_error is not None
    assert np.abs(times[0] / times[1] - 1).max() < coarse.statistics.drop_time_error + interpolation


def test_propagation_is_that_of_the_linear_flow() -> None:
    """R(z) is exp(z) to second order, and small where z is large and negative."""
    for z, expected in ((-1e-2, math.exp(-1e-2)), (1e-2, math.exp(1e-2)), (-1e9, 0.0)):
        linearization = DenseLinearization(torch.tensor([[z]]), symmetric=True)
        solve = linearization.solver(GAMMA)
        assert solve is not None
        error = GlobalError(1.0)
        error.advance(solve, GAMMA, torch.ones(1))
        error.advance(solve, GAMMA, torch.zeros(1))
        assert error.delta is not None
        assert float(error.delta) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_shift_along_the_velocity_is_a_shift_in_time() -> None:
    error = GlobalError(initial_loss=2.0)
    velocity = torch.tensor([3.0, 4.0])
    error.delta = 0.1 * velocity + torch.tensor([-4.0, 3.0])
    error.look(5.0, velocity, loss_rate=1e-9)
    assert error.time_error is None  # nothing drops
    error.look(5.0, velocity, loss_rate=1.0)
    assert error.time_error == pytest.approx(0.02)
    error.restart()
    error.look(1.0, velocity, loss_rate=1.0)
    assert error.time_error == pytest.approx(0.02)


def test_no_drop_no_estimate() -> None:
    still = KnownFlow(lambda y: -1e-9 * y, symmetric=True)
    statistics = IntegrationStatistics()
    assert list(integrate(Rosenbrock(still, statistics), torch.ones(1), 0.0, 1.0, 1e-6, estimate_error=True))
    assert statistics.drop_time_error is None
