from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import regression_2d, regression_5d, small_modadd
from scipy.integrate import solve_ivp

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.dynamics.polar import PolarCoordinates


def test_decoding_gives_the_neurons_back_at_the_scale() -> None:
    network = regression_5d()
    neurons = network.random_neurons(seed=1)
    for log_factor in (0.0, -3.0):
        coordinates = PolarCoordinates(network.architecture, neurons, None, log_factor)
        y = coordinates.encode(neurons)
        torch.testing.assert_close(coordinates.decode(y), neurons * math.exp(log_factor), rtol=1e-13, atol=0)


def test_far_below_the_smallest_float_directions_and_log_norms_remain() -> None:
    network = regression_5d()
    neurons = network.random_neurons(seed=2)
    coordinates = PolarCoordinates(network.architecture, neurons, None, -5000.0)
    y = coordinates.encode(neurons)
    assert not coordinates.decode(y).any()
    directions, log_norms = coordinates.scaled(y)
    assert log_norms is not None
    torch.testing.assert_close(directions, neurons / neurons.norm(dim=1, keepdim=True))
    torch.testing.assert_close(log_norms, neurons.norm(dim=1).log() - 5000)
    loss, velocity = coordinates.loss_and_velocity(y)
    assert float(loss) == pytest.approx(float(network.architecture.loss(network.architecture.empty_residual())))
    assert velocity.abs().max() > 0.01


def test_the_velocity_is_the_flow_of_the_parameters_in_other_coordinates() -> None:
    network = regression_5d()
    neurons = 0.3 * network.random_neurons(seed=3)
    coordinates = PolarCoordinates(network.architecture, neurons, None, 0.0)
    y = coordinates.encode(neurons)
    velocity = coordinates.loss_and_velocity(y)[1]
    _, moved = torch.func.jvp(coordinates.decode, (y,), (velocity,))
    torch.testing.assert_close(moved, -network.architecture.loss_and_gradient(neurons)[1], rtol=1e-12, atol=1e-13)


def test_the_jacobian_is_the_derivative_of_the_velocity() -> None:
    network = regression_5d()
    neurons = 0.3 * network.random_neurons(seed=4)
    coordinates = PolarCoordinates(network.architecture, neurons, None, 0.0)
    y, step = coordinates.encode(neurons), 1e-6
    ahead, behind = ([coordinates.loss_and_velocity(y + sign * step * unit)[1] for unit in torch.eye(y.numel())]
                     for sign in (1, -1))
    numerical = (torch.stack(ahead, dim=1) - torch.stack(behind, dim=1)) / (2 * step)
    torch.testing.assert_close(coordinates.jacobian(y), numerical, rtol=1e-6, atol=1e-8)


def test_other_degrees_are_refused() -> None:
    network = small_modadd()
    with pytest.raises(ValueError, match="homogeneity degree 2 only, not at 3"):
        PolarCoordinates(network.architecture, network.random_neurons(), None, -1.0)


@pytest.mark.parametrize("log10_scale", [-20, -400, -3000])
def test_a_flow_from_any_scale_is_that_of_the_hyperbola_equation(log10_scale: int) -> None:
    """Oracle: SciPy on the equations dq/dt = g, beta = scale^2 sinh(2 q) of the deterministic initialization."""
    network = regression_2d()
    log_factor = log10_scale * math.log(10)
    start = torch.tensor([[math.sqrt(2), 0.0], [math.sqrt(2), 0.0]])
    inputs = network.architecture.data.inputs.numpy()
    targets = network.architecture.data.targets.numpy()

    def coefficients(q: np.ndarray) -> np.ndarray:
        # A trial step of the reference may overshoot by far.
        return np.sign(q) * 0.5 * np.exp(np.minimum(2 * (log_factor + np.abs(q)), 50)) * -np.expm1(-4 * np.abs(q))

    def velocity(_: float, q: np.ndarray) -> np.ndarray:
        return np.asarray(inputs.T @ (targets - inputs @ coefficients(q)) / len(targets))

    horizon = 5.0 * -log_factor
    reference = solve_ivp(velocity, (0, horizon), np.zeros(2), method="LSODA", rtol=1e-9, atol=1e-9, dense_output=True)
    result = train_by_gradient_flow(network.architecture, start, horizon, tolerance=1e-8, convergence=1e-12,
                                    log_factor=log_factor)
    path = result.trajectory
    errors = targets[:, None] - inputs @ coefficients(reference.sol(path.times))
    expected = 0.5 * np.mean(errors**2, axis=0)
    # Where the loss falls fast a small error of the time is a large one of the loss: compare times of levels.
    assert np.median(np.abs(path.loss - expected)) < 1e-6
    assert np.quantile(np.abs(path.loss - expected), 0.9) < 1e-3
    assert path.log_norms[0] == pytest.approx(log_factor + 0.5 * math.log(2))
    assert np.isfinite(path.log_norms).all()
    assert result.status == "converged"
