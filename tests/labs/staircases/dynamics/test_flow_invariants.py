"""What a gradient flow must keep whatever integrates it: conserved quantities, identities, symmetries."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from explicit_networks import (
    ExplicitNetwork,
    modadd_network,
    regression_2d,
    regression_5d,
    roll_neurons,
    rolled,
    small_modadd,
    with_random_phases,
)
from torch import Tensor

from agfrun import train_by_gradient_flow
from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates, FlowCoordinates
from agfrun.labs.staircases.dynamics.integrate import IntegrationStatistics, integrate
from agfrun.labs.staircases.dynamics.recorder import accumulated_utility
from agfrun.labs.staircases.dynamics.rosenbrock import Rosenbrock
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd

GAUSS_NODES, GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(6)
CASES = [(small_modadd(5, (1, 2), (5.0, 3.0), width=4, seed=1), 1e-2, 14.0),
         (small_modadd(6, (1, 3), (5.0, 3.0), width=3, seed=2), 3e-2, 11.0),
         (regression_2d(), 1e-2, 20.0), (regression_5d(), 1e-4, 20.0)]
ALL = pytest.mark.parametrize(("network", "scale", "horizon"), CASES, ids=lambda value: getattr(value, "name", ""))


def gaussian(network: ExplicitNetwork, scale: float, seed: int = 0) -> Tensor:
    return network.architecture.initialize("gaussian", scale, torch.Generator().manual_seed(seed))


def states_along(network: ExplicitNetwork, neurons: Tensor, horizon: float, tolerance: float) -> list[Tensor]:
    result = train_by_gradient_flow(network.architecture, neurons, horizon, tolerance=tolerance, convergence=0.0)
    return [state for _, state in result.recorder.states]


@ALL
@pytest.mark.parametrize("method", ["rosenbrock", "rkc"])
def test_loss_never_rises(network: ExplicitNetwork, scale: float, horizon: float, method: str) -> None:
    result = train_by_gradient_flow(network.architecture, gaussian(network, scale), horizon, method=method,
                                    tolerance=1e-5)
    assert float(np.diff(result.trajectory.loss).max()) <= 1e-13 * result.trajectory.loss[0]
    assert result.trajectory.loss[-1] < 0.7 * result.trajectory.loss[0]


@cache
def quadratures(case: int) -> tuple[float, np.ndarray, list[Tensor]]:
    """Integrals along the path, by Gauss quadrature inside every step, and the states at the steps' ends.

    Of ||grad L||^2 over the whole path, and of kappa U of each neuron's direction against the true
    residual up to the end of each step, (T, H).
    """
    network, scale, horizon = CASES[case]
    neurons = gaussian(network, scale)
    coordinates = network.architecture.flow_coordinates(neurons)
    lost, integrals, states = 0.0, [torch.zeros(network.architecture.width)], [neurons]
    for segment in integrate(Rosenbrock(coordinates, IntegrationStatistics()), coordinates.encode(neurons), 0.0,
                             horizon, 1e-7):
        length, gained = segment.end - segment.start, torch.zeros(network.architecture.width)
        for node, weight in zip(GAUSS_NODES, GAUSS_WEIGHTS, strict=True):
            state = coordinates.decode(segment.at(segment.start + 0.5 * (1 + node) * length))
            lost += 0.5 * length * weight * float(network.gradient(state).square().sum())
            utilities = network.utilities(state / state.norm(dim=1, keepdim=True), network.residual(state))
            gained += 0.5 * length * weight * network.architecture.homogeneity_degree * utilities
        integrals.append(integrals[-1] + gained)
        states.append(coordinates.decode(segment.y_end))
    return lost, torch.stack(integrals).numpy(), states


@pytest.mark.parametrize("case", range(len(CASES)))
def test_loss_lost_is_the_integral_of_the_squared_gradient(case: int) -> None:
    lost, _, states = quadratures(case)
    before, after = (float(CASES[case][0].loss(states[i])) for i in (0, -1))
    assert lost == pytest.approx(before - after, rel=1e-6)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_accumulated_utility_is_the_integral_of_kappa_utility(case: int) -> None:
    _, integrals, states = quadratures(case)
    log_norms = torch.stack(states).norm(dim=-1).log().numpy()
    measured = accumulated_utility(log_norms, CASES[case][0].architecture.homogeneity_degree)
    np.testing.assert_allclose(measured, integrals, rtol=0, atol=1e-6 * np.abs(integrals).max())


@pytest.mark.parametrize(("network", "scale", "horizon"), CASES[:2], ids=lambda value: getattr(value, "name", ""))
def test_quadratic_neurons_conserve_inputs_against_output(
    network: ExplicitNetwork, scale: float, horizon: float
) -> None:
    """|u|^2 + |v|^2 - 2 |w|^2 of each neuron, through every drop."""
    neurons = gaussian(network, scale)
    states = states_along(network, neurons, horizon, 1e-7)

    def conserved(state: Tensor) -> Tensor:
        u, v, w = state.unflatten(1, (3, -1)).square().sum(-1).unbind(1)
        return u + v - 2 * w

    assert max(float(state.norm()) for state in states) > 10 * scale
    for state in states:
        drift = (conserved(state) - conserved(neurons)).abs() / state.square().sum(1)
        assert float(drift.max()) < 1e-6


@pytest.mark.parametrize("scale", [1e-2, 1e-3])
def test_dormant_quadratic_neurons_conserve_each_frequency(scale: float) -> None:
    """|u_k|^2 - |v_k|^2 and |u_k|^2 - |w_k|^2, up to the loss already lost: three-wave interaction."""
    network = small_modadd(7, (1, 2, 3), (5.0, 4.0, 3.0), width=3, seed=1)
    assert isinstance(network.architecture, QuadraticModadd)
    neurons = gaussian(network, scale, seed=1)
    loss_at_start = float(network.loss(neurons))

    def conserved(state: Tensor) -> Tensor:
        u, v, w = network.architecture.neuron_spectra(state).abs().square().unbind(1)  # type: ignore[attr-defined]
        return torch.stack([u - v, u - w])

    # Up to the time at which the largest neuron has grown threefold.
    dormant = [state for state in states_along(network, neurons, 0.25 / scale, 1e-8)
               if float((state.norm(dim=1) / neurons.norm(dim=1)).max()) < 3]
    assert float((dormant[-1].norm(dim=1) / neurons.norm(dim=1)).max()) > 2
    for state in dormant:
        drift = float((conserved(state) - conserved(neurons)).abs().max())
        size = float(network.architecture.neuron_spectra(state).abs().square().max())
        lost = (loss_at_start - float(network.loss(state))) / loss_at_start
        assert drift <= (1e-7 + 100 * lost) * size
    assert lost < 1e-3 * (scale / 1e-2) ** 3 * 3


def diagonal_states(coordinates: FlowCoordinates, neurons: Tensor, horizon: float) -> list[Tensor]:
    path = integrate(Rosenbrock(coordinates, IntegrationStatistics()), coordinates.encode(neurons), 0.0, horizon, 1e-6)
    return [coordinates.decode(segment.y_end) for segment in path]


@pytest.mark.parametrize("network", [regression_2d(), regression_5d()], ids=lambda network: network.name)
@pytest.mark.parametrize("plain", [False, True])
def test_diagonal_neurons_conserve_the_difference_of_squares(network: ExplicitNetwork, plain: bool) -> None:
    """u^2 - v^2, to rounding in hyperbolic coordinates and to the tolerance in the parameters."""
    neurons = gaussian(network, 1e-2)
    own = network.architecture.flow_coordinates(neurons)
    coordinates = EuclideanCoordinates(network.architecture, neurons, None) if plain else own
    conserved = neurons[:, 0].square() - neurons[:, 1].square()
    states = diagonal_states(coordinates, neurons, 20.0)
    assert max(float(state.norm()) for state in states) > 1
    for state in states:
        drift = (state[:, 0].square() - state[:, 1].square() - conserved).abs() / state.square().sum(1)
        assert float(drift.max()) < (1e-4 if plain else 1e-14)


@pytest.mark.parametrize("network", [regression_2d(), regression_5d()], ids=lambda network: network.name)
def test_diagonal_neurons_follow_the_hyperbola(network: ExplicitNetwork) -> None:
    """u^2 + v^2 = 2 alpha^2 cosh z, u v = alpha^2 sinh z with z = 2 integral of the drive, by quadrature.

    Integrated in the parameters themselves, so that the relation is not built in.
    """
    scale = 1e-2
    neurons = network.architecture.initialize("deterministic", scale, torch.Generator())
    coordinates = EuclideanCoordinates(network.architecture, neurons, None)
    z = torch.zeros(network.architecture.width)
    for segment in integrate(Rosenbrock(coordinates, IntegrationStatistics()), coordinates.encode(neurons), 0.0, 12.0,
                             1e-7):
        length = segment.end - segment.start
        for node, weight in zip(GAUSS_NODES, GAUSS_WEIGHTS, strict=True):
            state = coordinates.decode(segment.at(segment.start + 0.5 * (1 + node) * length))
            beta = (state[:, 0] * state[:, 1]).requires_grad_()
            data = network.architecture.data  # type: ignore[attr-defined]
            loss = 0.5 * (data.targets - data.inputs @ beta).square().mean()
            z -= length * weight * torch.autograd.grad(loss, beta)[0]
        state = coordinates.decode(segment.y_end)
        torch.testing.assert_close(state.square().sum(1), 2 * scale**2 * z.cosh(), rtol=1e-5, atol=0)
        torch.testing.assert_close(state.prod(1), scale**2 * z.sinh(), rtol=1e-5, atol=1e-7 * scale**2)
    assert float(z.abs().max()) > 9


def assert_same_path(first: ExplicitNetwork, first_start: Tensor, second: ExplicitNetwork, second_start: Tensor,
                     horizon: float) -> tuple[Tensor, Tensor]:
    """Same steps, same loss, same features; returns both ends."""
    results = [train_by_gradient_flow(network.architecture, start, horizon, tolerance=1e-5)
               for network, start in ((first, first_start), (second, second_start))]
    paths = [result.trajectory for result in results]
    assert len(paths[0].times) == len(paths[1].times)
    np.testing.assert_allclose(paths[1].times, paths[0].times, rtol=1e-6)
    np.testing.assert_allclose(paths[1].loss, paths[0].loss, rtol=1e-6)
    np.testing.assert_allclose(paths[1].features, paths[0].features, rtol=1e-5, atol=1e-9)
    assert paths[0].loss[-1] < 0.8 * paths[0].loss[0]
    return results[0].final, results[1].final


def test_rotating_the_template_rotates_the_path() -> None:
    shift, task = 3, with_random_phases(5, [1, 2], [5.0, 3.0], seed=1)
    network, turned = modadd_network(task, 4), modadd_network(rolled(task, shift), 4)
    start = gaussian(network, 1e-2)
    shifts = (shift, shift, shift)
    first, second = assert_same_path(network, start, turned, roll_neurons(start, *shifts), 13.5)
    torch.testing.assert_close(second, roll_neurons(first, *shifts), rtol=0, atol=1e-6)


def test_shifting_the_inputs_shifts_the_path() -> None:
    network, shifts = CASES[0][0], (1, 3, 4)
    start = gaussian(network, 1e-2)
    first, second = assert_same_path(network, start, network, roll_neurons(start, *shifts), 13.5)
    torch.testing.assert_close(second, roll_neurons(first, *shifts), rtol=0, atol=1e-6)


def test_permuting_the_neurons_permutes_the_path() -> None:
    network, order = CASES[0][0], [2, 0, 3, 1]
    start = gaussian(network, 1e-2)
    first, second = assert_same_path(network, start, network, start[order], 13.5)
    torch.testing.assert_close(second, first[order], rtol=0, atol=1e-6)


def test_directions_that_the_template_never_excites_do_not_move() -> None:
    network = small_modadd(8, (1, 3), (5.0, 3.0), width=3)
    start = gaussian(network, 3e-2)
    end = train_by_gradient_flow(network.architecture, start, 30.0).final
    before, after = (torch.fft.rfft(state.unflatten(1, (3, 8)))[:, :2, [0, 2, 4]] for state in (start, end))
    torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-15)
    assert float((end - start).norm()) > 10 * float(start.norm())
