"""The Lasso path: optimality, another implementation, closed forms; and what it is to successive saddles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agfrun.labs.staircases.networks.diagonal_linear.lasso import LassoPath, averages, in_tie_order, lasso_path
from agfrun.labs.staircases.networks.diagonal_linear.successive_saddles import Saddle, successive_saddles
from agfrun.labs.staircases.networks.diagonal_linear.theory import first_collapse, first_selections

FloatArray = np.ndarray
DESIGNS = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 0.9]))


def random_design(dimension: int, samples: int, seed: int, correlation: float) -> tuple[FloatArray, FloatArray]:
    """Correlated columns of different lengths, sparse coefficients, noise."""
    rng = np.random.default_rng(seed)
    covariance = correlation ** np.abs(np.subtract.outer(np.arange(dimension), np.arange(dimension)))
    inputs = rng.multivariate_normal(np.zeros(dimension), covariance, size=samples) * rng.uniform(0.3, 3, dimension)
    coefficients = rng.normal(size=dimension) * (rng.random(dimension) < 0.5)
    return inputs, inputs @ coefficients + 0.3 * rng.normal(size=samples)


def saddles_of(inputs: FloatArray, targets: FloatArray, signed: bool = True) -> list[Saddle]:
    ends = np.ones(inputs.shape[1])
    return successive_saddles(inputs, targets, -ends if signed else np.full_like(ends, -np.inf), ends)


def violation(path: LassoPath, inputs: FloatArray, targets: FloatArray, penalty: float, signed: bool) -> float:
    """How far the path's solution is from the optimality conditions, relative to the largest penalty."""
    coefficients = path.at(penalty)
    correlations = inputs.T @ (targets - inputs @ coefficients) / len(targets)
    learned = np.abs(coefficients) > 1e-9 * np.abs(path.coefficients).max()
    largest = np.abs(correlations) if signed else correlations
    excess = [float(largest.max() - penalty), *np.abs(correlations - penalty * np.sign(coefficients))[learned]]
    return max(excess) / float(path.penalties[0])


@settings(max_examples=60, deadline=None)
@given(design=DESIGNS, signed=st.booleans(), share=st.floats(0.001, 0.999))
def test_every_point_of_the_path_is_optimal(
    design: tuple[int, int, int, float], signed: bool, share: float,
) -> None:
    inputs, targets = random_design(*design)
    path = lasso_path(inputs, targets, signed)
    assume(path.penalties[0] > 0)
    between = share * path.penalties[1:] + (1 - share) * path.penalties[:-1]
    for penalty in (*path.penalties, *between):
        assert violation(path, inputs, targets, float(penalty), signed) < 1e-11
    assert signed or np.all(path.coefficients >= 0)
    assert np.all(np.diff(path.penalties) <= 0)
    assert path.penalties[-1] <= 1e-9 * path.penalties[0]


@pytest.mark.parametrize(("dimension", "samples"), [(6, 30), (10, 10), (30, 12)])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_path_of_another_implementation(dimension: int, samples: int, correlation: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    for seed in range(3):
        inputs, targets = random_design(dimension, samples, seed, correlation)
        penalties, _, coefficients = linear_model.lars_path(inputs, targets, method="lasso")
        path = lasso_path(inputs, targets)
        for penalty, expected in zip(penalties, coefficients.T, strict=True):
            if penalty > 1e-6 * penalties[0]:
                np.testing.assert_allclose(path.at(penalty), expected, atol=1e-8 * np.abs(coefficients).max())


def test_orthogonal_design_is_soft_thresholding() -> None:
    coefficients = np.array([0.5, -3.0, 2.0, 0.0])
    path = lasso_path(2 * np.eye(4), 2 * coefficients)
    np.testing.assert_allclose(path.penalties, [3.0, 2.0, 0.5, 0.0], atol=1e-12)
    for penalty in (2.5, 1.0, 0.1):
        expected = np.sign(coefficients) * np.maximum(np.abs(coefficients) - penalty, 0)
        np.testing.assert_allclose(path.at(penalty), expected, atol=1e-12)
    assert [i for i, _ in path.first_selections()] == [1, 2, 0]
    np.testing.assert_allclose([penalty for _, penalty in path.first_selections()], [3.0, 2.0, 0.5], rtol=1e-12)


def test_ties_and_equal_columns() -> None:
    """Equal drives join together; of two equal columns the sum is determined."""
    inputs = np.sqrt(3) * np.eye(3)
    tied = lasso_path(inputs, inputs @ np.array([2.0, -2.0, 1.0]))
    np.testing.assert_allclose(tied.at(1.5), [0.5, -0.5, 0.0], atol=1e-12)
    column = np.array([[1.0], [2.0], [-1.0]])
    twice, once = lasso_path(np.hstack([column, column]), 3 * column[:, 0]), lasso_path(column, 3 * column[:, 0])
    for penalty in (0.5, 2.0, 5.0):
        assert twice.at(penalty).sum() == pytest.approx(once.at(penalty)[0], abs=1e-12)


def test_nothing_to_select() -> None:
    for targets, signed in ((np.zeros(3), True), (np.array([-1.0, -2.0, -3.0]), False)):
        path = lasso_path(np.ones((3, 1)), targets, signed)
        assert path.penalties.tolist() == [0.0]
        assert path.first_selections() == []
        np.testing.assert_array_equal(path.at(0.0), [0.0])


# ---- What the Lasso is to a diagonal network


@settings(max_examples=60, deadline=None)
@given(design=DESIGNS, signed=st.booleans())
def test_selections_are_those_of_the_saddles_until_the_first_collapse(
    design: tuple[int, int, int, float], signed: bool,
) -> None:
    inputs, targets = random_design(*design)
    saddles = saddles_of(inputs, targets, signed)
    last = first_collapse(saddles)
    selected = [selection for selection in first_selections(saddles) if selection[1] <= last]
    path = lasso_path(inputs, targets, signed).first_selections()[: len(selected)]
    assert [i for i, _ in path] == [i for i, _ in selected]
    np.testing.assert_allclose([time * penalty for (_, time), (_, penalty) in zip(selected, path, strict=True)], 1.0,
                               rtol=1e-7)


@settings(max_examples=60, deadline=None)
@given(design=DESIGNS, share=st.floats(0, 1))
def test_time_average_is_the_lasso_until_the_first_collapse(
    design: tuple[int, int, int, float], share: float,
) -> None:
    inputs, targets = random_design(*design)
    saddles = saddles_of(inputs, targets)
    assume(saddles)
    starts = np.array([s.time for s in saddles])
    ends = np.append(starts[1:], 2 * starts[-1])
    kept = ends <= first_collapse(saddles)
    times = ((1 - share) * starts + share * ends)[kept]
    path = lasso_path(inputs, targets)
    for time, average in zip(times, averages(saddles, times), strict=True):
        np.testing.assert_allclose(average, path.at(1 / time), atol=1e-8 * (1 + np.abs(average).max()))


def test_beyond_a_collapse_they_differ() -> None:
    """The paper's two-dimensional example: after coordinate 1 has collapsed, its average remembers it."""
    rotation = np.array([[-np.sqrt(3), -1], [1, -np.sqrt(3)]]) / 2
    inputs = np.linalg.cholesky(rotation @ np.diag([1.0, 25.0]) @ rotation.T)
    targets = inputs @ np.array([-0.2, 2.0])
    saddles, path = saddles_of(inputs, targets), lasso_path(inputs, targets)
    assert first_collapse(saddles) == saddles[1].time
    assert [s.coordinate for s in saddles] == [0, 1, 0]
    later = 2 * saddles[1].time
    assert abs(averages(saddles, np.array([later]))[0] - path.at(1 / later)).max() > 0.02


def test_averages_of_a_staircase() -> None:
    saddles = [Saddle(time, 0, 1, (), np.zeros(1), np.array([height]), 0.0)
               for time, height in ((1.0, 2.0), (3.0, 5.0))]
    np.testing.assert_allclose(averages(saddles, np.array([0.5, 2.0, 3.0, 6.0]))[:, 0], [0, 1.0, 4 / 3, 19 / 6])


def test_selections_at_equal_values_are_put_in_order() -> None:
    assert in_tie_order([(3, 1.0), (1, 1.0 + 1e-12), (0, 2.0)]) == [(1, 1.0 + 1e-12), (3, 1.0), (0, 2.0)]
