from __future__ import annotations

import numpy as np
import pytest
import torch
from explicit_networks import CPU
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun import ConfigError
from agfrun.labs.staircases.networks.diagonal_linear.data import (
    Regression,
    SparseRegressionConfig,
    least_squares,
    random_regression,
    rotated_regression,
    sparse_regression,
)

PUBLISHED_COEFFICIENTS = [1.17476, -19.07457, -9.22909, 4.69751, -1.44367]


def coefficients(inputs: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    return np.linalg.lstsq(inputs.numpy(), targets.numpy(), rcond=None)[0]


def test_seed_10_reproduces_the_published_coefficients() -> None:
    data = random_regression(5, 20, 10, torch.float64, CPU)
    assert data.inputs.shape == (20, 5)
    np.testing.assert_allclose(coefficients(data.inputs, data.targets), PUBLISHED_COEFFICIENTS, atol=5e-6)


def test_seed_10_reproduces_the_published_levels() -> None:
    """First and last of 82.416705, 13.322997, ...: the loss at zero, and nothing left."""
    data = random_regression(5, 20, 10, torch.float64, CPU)
    assert float(data.targets.square().mean()) / 2 == pytest.approx(82.416705, abs=5e-7)
    fitted = data.inputs @ torch.tensor(coefficients(data.inputs, data.targets))
    assert float((fitted - data.targets).abs().max()) < 1e-12


def test_random_regression_leaves_the_global_generator_alone() -> None:
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    random_regression(5, 20, 10, torch.float64, CPU)
    assert np.random.rand() == expected  # noqa: NPY002


def test_random_regression_has_covariance_one_over_i() -> None:
    inputs = random_regression(4, 40000, 0, torch.float64, CPU).inputs.numpy()
    expected = np.diag(1 / np.arange(1, 5))
    deviation = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / 40000)
    assert (np.abs(np.cov(inputs.T) - expected) < 4.5 * deviation).all()


def test_random_regression_draws_coefficients_of_deviation_ten() -> None:
    drawn = [coefficients(data.inputs, data.targets) for seed in range(200)
             for data in [random_regression(5, 10, seed, torch.float64, CPU)]]
    assert np.std(drawn) == pytest.approx(10, rel=4.5 / np.sqrt(2 * 1000))
    assert np.mean(drawn) == pytest.approx(0, abs=4.5 * 10 / np.sqrt(1000))


def test_same_seed_same_data() -> None:
    first, second, other = (random_regression(3, 6, seed, torch.float64, CPU) for seed in (1, 1, 2))
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.targets, second.targets)
    assert not torch.equal(first.inputs, other.inputs)


def test_paper_s_design() -> None:
    """R diag(1, 25) R^T at 150 degrees is [[7, 6 sqrt 3], [6 sqrt 3, 19]], whose Cholesky factor is exact."""
    data = rotated_regression([1.0, 25.0], 150.0, [-0.2, 2.0], torch.float64, CPU)
    exact = np.array([[7.0, 0.0], [6 * 3**0.5, 5.0]]) / 7**0.5
    np.testing.assert_allclose(data.inputs.numpy(), exact, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(data.targets.numpy(), exact @ [-0.2, 2.0], rtol=1e-13)
    assert float(data.targets.square().mean()) / 2 == pytest.approx(2.311099, abs=5e-7)


@settings(max_examples=50, deadline=None)
@given(small=st.floats(0.01, 10), large=st.floats(0.01, 10), degrees=st.floats(-360, 360),
       first=st.floats(-5, 5), second=st.floats(-5, 5))
def test_rotated_regression(small: float, large: float, degrees: float, first: float, second: float) -> None:
    data = rotated_regression([small, large], degrees, [first, second], torch.float64, CPU)
    inputs = data.inputs.numpy()
    covariance = inputs @ inputs.T
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), sorted([small, large]), rtol=1e-9)
    direction = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    np.testing.assert_allclose(covariance @ direction, small * direction, atol=1e-12 * (small + large))
    assert inputs[0, 1] == 0
    np.testing.assert_allclose(data.targets.numpy(), inputs @ [first, second], atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dtype(dtype: torch.dtype) -> None:
    for data in (random_regression(2, 3, 0, dtype, CPU),
                 rotated_regression([1.0, 2.0], 30.0, [1.0, 1.0], dtype, CPU)):
        assert data.inputs.dtype == data.targets.dtype == dtype


# ---- Sparse regression


def sparse(dimension: int = 30, samples: int = 20, nonzero: int = 4, noise: float = 0.0, correlation: float = 0.0,
           data_seed: int = 0) -> Regression:
    return sparse_regression(dimension, samples, nonzero, noise, correlation, data_seed, torch.float64, CPU)


@settings(max_examples=30, deadline=None)
@given(dimension=st.integers(1, 12), nonzero=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_planted_coefficients_are_sparse_with_magnitudes_one_two(dimension: int, nonzero: int, seed: int) -> None:
    """Read off by least squares from as many samples as it takes."""
    nonzero = min(nonzero, dimension)
    data = sparse(dimension, 3 * dimension, nonzero, data_seed=seed)
    planted = coefficients(data.inputs, data.targets)
    np.testing.assert_allclose(np.sort(np.abs(planted)), [0] * (dimension - nonzero) + list(range(1, nonzero + 1)),
                               atol=1e-8 * nonzero)


def test_places_signs_and_magnitudes_are_drawn() -> None:
    drawn = np.array([coefficients(data.inputs, data.targets).round(6)
                      for seed in range(300) for data in [sparse(5, 15, 2, data_seed=seed)]])
    places = (drawn != 0).sum(0)
    assert np.all(np.abs(places - 120) < 4.5 * np.sqrt(300 * 0.4 * 0.6))
    assert abs(int((drawn > 0).sum()) - 300) < 4.5 * np.sqrt(600 * 0.25)
    assert {1.0, 2.0, -1.0, -2.0, 0.0} == set(np.unique(drawn).tolist())


@pytest.mark.parametrize("correlation", [0.0, 0.7, -0.5, 0.99])
def test_sparse_inputs_are_correlated_as_said(correlation: float) -> None:
    inputs = sparse(4, 40000, 1, correlation=correlation).inputs.numpy()
    expected = correlation ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    deviation = np.sqrt((1 + expected**2) / 40000)
    assert (np.abs(inputs.T @ inputs / 40000 - expected) < 4.5 * deviation).all()


def test_noise_is_added_to_the_targets() -> None:
    quiet, loud = sparse(3, 20000, 2), sparse(3, 20000, 2, noise=0.5)
    assert torch.equal(quiet.inputs, loud.inputs)
    difference = loud.targets - quiet.targets
    assert float(difference.std()) == pytest.approx(0.5, rel=4.5 / np.sqrt(40000))
    assert abs(float(difference.mean())) < 4.5 * 0.5 / np.sqrt(20000)


def test_sparse_regression_is_its_seed_s() -> None:
    first, second, other = sparse(data_seed=1), sparse(data_seed=1), sparse(data_seed=2)
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.targets, second.targets)
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize(("key", "value"), [
    ("dimension", 0), ("samples", 0), ("nonzero", 0), ("nonzero", 31), ("noise", -0.1), ("noise", float("nan")),
    ("correlation", 1.0), ("correlation", -1.0), ("data_seed", -1),
])
def test_sparse_regression_refuses(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"data.{key}"):
        SparseRegressionConfig(**{key: value}).check()  # type: ignore[arg-type]


def test_sparse_regression_config_builds_what_it_says() -> None:
    config = SparseRegressionConfig(dimension=7, samples=5, nonzero=2)
    config.check()
    data = config.build(torch.float32, CPU)
    assert data.inputs.shape == (5, 7)
    assert data.inputs.dtype == data.targets.dtype == torch.float32


def test_many_samples_have_no_square_factor_of_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    decompose = np.linalg.svd

    def narrow(matrix: np.ndarray, full_matrices: bool = True) -> tuple[np.ndarray, ...]:
        factors = decompose(matrix, full_matrices=full_matrices)
        assert factors[0].shape == matrix.shape
        return factors

    monkeypatch.setattr(np.linalg, "svd", narrow)
    data = sparse(3, 3000, 2, noise=0.5)
    inputs, targets = data.inputs.numpy(), data.targets.numpy()
    solution, unique = least_squares(inputs, targets)
    np.testing.assert_allclose(solution, np.linalg.lstsq(inputs, targets, rcond=None)[0], rtol=1e-10)
    assert unique.all()
    # Of two inputs that are one, only the sum of the coefficients is unique.
    solution, unique = least_squares(inputs[:, [0, 1, 1]], targets)
    np.testing.assert_allclose(solution[1], solution[2], rtol=1e-10)
    assert unique.tolist() == [True, False, False]


def test_fewer_samples_than_inputs_have_every_direction_without_data() -> None:
    inputs = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    solution, unique = least_squares(inputs, np.array([2.0, 6.0]))
    np.testing.assert_allclose(solution, [2, 3, 3])
    assert unique.tolist() == [True, False, False]
