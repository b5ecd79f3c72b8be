"""Own-size steps of attention heads, against quadrature, integrators and training."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.labs.staircases.networks.linear_attention.data import in_context_regression, power_law
from agfrun.labs.staircases.networks.linear_attention.dormant_head import DormantHead
from agfrun.labs.staircases.networks.linear_attention.impulse import kicked, newcomers_impulse
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.linear_attention.own_size import HALF_SIZE_DELAY, attention_modes
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction

Vector = npt.NDArray[np.float64]


def network(eigenvalues: list[float], width: int, rank: int = 1, parameterization: str = "restricted"
            ) -> LinearAttention:
    data = in_context_regression(eigenvalues, 32, None, torch.float64, torch.device("cpu"))
    return LinearAttention(data, width, rank, parameterization)


def start(architecture: LinearAttention, scale: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(architecture.width, size, generator=generator, dtype=torch.float64)
             for size in architecture.sizes]
    neurons = scale * math.sqrt(2 / architecture.neuron_dimension) * torch.cat(parts, dim=1)
    neurons[:, 0] = neurons[:, 0].abs()
    return neurons


def trained_events(architecture: LinearAttention, neurons: torch.Tensor, horizon: float
                   ) -> list[tuple[float, str, bool]]:
    """(time, mode, whether it rises) of all crossings of half of the optimum, in training."""
    path = train_by_gradient_flow(architecture, neurons, horizon, tolerance=1e-6, convergence=1e-7,
                                  max_rows=20000).trajectory
    shares = path.features / architecture.data.optimal_coefficients.numpy() - 0.5
    found = []
    for mode, name in enumerate(path.feature_names):
        for row in np.flatnonzero(np.signbit(shares[1:, mode]) != np.signbit(shares[:-1, mode])):
            low, high = shares[row, mode], shares[row + 1, mode]
            time = path.times[row] + (path.times[row + 1] - path.times[row]) * low / (low - high)
            found.append((float(time), name, bool(high > 0)))
    return sorted(found)


def assert_as_trained(architecture: LinearAttention, neurons: torch.Tensor, worst: float = math.inf
                      ) -> OwnSizePrediction:
    """Every event of training is predicted, in order, as well as the prediction says of itself, and than `worst`."""
    predicted = architecture.own_size(neurons)
    measured = trained_events(architecture, neurons, 2 * predicted.events[-1].time + 20)
    assert [(event.feature, event.size > 0) for event in predicted.events] == [event[1:] for event in measured]
    for event, (time, _, _) in zip(predicted.events, measured, strict=True):
        assert event.time == pytest.approx(time, rel=min(worst, event.error + 5e-5)), (event, time)
    return predicted


def test_delay_of_the_half() -> None:
    integral = quad(lambda x: x / (1 - x**3), 0, 2 ** (-1 / 3), epsabs=1e-13)[0]
    assert pytest.approx(1 - 2 ** (1 / 3) + integral, abs=1e-12) == HALF_SIZE_DELAY


@pytest.mark.parametrize("size", [1e-3, 1e-5])
def test_one_head_with_one_mode_is_exact(size: float) -> None:
    """s' = g s^2 (1 - s^3 / A) from v = k = q, up to what it learns below the start, s0^2 / (2 A g)."""
    architecture = network([0.7], 1)
    drive, optimum = 32 * 0.7**2, float(architecture.data.optimal_coefficients[0])
    predicted = architecture.own_size(torch.full((1, 3), size, dtype=torch.float64))
    half = (optimum / 2) ** (1 / 3)
    exact = quad(lambda r: 1 / (drive * (1 - 1 / (r**3 * optimum))), 1 / half, 1 / size, epsabs=0, epsrel=1e-12,
                 limit=500)[0]
    (event,) = predicted.events
    assert event.time == pytest.approx(exact, rel=1e-10, abs=size**2 / (optimum * drive))
    assert event.size == pytest.approx(optimum)
    assert event.loss_before - event.loss_after == pytest.approx(drive * optimum / 2)
    assert predicted.evaluations == 0


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), rank=st.integers(1, 3), turned=st.booleans())
def test_first_output_is_that_of_an_integrator(seed: int, rank: int, turned: bool) -> None:
    generator = np.random.default_rng(seed)
    drives, sizes = np.array([5.0, 2.0, 0.0, 0.7]), np.array([3.0, 1.0, 1e-9, 2.0])
    keys, queries = generator.normal(size=(2, rank, 4))
    value = -0.1 * float(np.sign((drives * keys * queries).sum())) if turned else abs(generator.normal())
    head = DormantHead.of(0.05 * value, 0.05 * keys, 0.05 * queries)
    time, mode = head.first_output(drives, sizes)

    def velocity(_: float, state: Vector) -> Vector:
        k, q = state[1:].reshape(2, rank, 4)
        return np.concatenate([[(drives * k * q).sum()], (state[0] * drives * q).ravel(),
                               (state[0] * drives * k).ravel()])

    def reached(_: float, state: Vector) -> float:
        k, q = state[1:].reshape(2, rank, 4)
        return float((state[0] * (k * q).sum(0) / sizes)[drives > 0].max() - 1)

    reached.terminal = True  # type: ignore[attr-defined]
    state = head.scale * np.concatenate([[head.value], head.keys.ravel(), head.queries.ravel()])
    path = solve_ivp(velocity, (0, 2 * time), state, method="DOP853", rtol=1e-11, atol=1e-14, events=reached)
    k, q = path.y[1:, -1].reshape(2, rank, 4)
    assert time == pytest.approx(path.t[-1], rel=1e-7)
    assert mode == int(np.argmax(np.where(drives > 0, (k * q).sum(0) * path.y[0, -1] / sizes, -np.inf)))


def flow_of_heads(architecture: LinearAttention, heads: list[Vector], duration: float) -> Vector:
    """Integral of the residual C * (diag A - M) over the flow of rank-one heads (v, k, q), (D, D)."""
    modes = attention_modes(architecture.data)
    size, count = len(modes.optimum), len(heads)

    def velocity(_: float, state: Vector) -> Vector:
        rows = state[: count * (1 + 2 * size)].reshape(count, -1)
        v, k, q = rows[:, :1], rows[:, 1: 1 + size], rows[:, 1 + size:]
        rest = modes.weights * (np.diag(modes.optimum) - (v * k).T @ q)
        moved = np.concatenate([np.einsum("hi,ij,hj->h", k, rest, q)[:, None], v * (q @ rest.T), v * (k @ rest)], 1)
        return np.concatenate([moved.ravel(), rest.ravel()])

    begin = np.concatenate([*heads, np.zeros(size**2)])
    path = solve_ivp(velocity, (0, duration), begin, method="LSODA", rtol=1e-10, atol=1e-14)
    return path.y[-size**2:, -1].reshape(size, size)


def resting(mode: int, size: float, others: dict[int, tuple[float, float]], dimension: int, sign: float = 1.0
            ) -> Vector:
    k, q = np.zeros((2, dimension))
    k[mode], q[mode] = size, sign * size
    for other, (key, query) in others.items():
        k[other], q[other] = key, query
    return np.concatenate([[sign * size], k, q])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_impulse_is_the_linear_response(sign: float) -> None:
    """A newcomer on mode 2, mode 1 held by another head, with a millionth of the others."""
    architecture = network([1.0, 0.7, 0.5, 0.3], 2)
    modes = attention_modes(architecture.data)
    sizes = modes.optimum ** (1 / 3)
    others = {0: (1e-6, -2e-6), 2: (3e-6, 1e-6), 3: (-1e-6, 2e-6)}
    newcomer = resting(1, sizes[1], others, 4, sign)
    drives = modes.drives * np.array([0, 0, 1, 1])
    head = DormantHead.of(newcomer[0], newcomer[None, 1:5], newcomer[None, 5:])
    impulse = newcomers_impulse(modes, head, 1, drives)
    integral = flow_of_heads(architecture, [newcomer, resting(0, sizes[0], {}, 4)], 60.0)
    off = integral - np.diag(np.diag(integral))
    for j in (0, 2, 3):
        np.testing.assert_allclose([impulse[1, j], impulse[j, 1]], [off[1, j], off[j, 1]], rtol=2e-4)


def test_no_impulse_towards_a_stronger_mode() -> None:
    """There the saddle is unstable, and the response has no integral."""
    modes = attention_modes(network([1.0, 0.7], 1).data)
    newcomer = resting(1, modes.optimum[1] ** (1 / 3), {0: (1e-6, 1e-6)}, 2)
    head = DormantHead.of(newcomer[0], newcomer[None, 1:3], newcomer[None, 3:])
    assert not newcomers_impulse(modes, head, 1, modes.drives * np.array([1, 0])).any()


def test_a_kick_is_the_flow_of_its_utility() -> None:
    generator = np.random.default_rng(0)
    keys, queries = 0.1 * generator.normal(size=(2, 2, 3))
    impulse = generator.normal(size=(3, 3))

    def velocity(_: float, state: Vector) -> Vector:
        k, q = state[1:].reshape(2, 2, 3)
        return np.concatenate([[np.trace(k @ impulse @ q.T)], (state[0] * q @ impulse.T).ravel(),
                               (state[0] * k @ impulse).ravel()])

    after = solve_ivp(velocity, (0, 1), np.concatenate([[0.1], keys.ravel(), queries.ravel()]), rtol=1e-11, atol=1e-13)
    head = kicked(DormantHead.of(0.1, keys, queries), impulse)
    got = head.scale * np.concatenate([[head.value], head.keys.ravel(), head.queries.ravel()])
    np.testing.assert_allclose(got, after.y[:, -1], rtol=0, atol=1e-6 * head.norm)


def test_a_head_that_turns_to_a_stronger_mode() -> None:
    """It has more of the weaker mode at first, learns it, and leaves it for the stronger one."""
    architecture = network([1.2, 0.8], 1)
    neurons = torch.tensor([[1e-2, 1e-6, 1e-2, 1e-6, 1e-2]], dtype=torch.float64)
    predicted = assert_as_trained(architecture, neurons, worst=2e-3)
    assert {(event.feature, event.size > 0) for event in predicted.events} == {("2", True), ("1", True), ("2", False)}
    first, last = predicted.events[0], predicted.events[-1]
    energies = architecture.data.energies.tolist()
    assert first.loss_before - first.loss_after == pytest.approx(energies[1])
    assert last.loss_before - last.loss_after == pytest.approx(energies[0] - energies[1])


def test_the_mode_that_a_turning_head_leaves_is_learned_by_another() -> None:
    architecture = network([1.2, 0.8], 2)
    neurons = torch.tensor([[1e-2, 1e-6, 1e-2, 1e-6, 1e-2], [1e-3, 1e-9, 1e-3, 1e-9, 1e-3]], dtype=torch.float64)
    events = assert_as_trained(architecture, neurons, worst=1e-2).events
    assert [(event.feature, event.neuron) for event in events if event.size] == [("2", 0), ("1", 0), ("2", 1)]


def test_the_seed_on_which_one_would_turn() -> None:
    """Six modes and eight heads: steps that let the head stay with mode 6 get mode 5 wrong by 130 %."""
    data = in_context_regression(power_law(6, 1.0, 2.0), 32, 0, torch.float64, torch.device("cpu"))
    architecture = LinearAttention(data, 8)
    predicted = assert_as_trained(architecture, start(architecture, 1e-2, 8), worst=2e-2)
    assert [event.feature for event in predicted.events] == ["1", "2", "3", "4", "5", "6"]


def test_order_of_the_heads_is_nothing() -> None:
    architecture = network(power_law(4, 1.0, 2.0), 5)
    neurons, order = start(architecture, 1e-2, 3), torch.tensor([3, 0, 4, 2, 1])
    one, other = architecture.own_size(neurons).events, architecture.own_size(neurons[order]).events
    assert [event.time for event in other] == pytest.approx([event.time for event in one], rel=1e-9)
    assert [int(order[event.neuron]) for event in other if event.neuron is not None] == [
        event.neuron for event in one]


@pytest.mark.parametrize(("rank", "width"), [(1, 5), (1, 2), (2, 3), (4, 1)])
def test_times_are_as_good_as_they_say(rank: int, width: int) -> None:
    architecture = network(power_law(4, 1.0, 2.0), width, rank)
    assert_as_trained(architecture, start(architecture, 1e-3, 1), worst=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(("dimension", "width", "rank"), [(4, 5, 1), (6, 8, 1), (4, 3, 2)])
def test_times_are_as_good_as_they_say_on_many_seeds(dimension: int, width: int, rank: int) -> None:
    architecture = network(power_law(dimension, 1.0, 2.0), width, rank)
    for seed in range(100, 108):
        assert_as_trained(architecture, start(architecture, 1e-2, seed))


def test_equal_eigenvalues() -> None:
    """What is learned first in their space is the newcomer's direction; training's sizes are eigenvalues."""
    assert_as_trained(network([1.0, 0.6, 0.6], 4), start(network([1.0, 0.6, 0.6], 4), 1e-3, 0), worst=1e-2)


def test_what_there_is_no_prediction_of() -> None:
    full = network([1.0, 0.5], 3, parameterization="full")
    predicted = full.own_size(start(full, 1e-2, 0))
    assert not predicted.events
    assert "parameterization" in predicted.void
