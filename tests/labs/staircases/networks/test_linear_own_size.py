"""Own-size steps of the fully connected linear network against its own flow, integrated by SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from agfrun.labs.staircases.networks.fully_connected_linear.data import LinearMap, linear_map, published_moments
from agfrun.labs.staircases.networks.fully_connected_linear.mode_growth import HiddenVectors
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear

Array = NDArray[np.float64]
CPU = torch.device("cpu")


def commuting(variances: list[float], sizes: list[float], seed: int = 0) -> LinearMap:
    """Modes along random axes, of given input variances s and sizes m*; sigma = s m*, mu = s m*^2."""
    generator = np.random.default_rng(seed)
    left, right = (np.linalg.qr(generator.standard_normal((len(sizes), len(sizes))))[0] for _ in range(2))
    return linear_map((left * sizes) @ right.T, (right * variances) @ right.T, torch.float64, CPU)


def started(data: LinearMap, width: int, scale: float, seed: int, kind: str = "gaussian"
            ) -> tuple[FullyConnectedLinear, torch.Tensor]:
    network = FullyConnectedLinear(data, width)
    return network, network.initialize(kind, scale, torch.Generator().manual_seed(seed))


def true_times(network: FullyConnectedLinear, initial: torch.Tensor, end: float) -> dict[str, float]:
    """When each mode first passes half of ||u^T beta*|| in the flow of A and W."""
    target, inputs = network.data.target_map.numpy(), network.data.inputs.numpy()
    dimension, shape = network.input_dimension, initial.shape

    def velocity(_: float, state: Array) -> Array:
        inner, outer = state.reshape(shape)[:, :dimension], state.reshape(shape)[:, dimension:]
        residual = (target - outer.T @ inner) @ inputs
        return np.concatenate([outer @ residual, inner @ residual.T], axis=1).ravel()

    flow = solve_ivp(velocity, (0, end), initial.numpy().ravel(), method="DOP853", rtol=1e-9, atol=1e-12,
                     dense_output=True)
    left, right = network.left.numpy(), network.right.numpy()
    found = dict[str, float]()
    for k, name in enumerate(network.feature_names):
        half = np.linalg.norm(left[:, k] @ target) / 2

        def excess(time: float, k: int = k, half: float = half) -> float:
            neurons = flow.sol(time).reshape(shape)
            return float((neurons[:, dimension:] @ left[:, k]) @ (neurons[:, :dimension] @ right[:, k]) - half)

        values = np.array([excess(time) for time in flow.t])
        rises = np.flatnonzero((values[1:] >= 0) & (values[:-1] < 0))
        if len(rises):
            found[name] = brentq(excess, flow.t[rises[0]], flow.t[rises[0] + 1])
    return found


def check_times(data: LinearMap, width: int, scale: float, seed: int, kind: str = "gaussian") -> None:
    network, initial = started(data, width, scale, seed, kind)
    events = network.own_size(initial).events
    assert len(events) == len(network.feature_names)
    truth = true_times(network, initial, 1.1 * events[-1].time)
    for event in events:
        error = abs(event.time / truth[event.feature] - 1)
        assert error < max(2 * event.error, 1e-6), event
        assert error < 2e-3, event


def test_one_mode_alone_passes_a_share_when_its_riccati_equation_does() -> None:
    growing, shrinking, rate, size = np.array([0.3, 0.1]), np.array([-0.2, 0.25]), 0.7, 1.4
    mode = HiddenVectors(rate, size, growing, shrinking, 0.0, 0.0, float(np.linalg.norm(growing)))

    def inverse_speed(tau: float) -> float:
        grown = (growing @ growing * math.exp(2 * tau) - shrinking @ shrinking * math.exp(-2 * tau)) / 4
        return float(1 / (rate - rate / size * grown))

    for share in (0.2, 0.5, 0.9):
        end = brentq(lambda tau, share=share: (growing @ growing * math.exp(2 * tau)
                                               - shrinking @ shrinking * math.exp(-2 * tau)) / 4 - share * size, 0, 9)
        assert mode.passing(share) == pytest.approx(quad(inverse_speed, 0, end)[0], rel=1e-8)


@pytest.mark.parametrize("kind", ["gaussian", "balanced"])
@pytest.mark.parametrize("scale", [1e-2, 1e-3])
def test_times_of_separate_modes(kind: str, scale: float) -> None:
    check_times(commuting([1.0, 0.5, 0.3], [2.0, 1.5, 1.0]), 5, scale, 0, kind)


@pytest.mark.parametrize("seed", range(3))
def test_times_where_the_fastest_modes_are_not_the_largest_and_overlap(seed: int) -> None:
    # sigma = 1, 0.8, 0.6, 0.4 falls while mu = 1, 1.28, 1.8, 1.6 does not.
    data = commuting([1.0, 0.5, 0.2, 0.1], [1.0, 1.6, 3.0, 4.0])
    network, initial = started(data, 6, 1e-2, seed)
    assert network.own_size(initial).evaluations > 0
    check_times(data, 6, 1e-2, seed)


def test_fewer_neurons_than_modes() -> None:
    data = commuting([1.0, 0.5, 0.3], [4.0, 1.5, 1.0])
    network, initial = started(data, 2, 1e-3, 0)
    prediction = network.own_size(initial)
    assert [event.feature for event in prediction.events] == ["1", "2"]
    assert prediction.void == ""
    truth = true_times(network, initial, 1.1 * prediction.events[-1].time)
    for event in prediction.events:
        assert event.time == pytest.approx(truth[event.feature], rel=2e-3)


def test_neurons_that_first_learn_modes_that_are_not_the_largest_are_flagged() -> None:
    data = commuting([1.0, 0.1], [1.0, 4.0])  # sigma 1 and 0.4, mu 1 and 1.6
    network, initial = started(data, 1, 1e-4, 0)
    assert "replace them" in network.own_size(initial).void


def test_coupled_modes_are_flagged_and_have_no_error_bar() -> None:
    data = linear_map(*published_moments(4, 4, False, 0), torch.float64, CPU)
    network, initial = started(data, 6, 1e-3, 0)
    prediction = network.own_size(initial)
    assert len(prediction.events) == 4
    assert prediction.warning != ""
    assert all(math.isnan(event.error) for event in prediction.events)


def test_levels_are_what_is_left_of_the_target() -> None:
    data = commuting([1.0, 0.5, 0.3], [2.0, 1.5, 1.0])
    network, initial = started(data, 5, 1e-3, 1)
    target, inputs = data.target_map.numpy(), data.inputs.numpy()
    left = network.left.numpy()
    learned = np.zeros((3, 3))
    for event in network.own_size(initial).events:
        vector = left[:, int(event.feature) - 1]
        learned = learned + np.outer(vector, vector)
        rest = (np.eye(3) - learned) @ target
        assert event.loss_after == pytest.approx(0.5 * np.trace(rest @ inputs @ rest.T), abs=1e-12)


def test_a_rotation_of_neurons_changes_nothing() -> None:
    data = commuting([1.0, 0.5, 0.3], [2.0, 1.5, 1.0])
    network, initial = started(data, 5, 1e-3, 1)
    mixing = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(7), dtype=torch.float64))[0]
    events, mixed = network.own_size(initial).events, network.own_size(mixing @ initial).events
    assert [event.feature for event in events] == [event.feature for event in mixed]
    np.testing.assert_allclose([event.time for event in mixed], [event.time for event in events], rtol=1e-9)


def test_rotations_of_inputs_and_outputs_change_nothing() -> None:
    variances, sizes = [1.0, 0.5, 0.3], [2.0, 1.5, 1.0]
    networks = [FullyConnectedLinear(commuting(variances, sizes, seed), 5) for seed in (0, 1)]
    hidden = np.random.default_rng(5).standard_normal((2, 5, 3)) * 1e-3
    times = []
    for network in networks:  # the same coordinates along the modes of either
        inner, outer = hidden[0] @ network.right.numpy().T, hidden[1] @ network.left.numpy().T
        initial = torch.tensor(np.concatenate([inner, outer], axis=1))
        times.append([event.time for event in network.own_size(initial).events])
    signs = [np.sign(np.sum((network.left.numpy().T @ network.data.cross.numpy()) * network.right.numpy().T, axis=1))
             for network in networks]
    np.testing.assert_array_equal(signs[0], signs[1])
    np.testing.assert_allclose(times[0], times[1], rtol=1e-9)


def test_a_factor_of_the_scale_adds_its_logarithm_over_the_rate() -> None:
    data = commuting([1.0, 0.5, 0.3], [2.0, 1.5, 1.0])
    network, initial = started(data, 5, 1.0, 2)
    times = [[event.time for event in network.own_size(initial, -decades * math.log(10)).events]
             for decades in (100, 200, 400)]
    rates = np.array([2.0, 0.75, 0.3])
    np.testing.assert_allclose(np.diff(times, axis=0) * rates, np.array([[100.0] * 3, [200.0] * 3]) * math.log(10))
