"""Factorizations and solves against NumPy's, on both sides of where LAPACK takes over."""

from __future__ import annotations

import numpy as np
import pytest

from agfrun.labs.staircases.compiled.algebra import (
    LARGEST_WRITTEN_OUT,
    cholesky_factorize,
    cholesky_solve,
    lu_factorize,
    lu_solve,
    step_matrix,
)

SIZES = [1, 2, 7, LARGEST_WRITTEN_OUT, LARGEST_WRITTEN_OUT + 1, 90]


@pytest.mark.parametrize("size", SIZES)
def test_cholesky(size: int) -> None:
    generator = np.random.default_rng(size)
    root = generator.normal(size=(size, size + 3))
    matrix, right = root @ root.T, generator.normal(size=size)
    factor, answer = matrix.copy(), right.copy()
    assert cholesky_factorize(factor)
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(matrix), rtol=1e-9, atol=1e-9)
    cholesky_solve(factor, answer)
    np.testing.assert_allclose(matrix @ answer, right, rtol=0, atol=1e-7 * np.abs(answer).max() * np.abs(matrix).max())


@pytest.mark.parametrize("size", SIZES)
def test_a_matrix_that_is_not_positive_definite_is_refused(size: int) -> None:
    matrix = -np.eye(size)
    assert not cholesky_factorize(matrix.copy())
    matrix[-1, -1] = np.nan
    assert not cholesky_factorize(matrix)
    indefinite = np.eye(size)
    indefinite[-1, -1] = -1e-3
    assert not cholesky_factorize(indefinite)


@pytest.mark.parametrize("size", SIZES)
def test_lu_with_pivots(size: int) -> None:
    generator = np.random.default_rng(size)
    matrix, right = generator.normal(size=(size, size)), generator.normal(size=size)
    matrix[0, 0] = 0.0 if size > 1 else 1.0  # which no factorization without pivots survives
    factor, answer, pivots = matrix.copy(), right.copy(), np.empty(size, np.int64)
    assert lu_factorize(factor, pivots)
    lu_solve(factor, pivots, answer)
    np.testing.assert_allclose(answer, np.linalg.solve(matrix, right), rtol=1e-8, atol=1e-10)


def test_a_singular_matrix_is_refused() -> None:
    pivots = np.empty(3, np.int64)
    assert not lu_factorize(np.ones((3, 3)), pivots)
    assert not lu_factorize(np.full((3, 3), np.nan), pivots)
    assert not lu_factorize(np.diag([1.0, np.inf, 1.0]), pivots)


def test_step_matrix() -> None:
    matrix, result = np.arange(9.0).reshape(3, 3), np.empty((3, 3))
    step_matrix(matrix, 0.5, result)
    np.testing.assert_array_equal(result, np.eye(3) - 0.5 * matrix)
