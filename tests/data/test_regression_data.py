from __future__ import annotations

import numpy as np
import pytest
import torch
from explicit_networks import CPU
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.data.regression import random_regression, rotated_regression

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
