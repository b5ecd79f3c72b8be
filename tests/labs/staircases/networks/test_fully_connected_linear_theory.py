"""Conjecture 4.1: the paper's numbers, and the exact flow of independent growth it is a statement about."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag, expm, sqrtm

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.fully_connected_linear.data import LinearMap, linear_map, published_moments
from agfrun.labs.staircases.networks.fully_connected_linear.theory import (
    Stages,
    fully_connected_linear_theory,
    jump_times,
    predicted_stages,
    target_modes,
)

CPU = torch.device("cpu")
PUBLISHED_SCALE = 1e-15
# Steps of the published code: it descends E ||r||^2 with learning rate 1e-3, 2e-3 units of time a step.
STEPS = -math.log(math.sqrt(2) * PUBLISHED_SCALE) / 2e-3


def population(target_map: FloatArray, inputs: FloatArray, noise: FloatArray | None = None) -> LinearMap:
    return linear_map(np.asarray(target_map, dtype=float), inputs, torch.float64, CPU, noise)


def stages_of(data: LinearMap, width: int = 100) -> Stages:
    return predicted_stages(target_modes(data), width, data.noise_loss)


def random_population(c: int, d: int, rank: int, seed: int) -> LinearMap:
    generator = np.random.default_rng(seed)
    root = generator.standard_normal((d, rank))
    return population(generator.standard_normal((c, d)), root @ root.T)


DIMENSIONS = st.integers(1, 5)
SEEDS = st.integers(0, 999)


# ---- The paper's numbers

ANCHORS = {
    True: ([4.08735, 0.85451, 0.24574, 0.08010, 0.03464, 0.01454, 0.00632, 0.00147, 0.00047, 0.0],
           [3007, 13858, 39851, 101429, 190630, 357920, 543168, 1369539, 2240942, 5.35e7]),
    False: ([1.04329, 0.47162, 0.21107, 0.11165, 0.04741, 0.02407, 0.00683, 0.00269, 0.00095, 0.0],
            [7312, 22771, 46918, 101040, 143027, 194869, 648679, 834467, 1105094, 2.5e7]),
}


@pytest.mark.parametrize("commuting", [True, False])
def test_published_levels_and_steps(commuting: bool) -> None:
    stages = stages_of(population(*published_moments(10, 10, commuting, 0)), 10)
    levels, steps = ANCHORS[commuting]
    # The published figure shows the mean over outputs of the squared error, 2/c of the paper's loss. The
    # levels are those before each mode.
    np.testing.assert_allclose(stages.levels[:-1] * 2 / 10, levels, atol=5.1e-6)
    np.testing.assert_allclose(stages.times[:-1] * STEPS, steps[:-1], atol=0.51)
    assert stages.times[-1] * STEPS == pytest.approx(steps[-1], rel=5e-3)
    assert stages.levels[-1] == 0
    assert stages.undecided == ""


def test_commuting_modes_come_at_one_over_their_singular_value() -> None:
    target_map, inputs = published_moments(10, 10, True, 0)
    stages = stages_of(population(target_map, inputs))
    np.testing.assert_allclose(stages.times, 1 / np.linalg.svd(target_map @ inputs)[1], rtol=1e-9)
    assert len(set(stages.modes.sets.tolist())) == 10


# ---- What the saddles are


@given(c=DIMENSIONS, d=DIMENSIONS, rank=DIMENSIONS, seed=SEEDS)
def test_saddles_are_the_best_maps_of_their_rank(c: int, d: int, rank: int, seed: int) -> None:
    data = random_population(c, d, rank, seed)
    stages = stages_of(data)
    values, vectors = np.linalg.eigh(data.inputs.numpy())
    root = vectors * np.sqrt(np.maximum(values, 0))
    target = data.target_map.numpy() @ root
    sizes = np.linalg.svd(target, compute_uv=False)
    count = min(c, d, rank)
    assert len(stages) == count
    for k in range(count + 1):
        error = target - stages.saddle(k) @ root
        assert 0.5 * np.sum(error**2) == pytest.approx(stages.levels[k], abs=1e-7 * np.sum(sizes**2))
        assert stages.levels[k] == pytest.approx(0.5 * np.sum(sizes[k:count] ** 2), abs=1e-7 * np.sum(sizes**2))
        assert np.linalg.matrix_rank(stages.saddle(k), tol=1e-9 * sizes[0]) == k


@given(c=DIMENSIONS, d=DIMENSIONS, seed=SEEDS)
def test_saddles_are_critical_points(c: int, d: int, seed: int) -> None:
    """At a map A W = P beta* the gradient of both layers vanishes for any factors."""
    data = random_population(c, d, d, seed)
    stages = stages_of(data)
    for k in range(len(stages) + 1):
        left, sizes, right = np.linalg.svd(stages.saddle(k))
        outer, inner = left[:, :k] * sizes[:k], right[:k]
        correlation = (data.target_map.numpy() - outer @ inner) @ data.inputs.numpy()
        scale = np.linalg.norm(data.cross.numpy()) * (1 + np.linalg.norm(outer))
        assert np.linalg.norm(correlation @ inner.T) <= 1e-9 * scale
        assert np.linalg.norm(outer.T @ correlation) <= 1e-9 * scale


def test_singular_values_of_the_staircase() -> None:
    stages = stages_of(random_population(3, 5, 5, 1))
    values = stages.singular_values()
    assert values.shape == (4, 3)
    np.testing.assert_array_equal(values[0], 0)
    for k in range(4):
        np.testing.assert_allclose(values[k], np.linalg.svd(stages.saddle(k), compute_uv=False), atol=1e-12)
        assert (values[k, k:] < 1e-12).all()


# ---- When they are reached


def growth_by_orthogonalization(stages: Stages, e_folds: float, seed: int) -> FloatArray:
    """Times over `e_folds` at which independent mixtures of neurons exp(-e_folds) grow to size 1, in turn.

    The exact flow of dormant neurons, theta' = theta M with M = [[0, G^T], [G, 0]], under G = (1 - P_k) Sigma_yx
    while k modes are learned, orthogonalized after each short step; the logarithms of the sizes are summed up.
    Nothing here knows of singular values.
    """
    modes, count = stages.modes, len(stages)
    c, d = modes.left.shape[0], modes.drives.shape[1]
    columns = np.linalg.qr(np.random.default_rng(seed).standard_normal((c + d, count)))[0]
    logs, time, times = np.full(count, -e_folds), 0.0, []
    for k in range(count):
        correlation = modes.left[:, k:] @ modes.drives[k:]
        step = 0.5 / np.linalg.norm(correlation, 2)
        flow = expm(step * np.block([[np.zeros((d, d)), correlation.T], [correlation, np.zeros((c, c))]]))
        while logs[0] < 0:
            columns, triangle = np.linalg.qr(flow @ columns)
            logs += np.log(np.abs(np.diag(triangle)))
            time += step
        times.append(time)
        columns, logs = columns[:, 1:], logs[1:]
    return np.array(times) / e_folds


@pytest.mark.parametrize(("c", "d", "seed"), [(3, 3, 0), (3, 4, 1), (4, 3, 2), (2, 5, 3), (4, 4, 4)])
def test_recursion_is_the_growth_of_independent_neurons(c: int, d: int, seed: int) -> None:
    stages = stages_of(random_population(c, d, d, seed))
    e_folds = 3000.0
    np.testing.assert_allclose(growth_by_orthogonalization(stages, e_folds, seed), stages.times, rtol=20 / e_folds)


@given(c=DIMENSIONS, d=DIMENSIONS, rank=DIMENSIONS, seed=SEEDS)
def test_times_rise_from_one_over_the_largest_singular_value(c: int, d: int, rank: int, seed: int) -> None:
    data = random_population(c, d, rank, seed)
    times = stages_of(data).times
    assert times[0] == pytest.approx(1 / np.linalg.svd(data.cross.numpy(), compute_uv=False)[0], rel=1e-9)
    assert (np.diff(times) >= -1e-9 * times[1:]).all()


@given(seed=SEEDS, factor=st.floats(0.1, 10))
def test_times_scale_with_the_drive(seed: int, factor: float) -> None:
    data = random_population(3, 4, 4, seed)
    scaled = population(factor * data.target_map.numpy(), data.inputs.numpy())
    np.testing.assert_allclose(stages_of(scaled).times, stages_of(data).times / factor, rtol=1e-7)


@given(c=DIMENSIONS, d=st.integers(2, 5), seed=SEEDS)
def test_singular_inputs_are_the_inputs_of_their_range(c: int, d: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    root, axes = generator.standard_normal((d - 1, d - 1)), np.linalg.qr(generator.standard_normal((d, d)))[0][:, 1:]
    target_map = generator.standard_normal((c, d))
    reduced = stages_of(population(target_map @ axes, root @ root.T))
    singular = stages_of(population(target_map, axes @ root @ root.T @ axes.T))
    np.testing.assert_allclose(singular.times, reduced.times, rtol=1e-6)
    np.testing.assert_allclose(singular.levels, reduced.levels, atol=1e-9 * reduced.levels[0])
    np.testing.assert_allclose(singular.saddle(len(singular)), reduced.saddle(len(reduced)) @ axes.T, atol=1e-6)


# ---- Modes that do not see one another


def test_commuting_modes_come_by_speed_and_not_by_size() -> None:
    """Size mu = b^2 lambda, speed sigma = b lambda: the published recursion takes the larger mode for the first."""
    sizes, variances = np.array([10.0, 1.0]), np.array([0.05, 1.0])
    stages = stages_of(population(np.diag(sizes), np.diag(variances)))
    np.testing.assert_allclose(stages.times, [1.0, 2.0])
    np.testing.assert_allclose(stages.modes.energies, [1.0, 5.0])
    np.testing.assert_allclose(stages.levels, [3.0, 2.5, 0.0])
    published = jump_times(np.diag(sizes * variances))
    assert published[0] == pytest.approx(1.0)
    assert stages.undecided == ""


@given(first=SEEDS, second=SEEDS, c=st.integers(1, 3), d=st.integers(1, 3))
def test_a_direct_sum_has_the_sequences_of_its_parts(first: int, second: int, c: int, d: int) -> None:
    parts = [random_population(c, d, d, first), random_population(2, 2, 2, second)]
    whole = population(block_diag(*(part.target_map.numpy() for part in parts)),
                       block_diag(*(part.inputs.numpy() for part in parts)))
    expected = np.sort(np.concatenate([stages_of(part).times for part in parts]))
    np.testing.assert_allclose(stages_of(whole).times, expected, rtol=1e-7)


def test_modes_coupled_through_inputs_without_a_target_are_one_set() -> None:
    """Both modes are correlated with a third input direction that has no effect, not with each other."""
    inputs = np.array([[1.0, 0.0, 0.5], [0.0, 0.2, 0.25], [0.5, 0.25, 0.6]])
    target_map = np.array([[1.0, 0.0, 0.0], [0.0, 1.5, 0.0]]) @ np.linalg.inv(np.real(sqrtm(inputs)))
    stages = stages_of(population(target_map, inputs))
    assert abs(float(stages.modes.drives[0] @ stages.modes.drives[1])) < 1e-12
    assert len(set(stages.modes.sets.tolist())) == 1
    # In one set the larger mode comes first, though it is the slower one.
    np.testing.assert_allclose(stages.modes.energies, [2.25, 1.0])
    np.testing.assert_allclose(stages.times, [1.0, 1 + (1 - 1.5 * 0.2**0.5)])


def test_degenerate_modes_are_told_apart_by_their_speed() -> None:
    """Two modes of one size mu in a rotated basis; only the covariance says which combinations they are."""
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    sizes, variances = np.array([1.0, 2.0, 1.0]), np.array([1.0, 0.25, 0.5])
    stages = stages_of(population(np.diag(sizes) @ rotation.T, rotation @ np.diag(variances) @ rotation.T))
    np.testing.assert_allclose(stages.times, [1.0, 2.0, 2.0])
    np.testing.assert_allclose(np.abs(stages.modes.left[:, 0]), [1, 0, 0], atol=1e-9)
    assert stages.undecided == "modes 2 and 3 are equally fast: their order is undetermined"


# ---- What is left open


def test_isotropic_modes_are_a_tie() -> None:
    stages = stages_of(population(np.eye(3), np.eye(3)))
    assert stages.undecided == "modes 1 and 2 and 3 are equally fast: their order is undetermined"
    np.testing.assert_allclose(stages.times, 1)


def test_coupled_modes_of_one_size_are_undecided() -> None:
    generator = np.random.default_rng(1)
    inputs = np.diag([1.0, 0.5, 0.2, 0.1])
    whitened = np.linalg.qr(generator.standard_normal((4, 4)))[0][:3] * np.array([[2.0], [1.0], [1.0]])
    stages = stages_of(population(whitened @ np.diag(np.diag(inputs) ** -0.5), inputs))
    assert "carry the same loss" in stages.undecided


def test_too_few_neurons_learn_the_first_modes() -> None:
    data = random_population(4, 5, 5, 0)
    few, many = stages_of(data, 2), stages_of(data, 4)
    assert (len(few), len(many)) == (2, 4)
    np.testing.assert_allclose(few.times, many.times[:2])
    np.testing.assert_allclose(few.levels, many.levels[:3])
    assert few.undecided == ""


def test_too_few_neurons_for_modes_whose_order_is_not_that_of_their_sizes() -> None:
    data = population(np.diag([10.0, 1.0]), np.diag([0.05, 1.0]))
    assert "replace them later" in stages_of(data, 1).undecided
    assert stages_of(data, 2).undecided == ""


@given(width=st.integers(1, 7), c=DIMENSIONS, d=DIMENSIONS, rank=DIMENSIONS, seed=SEEDS)
def test_number_of_modes(width: int, c: int, d: int, rank: int, seed: int) -> None:
    assert len(stages_of(random_population(c, d, rank, seed), width)) == min(width, c, d, rank)


# ---- As a theory of a run


def test_theory_of_a_run() -> None:
    noise = np.diag([0.3, 0.1, 0.0])
    data = random_population(3, 4, 4, 2)
    noisy = population(data.target_map.numpy(), data.inputs.numpy(), noise)
    stages = stages_of(noisy)
    theory = fully_connected_linear_theory(stages, math.log(1e-6))
    assert theory.initial_loss == pytest.approx(stages_of(data).levels[0] + 0.2, rel=1e-12)
    assert [feature for feature, _ in theory.levels] == ["1", "2", "3"]
    assert theory.levels[-1][1] == pytest.approx(0.2, rel=1e-12)
    stretch = math.log(1 / (math.sqrt(2) * 1e-6))
    np.testing.assert_allclose([event.time for event in theory.events], stages.times * stretch)
    for event, following in zip(theory.events, theory.events[1:], strict=False):
        assert event.loss_after == following.loss_before
        assert event.plateau_end == following.time
    path = theory.trajectory(("1", "2", "3"), 1e4)
    assert path is not None
    assert path.loss[0] == pytest.approx(theory.initial_loss)
    assert path.loss[-1] == pytest.approx(0.2)


def test_no_times_without_a_small_scale() -> None:
    theory = fully_connected_linear_theory(stages_of(random_population(2, 2, 2, 0)), math.log(0.8))
    assert theory.events == ()
    assert len(theory.levels) == 2


@settings(max_examples=20)
@given(seed=SEEDS)
def test_input_rotations_change_nothing(seed: int) -> None:
    data = random_population(3, 4, 4, seed)
    generator = np.random.default_rng(seed)
    rotation, other = (np.linalg.qr(generator.standard_normal((n, n)))[0] for n in (4, 3))
    turned = population(other @ data.target_map.numpy() @ rotation.T, rotation @ data.inputs.numpy() @ rotation.T)
    before, after = stages_of(data), stages_of(turned)
    np.testing.assert_allclose(after.times, before.times, rtol=1e-6)
    for k in range(4):
        np.testing.assert_allclose(after.saddle(k), other @ before.saddle(k) @ rotation.T, atol=1e-6)
