from __future__ import annotations

import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.labs.neuromanifolds.arithmetic.prime_field import (
    PRIMES,
    TERMS,
    IntArray,
    combine_rows,
    independent_columns,
    inverse,
    kernel,
    product,
    project_rows,
    random_elements,
    rank,
)

PRIME = PRIMES[0]
BLOCK = 192


def matrix_of_rank(rows: int, columns: int, inner: int, generator: np.random.Generator) -> IntArray:
    left, right = random_elements(generator, (rows, inner), PRIME), random_elements(generator, (inner, columns), PRIME)
    return product(left, right, PRIME)


def flint_rank(matrix: IntArray) -> int:
    return flint.nmod_mat(*matrix.shape, matrix.ravel().tolist(), PRIME).rank()


def test_primes_are_distinct_primes_that_keep_sums_exact() -> None:
    assert len(set(PRIMES)) == len(PRIMES)
    assert all(flint.fmpz(prime).is_prime() for prime in PRIMES)
    assert all((prime // 2) ** 2 * TERMS < 2**53 for prime in PRIMES)


@pytest.mark.parametrize("element", [1, PRIME // 2, PRIME // 2 + 1, PRIME - 1])
@pytest.mark.parametrize("inner", [1, TERMS, TERMS + 1, 3 * TERMS])
def test_products_of_extreme_elements_are_exact(element: int, inner: int) -> None:
    left, right = np.full((2, inner), element), np.full((inner, 3), element)
    assert (product(left, right, PRIME) == inner * element * element % PRIME).all()


def test_product_equals_that_of_python_integers() -> None:
    generator = np.random.default_rng(0)
    left, right = random_elements(generator, (7, 1100), PRIME), random_elements(generator, (1100, 5), PRIME)
    expected = left.astype(object) @ right.astype(object) % PRIME
    assert (product(left, right, PRIME) == expected).all()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_rank_of_a_small_product(rows: int, columns: int, inner: int, seed: int) -> None:
    matrix = matrix_of_rank(rows, columns, inner, np.random.default_rng(seed))
    assert rank(matrix, PRIME) == flint_rank(matrix) == min(rows, columns, inner)


@pytest.mark.parametrize("inner", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7, 3 * BLOCK])
@pytest.mark.parametrize("columns", [2 * BLOCK + 1, 3 * BLOCK])
def test_rank_of_a_large_product_is_its_inner_size(inner: int, columns: int) -> None:
    matrix = matrix_of_rank(3 * BLOCK, columns, inner, np.random.default_rng(1))
    assert rank(matrix, PRIME) == min(inner, columns)


@pytest.mark.parametrize("start", [0, BLOCK, 2 * BLOCK - 1])
def test_rank_does_not_need_invertible_leading_blocks(start: int) -> None:
    matrix = random_elements(np.random.default_rng(2), (3 * BLOCK, 3 * BLOCK), PRIME)
    matrix[start + 1] = matrix[start]
    matrix[:, start + 3] = 0
    matrix[:, start + 4] = 0
    assert rank(matrix, PRIME) == flint_rank(matrix) == 3 * BLOCK - 2


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10**6), st.floats(0, 1))
def test_rank_of_sparse_matrices_with_repeated_rows(rows: int, columns: int, seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    matrix = generator.integers(0, PRIME, (rows, columns)) * (generator.random((rows, columns)) < share)
    matrix[generator.integers(0, rows, rows // 3)] = matrix[0]
    assert rank(matrix, PRIME) == flint_rank(matrix)


@pytest.mark.parametrize("element", [PRIME // 2, PRIME // 2 + 1, PRIME - 1])
def test_rank_of_extreme_elements_is_exact(element: int) -> None:
    # Sums of products of the largest residues, in all places where they are formed.
    matrix = np.full((1300, 1300), element)
    np.fill_diagonal(matrix, 1)
    assert rank(matrix, PRIME) == flint_rank(matrix)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_kernels_and_independent_columns(rows: int, columns: int, inner: int, seed: int) -> None:
    matrix = matrix_of_rank(rows, columns, inner, np.random.default_rng(seed))
    found, null = rank(matrix, PRIME), kernel(matrix, PRIME)
    assert null.shape == (columns, columns - found)
    assert not product(matrix, null, PRIME).any()
    assert not null.size or rank(null, PRIME) == columns - found
    chosen = independent_columns(matrix, PRIME)
    assert rank(matrix[:, chosen], PRIME) == found == len(chosen)
    assert all(rank(matrix[:, :k], PRIME) == rank(matrix[:, :k + 1], PRIME) - (k in chosen) for k in range(1, columns))


def test_inverses() -> None:
    matrix = random_elements(np.random.default_rng(5), (6, 6), PRIME)
    assert (product(matrix, inverse(matrix, PRIME), PRIME) == np.eye(6)).all()
    with pytest.raises(ZeroDivisionError):
        inverse(np.ones((2, 2), dtype=np.int64), PRIME)


def test_rank_of_nothing_but_zeros() -> None:
    assert rank(np.zeros((3, 4), dtype=np.int64), PRIME) == 0
    assert rank(np.zeros((3 * BLOCK, 3 * BLOCK), dtype=np.int64), PRIME) == 0


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 10), st.integers(0, 99))
def test_combinations_of_rows_keep_the_rank_and_never_raise_it(rows: int, inner: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    matrix = matrix_of_rank(rows, 30, inner, generator)
    combined, projected = combine_rows(matrix, 12, 3, PRIME, generator), project_rows(matrix, 12, PRIME, generator)
    assert combined.shape == projected.shape == (min(rows, 12), 30)
    assert rank(combined, PRIME) == rank(projected, PRIME) == min(rows, inner)


def test_a_rank_above_the_number_of_rows_becomes_that_number() -> None:
    generator = np.random.default_rng(3)
    matrix = matrix_of_rank(30, 30, 20, generator)
    assert rank(project_rows(matrix, 12, PRIME, generator), PRIME) == 12
