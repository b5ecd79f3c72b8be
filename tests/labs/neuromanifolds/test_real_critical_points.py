"""Real critical points: certified, complete and rightly labelled, against floats that know nothing of polynomials."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscapes import (
    INPUTS,
    KNOWN,
    SOLVER,
    TARGETS,
    WITHOUT,
    cnn,
    expansion,
    known_problem,
    linear,
    mlp,
    problem,
    timer,
)

from agfrun.labs.neuromanifolds import Equations, Evaluations, Floats, Loss, NetworkConfig, RealPoint, real_points
from agfrun.labs.neuromanifolds.landscape.descent import descents
from agfrun.labs.neuromanifolds.landscape.equations import EVERY, FAMILIES, NONE
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
from agfrun.labs.neuromanifolds.landscape.msolve import real_solutions
from agfrun.labs.neuromanifolds.landscape.real_points import isolated, negative_eigenvalues
from agfrun.labs.neuromanifolds.landscape.samples import random_samples
from agfrun.labs.neuromanifolds.landscape.surface import inner_weights, loss_surface

pytestmark = pytest.mark.skipif(not SOLVER, reason=WITHOUT)


def found(equations: Equations, loss: Loss, left_out: str = NONE) -> list[RealPoint]:
    points = real_points(equations, loss, left_out, timer())
    assert points is not None
    return points


def loss_in_floats(network: NetworkConfig, number: int = 0) -> tuple[Evaluations, np.ndarray]:
    """The network's own function at the samples of `problem`, without any expansion."""
    equations, _ = problem(network, number)
    inputs, targets = (part.astype(float) for part in random_samples(
        equations.expansion, 2 * (equations.variables - len(equations.slices)), 0, number))
    return Evaluations(network, Floats(), {}, inputs, np.ones((len(inputs), 1))), targets[:, 0]


def test_the_known_data_set() -> None:
    points = found(*known_problem())
    assert [one.index for one in points] == [index for _, index, _ in KNOWN]
    assert [one.loss for one in points] == pytest.approx([loss for loss, _, _ in KNOWN], abs=2e-5)
    for one, (_, _, weights) in zip(points, KNOWN, strict=True):
        assert [float(value) for value in one.weights] == pytest.approx(weights, abs=2e-6)
        assert one.pure
        assert not one.at_zero


@pytest.mark.parametrize("network", [
    cnn([2, 2]), cnn([3, 2]), mlp([3, 1, 1], 2), pytest.param(mlp([2, 2, 1], 4), marks=pytest.mark.slow)],
    ids=lambda one: one.architecture())
def test_losses_gradients_and_indices_in_floats(network: NetworkConfig) -> None:
    """Of all weights: the gradient vanishes, and negative curvature has the dimension that the index says."""
    equations, loss = problem(network)
    left_out, number = isolated(equations, loss, timer()) or ("", 0)
    points = found(equations, loss, left_out)
    assert 0 < len(points) <= number
    evaluations, targets = loss_in_floats(network)
    for one in points:
        weights = {name: entries.astype(float) for name, entries in equations.expansion.weights(one.weights).items()}
        residual = evaluations.values(weights) - targets
        assert (residual**2).sum() == pytest.approx(one.loss, rel=1e-9)
        jacobian = evaluations.jacobian(weights)
        size = np.abs(jacobian) @ np.abs(residual)
        assert np.all(np.abs(jacobian @ residual) <= 1e-9 * (1 + size))
        if max(abs(float(value)) for value in one.weights) < 20:  # beyond, floats do not tell the index
            hessian = jacobian @ jacobian.T + evaluations.hessian_product(weights, residual, np.eye(len(jacobian)))
            free = np.concatenate([(entries == None).ravel() for entries in  # noqa: E711 - of each entry
                                   equations.expansion.chart.values()])
            assert (np.linalg.eigvalsh(hessian[np.ix_(free, free)]) < 0).sum() == one.index


@pytest.mark.parametrize("number", [None, 1, 2, 3])
def test_all_extrema_over_the_angle_of_the_first_filter_are_found(number: int | None) -> None:
    """The best second filter given, the loss is a function of one angle: its extrema on a fine grid are the points."""
    equations, loss = known_problem() if number is None else problem(cnn([2, 2]), number)
    own = INPUTS, [[one] for one in TARGETS]
    inputs, targets = (np.array(part, dtype=float) for part in (
        own if number is None else random_samples(equations.expansion, 6, 0, number)))
    angles = np.linspace(0, np.pi, 200_001)[:-1]
    low, high = np.cos(angles)[:, None], np.sin(angles)[:, None]
    first, second = ((low * inputs[:, i] + high * inputs[:, i + 1]) ** 2 for i in (0, 1))
    squares, mixed, other = (first**2).sum(1), (first * second).sum(1), (second**2).sum(1)
    one, two = first @ targets[:, 0], second @ targets[:, 0]
    explained = (other * one**2 - 2 * mixed * one * two + squares * two**2) / (squares * other - mixed**2)
    rising = np.roll(explained, -1) > explained
    maxima = np.flatnonzero(~rising & np.roll(rising, 1))
    points = found(equations, loss)
    assert np.sort((targets**2).sum() - explained[maxima]) == pytest.approx(
        [one.loss for one in points if one.index == 0], rel=1e-6)
    assert len(points) == 2 * len(maxima)


@pytest.mark.parametrize(("filters", "number"), [([2, 2], 0), ([2, 3], 1), *(([3, 2], n) for n in range(2))])
def test_indices_add_up_and_only_zero_is_spurious(filters: list[int], number: int) -> None:
    network = cnn(filters)
    points = found(*problem(network, number))
    assert sum((-1) ** (one.index if one.index is not None else 99) for one in points) == network.morse_sum()
    assert all(one.pure != one.at_zero for one in points)
    assert all((one.subnetwork == "zero function") == one.at_zero for one in points)
    assert sum(not one.at_zero for one in points) % 2 == {(2, 2): 14, (2, 3): 22, (3, 2): 79}[tuple(filters)] % 2


def test_some_data_sets_have_spurious_points_at_zero() -> None:
    assert any(one.at_zero for number in range(2, 5) for one in found(*problem(cnn([3, 2]), number)))


def test_squared_errors_of_linear_networks_are_truncations() -> None:
    """All real, one for each choice of singular values of the whitened target."""
    equations, loss = problem(linear([3, 1, 2]))
    points = [one for one in found(equations, loss) if not one.subnetwork]
    inputs, targets = (part.astype(float) for part in random_samples(equations.expansion, 8, 0, 0))
    left, triangle = np.linalg.qr(inputs)
    values = np.linalg.svd(left.T @ targets, compute_uv=False)
    rest = (targets**2).sum()
    expected = sorted(rest - value**2 for value in values)
    assert [one.loss for one in points] == pytest.approx(expected, rel=1e-10)
    assert [one.index for one in points] == [0, 1]
    assert np.linalg.matrix_rank(triangle) == 3


@pytest.mark.slow
def test_dead_neurons_are_subnetworks_and_spurious() -> None:
    equations, loss = problem(mlp([2, 2, 1], 4))
    assert isolated(equations, loss, timer()) == (FAMILIES, 78)
    points = found(equations, loss, FAMILIES)
    dead = [one for one in points if one.subnetwork]
    assert {one.subnetwork for one in dead} == {"dead neuron"}
    assert all(not one.pure and min(map(abs, one.weights)) < 1e-30 for one in dead)
    alone, of_one = problem(mlp([2, 1, 1], 4), samples=8)
    losses = [one.loss for one in found(alone, of_one, isolated(alone, of_one, timer())[0])]  # type: ignore[index]
    assert dead
    assert all(min(abs(one.loss - other) for other in losses) < 1e-9 * one.loss for one in dead)
    assert all(one.pure for one in found(equations, loss, EVERY))


@pytest.mark.slow
def test_points_of_exchanged_neurons_are_one() -> None:
    equations, loss = problem(mlp([2, 2, 1], 4))
    system = equations.system(equations.gradient(loss), EVERY)
    boxes = real_solutions(system, equations.variables + 1, timer())
    assert boxes is not None
    assert len(boxes) == 2 * len(found(equations, loss, EVERY))


def test_boxes_of_equations_with_known_solutions() -> None:
    one = Fraction(1)
    boxes = real_solutions([{(2, 0): one, (0, 0): -2 * one}, {(0, 1): one, (1, 0): -one / 3}], 2, timer())
    assert boxes is not None
    assert len(boxes) == 2
    for box in boxes:
        (low, high), (below, above) = box
        assert min(low**2, high**2) <= 2 <= max(low**2, high**2)
        assert high - low < Fraction(1, 2**100)
        assert below <= high / 3
        assert low / 3 <= above
    assert real_solutions([{(2,): one, (0,): one}], 1, timer()) == []
    assert real_solutions([{(1, 1): one}], 2, timer()) is None
    assert real_solutions([{(1,): one}, {(1,): one, (0,): one}], 1, timer()) == []


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(0, 10**6))
def test_negative_eigenvalues_are_those_of_floats(size: int, seed: int) -> None:
    import flint  # an extra

    entries = np.random.default_rng(seed).integers(-4, 5, (size, size))
    matrix = entries + entries.T
    flint.ctx.prec = 200
    values = np.linalg.eigvalsh(matrix.astype(float))
    counted = negative_eigenvalues(flint.arb_mat(size, size, matrix.ravel().tolist()))
    assert counted == (None if np.abs(values).min() < 1e-9 else (values < 0).sum())


def test_gradient_flow_ends_at_minima_and_names_them() -> None:
    network = cnn([2, 2])
    equations, loss = known_problem()
    points = found(equations, loss)
    full = Expansion.of(network, 0, charted=False)
    ended = descents(equations, full, loss, points, 20)
    assert {one.end for one in ended} <= {"point", "zero"}
    reached = {one.point for one in ended if one.point is not None}
    assert reached
    assert all(points[point].index == 0 for point in reached)
    for one in ended:
        expected = points[one.point].loss if one.point is not None else float(loss.constant)
        assert one.loss == pytest.approx(expected, rel=1e-5)
    assert descents(equations, full, loss, points, 20) == ended


@pytest.mark.parametrize("network", [cnn([2, 2]), cnn([3, 2])], ids=["curve", "surface"])
def test_the_surface_is_the_least_loss_over_the_last_layer(network: NetworkConfig) -> None:
    equations, loss = problem(network)
    inner = inner_weights(equations.expansion)
    assert inner == list(range(len(inner or [])))
    table = loss_surface(equations.expansion, loss, inner or [])
    evaluations, targets = loss_in_floats(network)
    shape = network.weight_shapes()["filter_2"]
    for place in np.random.default_rng(0).integers(0, len(table["loss"]), 20):
        angles = np.array([table["first"][place], table["second"][place]])[:len(inner or [])]
        first = np.concatenate([[1.0], np.tan(np.deg2rad(angles))])
        columns = np.stack([evaluations.values({"filter_1": first, "filter_2": unit}) for unit in np.eye(*shape * 2)],
                           axis=1) / np.abs(first).max() ** 2
        best = np.linalg.lstsq(columns, targets, rcond=None)[0]
        assert table["loss"][place] == pytest.approx(((columns @ best - targets) ** 2).sum(), rel=1e-6)
    assert inner_weights(expansion(cnn([2, 2, 3]))) is not None
    assert inner_weights(expansion(cnn([3, 3, 2]))) is None
