"""Gradient flow of the fully connected linear network: mixtures, invariants, exact solutions, conjecture 4.1."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from torch import Tensor

from agfrun import AlternationOptions, predict, train_by_gradient_flow
from agfrun.labs.staircases.dynamics.trajectory import FloatArray, Trajectory
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.networks.fully_connected_linear.coordinates import (
    IndependentNeurons,
    IndependentPolarNeurons,
    independent_mixtures,
)
from agfrun.labs.staircases.networks.fully_connected_linear.data import linear_map, power_law_moments, published_moments
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear

CPU = torch.device("cpu")
SIZES = st.integers(1, 4)
SEEDS = st.integers(0, 999)


def network(target_map: FloatArray, inputs: FloatArray, width: int) -> FullyConnectedLinear:
    return FullyConnectedLinear(linear_map(target_map, inputs, torch.float64, CPU), width)


def random_network(c: int, d: int, width: int, seed: int = 0) -> FullyConnectedLinear:
    return network(*power_law_moments(d, c, 1.0, False, seed), width)


def diagonal_network(sizes: list[float], variances: list[float], width: int) -> FullyConnectedLinear:
    return network(np.diag(sizes), np.diag(variances), width)


def published(commuting: bool) -> FullyConnectedLinear:
    return network(*published_moments(10, 10, commuting, 0), 10)


def start(architecture: FullyConnectedLinear, scale: float, seed: int = 0, kind: str = "gaussian") -> Tensor:
    return architecture.initialize(kind, scale, torch.Generator().manual_seed(seed))


def imbalance(architecture: FullyConnectedLinear, neurons: Tensor) -> Tensor:
    inner, outer = architecture.split(neurons)
    return outer @ outer.T - inner @ inner.T


def half_times(path: Trajectory, settled: FloatArray) -> FloatArray:
    """When each mode reaches half its settled size, exponential between rows; NaN if it does not."""
    times = np.full(len(settled), np.nan)
    for mode, size in enumerate(settled):
        above = np.flatnonzero(path.features[:, mode] >= size / 2)
        if above.size:
            rows = slice(above[0] - 1, above[0] + 1)
            sizes = np.log(np.maximum(path.features[rows, mode], 1e-300))
            times[mode] = np.interp(math.log(size / 2), sizes, path.times[rows])
    return times


def settled_sizes(architecture: FullyConnectedLinear) -> FloatArray:
    return np.asarray(np.linalg.norm(architecture.stages.modes.least_squares, axis=1))


# ---- Coordinates

Coordinates = IndependentNeurons | IndependentPolarNeurons
MAKERS: dict[str, Callable[[FullyConnectedLinear, Tensor], Coordinates]] = {
    "parameters": lambda architecture, neurons: architecture.flow_coordinates(neurons),
    "polar": lambda architecture, neurons: architecture.flow_coordinates(neurons, None, -3.0),
}
EITHER = pytest.mark.parametrize("kind", MAKERS)


def meant(kind: str, neurons: Tensor) -> Tensor:
    """The neurons that coordinates made from `neurons` stand for."""
    return neurons * math.exp(-3) if kind == "polar" else neurons


def jacobian_by_differences(coordinates: Coordinates, y: Tensor) -> Tensor:
    columns = []
    for i in range(len(y)):
        shift = torch.zeros_like(y)
        shift[i] = 1e-6
        forth, back = (coordinates.loss_and_velocity(y + sign * shift)[1] for sign in (1, -1))
        columns.append((forth - back) / 2e-6)
    return torch.stack(columns, dim=1)


@EITHER
@pytest.mark.parametrize("shape", [(3, 4, 2), (2, 2, 9), (1, 1, 5), (2, 3, 5)])
def test_coordinates_are_the_flow_of_the_parameters(kind: str, shape: tuple[int, int, int]) -> None:
    architecture = random_network(*shape)
    neurons = start(architecture, 0.7)
    coordinates = MAKERS[kind](architecture, neurons)
    y = coordinates.encode(neurons)
    assert len(y) == min(shape[2], shape[0] + shape[1]) * (architecture.neuron_dimension + (kind == "polar"))
    torch.testing.assert_close(coordinates.decode(y), meant(kind, neurons), rtol=1e-12, atol=1e-14)
    loss, velocity = coordinates.loss_and_velocity(y)
    expected_loss, gradient = architecture.loss_and_gradient(meant(kind, neurons))
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(torch.func.jvp(coordinates.decode, (y,), (velocity,))[1], -gradient,
                               rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(coordinates.jacobian(y), jacobian_by_differences(coordinates, y), rtol=1e-6, atol=1e-6)
    scaled, log_factors = coordinates.scaled(y)
    factors = torch.ones(len(neurons)) if log_factors is None else log_factors.exp()
    torch.testing.assert_close(scaled * factors[:, None], meant(kind, neurons), rtol=1e-12, atol=1e-14)


def test_mixtures_start_without_the_directions_before_them() -> None:
    architecture = random_network(3, 4, 5)
    neurons = start(architecture, 1e-6)
    coordinates = architecture.flow_coordinates(neurons)
    directions = architecture.growth_directions(architecture.residual(neurons))
    entries = coordinates.encode(neurons).view(5, -1) @ directions
    assert float(entries.tril(-1).abs().max()) < 1e-14 * float(entries.abs().max())
    assert isinstance(coordinates, IndependentNeurons)
    assert isinstance(architecture.flow_coordinates(neurons, None, -900.0), IndependentPolarNeurons)


def test_balanced_neurons_have_as_many_mixtures_as_their_rank() -> None:
    architecture = random_network(2, 4, 9)
    neurons = start(architecture, 1e-6, kind="balanced")
    assert len(architecture.flow_coordinates(neurons).encode(neurons)) == 2 * 6


@EITHER
def test_renewed_mixtures_are_the_same_network(kind: str) -> None:
    architecture = random_network(3, 4, 4)
    generator = torch.Generator().manual_seed(2)
    # All nearly along one direction, of very different sizes.
    common = torch.randn(7, generator=generator)
    neurons = torch.tensor([1.0, 1e-3, 1e-6, 0.5])[:, None] * (common + 1e-3 * torch.randn(4, 7, generator=generator))
    coordinates = MAKERS[kind](architecture, neurons)
    coordinates.mixing = torch.eye(4)
    y = coordinates.encode(torch.eye(4) @ neurons)
    before, loss = coordinates.decode(y), coordinates.loss_and_velocity(y)[0]
    renewed = coordinates.renewed(y)
    assert renewed is not y
    torch.testing.assert_close(coordinates.mixing.T @ coordinates.mixing, torch.eye(4))
    torch.testing.assert_close(coordinates.decode(renewed), before, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(coordinates.loss_and_velocity(renewed)[0], loss)
    rows = coordinates.mixing.T @ before
    unit = rows / rows.norm(dim=1, keepdim=True)
    assert float((unit @ unit.T - torch.eye(4)).abs().max()) < 2e-3
    assert coordinates.renewed(renewed) is renewed


@given(r=st.integers(2, 6), seed=SEEDS, depth=st.floats(0, 800))
def test_independent_mixtures_keep_volume_and_digits(r: int, seed: int, depth: float) -> None:
    """The sizes of orthogonal mixtures multiply to the volume of the neurons, however small some of them are."""
    generator = np.random.default_rng(seed)
    directions = generator.standard_normal(8) + 0.05 * generator.standard_normal((r, 8))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    log_norms = -depth * generator.random(r)
    found = independent_mixtures(torch.tensor(directions), torch.tensor(log_norms))
    assert found is not None
    change, rows, sizes = found
    torch.testing.assert_close(change.T @ change, torch.eye(r))
    assert float((rows @ rows.T - torch.eye(r)).abs().max()) < 2e-3
    volume = 0.5 * np.linalg.slogdet(directions @ directions.T)[1] + log_norms.sum()
    assert float(sizes.sum()) == pytest.approx(volume, abs=1e-4)
    assert float(sizes.max()) == pytest.approx(np.max(log_norms), abs=math.log(r))


def test_directions_that_are_independent_are_left_alone() -> None:
    assert independent_mixtures(torch.eye(3), torch.tensor([0.0, -5.0, -900.0])) is None


# ---- Invariants and exact solutions


@settings(max_examples=8)
@given(c=SIZES, d=SIZES, width=SIZES, seed=SEEDS, kind=st.sampled_from(["gaussian", "balanced"]))
def test_balance_is_conserved(c: int, d: int, width: int, seed: int, kind: str) -> None:
    architecture = random_network(c, d, width, seed)
    neurons = start(architecture, 0.3, seed, kind)
    final = train_by_gradient_flow(architecture, neurons, 10.0, tolerance=1e-7, convergence=0.0).final
    drift = imbalance(architecture, final) - imbalance(architecture, neurons)
    assert float(drift.abs().max()) < 1e-5 * float(final.square().sum())


@pytest.mark.parametrize(("shape", "method"), [((3, 4, 3), "rosenbrock"), ((2, 3, 6), "rkc")])
def test_flow_against_scipy(shape: tuple[int, int, int], method: str) -> None:
    architecture = random_network(*shape)
    neurons = start(architecture, 0.2)
    target_map, inputs = architecture.data.target_map.numpy(), architecture.data.inputs.numpy()

    def velocity(_: float, flat: FloatArray) -> FloatArray:
        rows = flat.reshape(neurons.shape)
        inner, outer = rows[:, : shape[1]], rows[:, shape[1] :]
        correlation = (target_map - outer.T @ inner) @ inputs
        return np.concatenate([outer @ correlation, inner @ correlation.T], axis=1).ravel()

    expected = solve_ivp(velocity, (0, 8), neurons.numpy().ravel(), method="DOP853", rtol=1e-9, atol=1e-10).y[:, -1]
    final = train_by_gradient_flow(architecture, neurons, 8.0, tolerance=1e-7, method=method, convergence=0.0).final
    np.testing.assert_allclose(final.numpy().ravel(), expected, atol=3e-5)


def test_aligned_balanced_modes_are_logistic() -> None:
    """Each mode alone: ds/dt = 2 lambda s (b - s) for s = a w, a = w (Saxe et al. 2014)."""
    sizes, variances, scale = [3.0, 1.0], [1.0, 0.5], 1e-12
    architecture = diagonal_network(sizes, variances, 2)
    neurons = scale * torch.cat([torch.eye(2), torch.eye(2)], dim=1)
    path = train_by_gradient_flow(architecture, neurons, 75.0, tolerance=1e-8, convergence=0.0).trajectory
    for mode, (b, variance) in enumerate(zip(sizes, variances, strict=True)):
        growth = np.exp(-2 * variance * b * path.times)
        exact = b / (1 + (b / scale**2 - 1) * growth)
        np.testing.assert_allclose(path.features[:, mode], exact, rtol=1e-4, atol=1e-30)


@pytest.mark.parametrize("commuting", [True, False])
def test_delay_behind_the_conjecture_is_a_number_of_e_folds(commuting: bool) -> None:
    """The same directions at two scales: what the conjecture leaves out does not depend on the scale."""
    architecture = published(commuting)
    delays = []
    for scale in (1e-9, 1e-15):
        e_folds = -math.log(math.sqrt(2) * scale)
        path = train_by_gradient_flow(architecture, start(architecture, scale),
                                      1.25 * e_folds * architecture.stages.times[3]).trajectory
        conjectured = architecture.stages.times[:4] * e_folds
        delays.append((half_times(path, settled_sizes(architecture)[:4]) / conjectured - 1) * e_folds)
    np.testing.assert_allclose(delays[1], delays[0], atol=0.06)
    assert (delays[1] > 0).all()
    assert (delays[1] < 5).all()


def test_late_modes_do_not_drown_in_early_ones() -> None:
    """Modes learned one by one from 1e-15 come as late as they would alone, without the large ones before them."""
    sizes, variances, scale = [4.0, 2.0, 1.0], [1.0, 0.5, 0.3], 1e-15
    together = diagonal_network(sizes, variances, 3)
    generator = torch.Generator().manual_seed(1)
    neurons = scale * torch.randn(3, 6, generator=generator)
    horizon = 200.0
    times = half_times(train_by_gradient_flow(together, neurons, horizon).trajectory, np.array(sizes))
    # Mixture 3 is all that is left of mode 3 once the others have taken their part.
    growing = (neurons[:, :3] + neurons[:, 3:]).numpy() / math.sqrt(2)
    mixtures = np.abs(np.diag(np.linalg.qr(growing)[1]))
    for mode in range(3):
        rate = sizes[mode] * variances[mode]
        alone = math.log(2 * sizes[mode] / mixtures[mode] ** 2) / (2 * rate)
        assert times[mode] == pytest.approx(alone, abs=0.02 / rate)


# ---- Conjecture 4.1


def acquired(path: Trajectory) -> list[tuple[str, float]]:
    return [(event.feature, event.loss_after) for event in detect_events(path, 1.0) if event.kind == "acquisition"]


def test_training_visits_the_levels_of_the_conjecture_in_order() -> None:
    architecture = published(commuting=True)
    theory = architecture.theory(start(architecture, 1e-12), math.log(1e-12), 1.0)
    assert theory is not None
    path = train_by_gradient_flow(architecture, start(architecture, 1e-12), 1.5 * theory.events[3].time).trajectory
    found = acquired(path)
    assert [feature for feature, _ in found] == ["1", "2", "3", "4"]
    np.testing.assert_allclose([level for _, level in found], architecture.stages.levels[1:5], rtol=1e-5)


def test_commuting_modes_are_learned_by_speed_and_not_by_size() -> None:
    architecture = diagonal_network([10.0, 1.0], [0.05, 1.0], 2)
    path = train_by_gradient_flow(architecture, start(architecture, 1e-10), 80.0).trajectory
    levels = [level for _, level in acquired(path)]
    assert levels[0] == pytest.approx(2.5, rel=1e-6)  # P_1 beta* with the larger mode would leave 0.5
    assert path.features[-1] == pytest.approx([1.0, 10.0], rel=1e-3)


@pytest.mark.parametrize(("c", "d", "width"), [(3, 5, 2), (5, 3, 1), (4, 4, 3)])
def test_too_few_neurons_end_at_the_best_map_of_their_rank(c: int, d: int, width: int) -> None:
    architecture = random_network(c, d, width)
    result = train_by_gradient_flow(architecture, start(architecture, 1e-4), 5000.0, convergence=1e-12)
    assert result.trajectory.loss[-1] == pytest.approx(architecture.stages.levels[-1], rel=1e-5)
    assert architecture.stages.levels[-1] > 0
    learned = architecture.product(result.final).numpy()
    np.testing.assert_allclose(learned, architecture.stages.saddle(width), atol=1e-2)


def test_singular_inputs_are_learned_on_their_range() -> None:
    generator = np.random.default_rng(3)
    root = generator.standard_normal((5, 2))
    architecture = network(generator.standard_normal((3, 5)), root @ root.T, 4)
    result = train_by_gradient_flow(architecture, start(architecture, 1e-6), 500.0, convergence=1e-10)
    assert result.status == "converged"
    expected = architecture.stages.saddle(2)
    np.testing.assert_allclose(architecture.product(result.final).numpy(), expected, atol=1e-3)


def test_a_wide_network_is_integrated_as_its_mixtures() -> None:
    """300 neurons in 7 dimensions: 49 unknowns. A single step on the parameters would factorize 2100."""
    architecture = random_network(3, 4, 300)
    neurons = start(architecture, 1e-8)
    assert len(architecture.flow_coordinates(neurons).encode(neurons)) == 49
    result = train_by_gradient_flow(architecture, neurons, 2 * 18 * float(architecture.stages.times[-1]))
    assert result.status == "converged"
    assert result.final.shape == neurons.shape
    assert float(architecture.loss(architecture.residual(result.final))) < 2e-6 * result.trajectory.loss[0]


# ---- AGF


def test_generic_agf_is_the_conjecture_where_modes_commute() -> None:
    """Up to three e-folds, which the random starts account for; the modes are far more than that apart."""
    architecture = diagonal_network([4.0, 2.0, 1.0], [1.0, 0.5, 0.3], 3)
    scale = 1e-6
    prediction = predict(architecture, start(architecture, scale, seed=3),
                         AlternationOptions(tolerance=1e-10, cost_tolerance=1e-8), "generic")
    e_folds = -math.log(math.sqrt(2) * scale)
    assert len(prediction.rounds) == 3
    for number, stage in enumerate(prediction.rounds):
        conjectured = architecture.stages.times[number] * e_folds
        assert stage.time == pytest.approx(conjectured, rel=3 / e_folds)
        level = architecture.stages.levels[number + 1]
        assert stage.loss == pytest.approx(level, abs=1e-3 * prediction.trajectory.loss[0])
