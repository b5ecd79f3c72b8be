"""Exact linear algebra over the field of a prime p: products, random compression and ranks.

Elements are the residues 0..p-1 in int64 arrays. Products of matrices run through float64 BLAS, which is exact here
because all sums stay below 2^53, and is ten times faster than NumPy's product of integers. The package python-flint
does the rest; importing this module without it raises ImportError.

Why a rank modulo p says something about the rank over the rationals: a minor that is not zero modulo p is not zero.
Hence, for a matrix of polynomials with integer coefficients, the rank at any point modulo p is at most the generic
rank over the rationals. It is smaller only if the random point is a zero of a certain non-zero polynomial, or p
divides all its coefficients: a chance of about (degree of that polynomial) / p (Schwartz 1980, Zippel 1979).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agfrun.study.errors import UsageError

if TYPE_CHECKING:
    import flint

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# The four largest primes below 2^23: centred residues are below 2^22, and TERMS products of two sum to at most 2^53.
PRIMES = (8388593, 8388587, 8388581, 8388571)
TERMS = 512

NOT_INSTALLED = "python-flint is not installed; pip install 'agfrun[algebra]'"

# Columns that `rank` eliminates one after another.
NARROW = 16


def random_elements(generator: np.random.Generator, shape: tuple[int, ...], prime: int) -> IntArray:
    """Independent uniform non-zero elements: a zero weight or input would not be generic."""
    return generator.integers(1, prime, shape, dtype=np.int64)


def product(left: IntArray, right: IntArray, prime: int) -> IntArray:
    """The product of two matrices modulo a prime below 2^23, (m, k) by (k, n)."""
    total = np.zeros((left.shape[0], right.shape[1]), dtype=np.int64)
    for start in range(0, left.shape[1], TERMS):
        part = slice(start, start + TERMS)
        total += (_centred(left[:, part], prime) @ _centred(right[part], prime)).astype(np.int64) % prime
    return total % prime if left.shape[1] > TERMS else total


def _centred(elements: IntArray, prime: int) -> FloatArray:
    """The representatives of least absolute value, as floats."""
    return np.where(elements > prime // 2, elements - prime, elements).astype(np.float64)


def combine_rows(matrix: IntArray, rows: int, terms: int, prime: int, generator: np.random.Generator) -> IntArray:
    """At most `rows` random combinations in which each row of the matrix occurs `terms` times, (rows, n).

    The rank never rises. It almost always stays if it is at most `rows`, but few terms can lose a little where
    many rows depend on each other: a rank that falls short of a known bound should be taken again with
    `project_rows`, which costs as much as `rank` itself.
    """
    if len(matrix) <= rows:
        return matrix
    combined = np.zeros((rows, matrix.shape[1]), dtype=np.int64)
    for chosen in (chunk for _ in range(terms) for chunk in _chunks(generator.permutation(len(matrix)), rows)):
        combined[:len(chosen)] += matrix[chosen] * random_elements(generator, (len(chosen), 1), prime) % prime
    return combined % prime


def _chunks(order: npt.NDArray[np.int64], length: int) -> Iterator[npt.NDArray[np.int64]]:
    return (order[start:start + length] for start in range(0, len(order), length))


def project_rows(matrix: IntArray, rows: int, prime: int, generator: np.random.Generator) -> IntArray:
    """At most `rows` random combinations of all rows of a matrix, (rows, n).

    A rank of at most `rows` is kept, but for a chance of about rank / prime; a larger one becomes `rows`.
    """
    if len(matrix) <= rows:
        return matrix
    return product(random_elements(generator, (rows, len(matrix)), prime), matrix, prime)


def rank(matrix: IntArray, prime: int) -> int:
    """The rank of a matrix of residues 0..prime-1 over the field of the prime, exactly.

    Gaussian elimination with row exchanges in centred residues, which floats hold exactly; columns are halved again
    and again, so that nearly all of the work are products of matrices.
    """
    work = _centred(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T, prime)
    return len(_eliminate(work, 0, 0, work.shape[1], prime))


def _eliminate(work: FloatArray, row: int, first: int, last: int, prime: int) -> list[int]:
    """Eliminate in columns first..last-1 of rows from `row` on, in place; multipliers stay below the pivots.

    Rows are exchanged whole, so that the i-th pivot column of the result has its pivot in row `row` + i.
    """
    if row == len(work):
        return []
    if last - first <= NARROW:
        return _eliminate_columns(work, row, first, last, prime)
    middle = (first + last) // 2
    pivots = _eliminate(work, row, first, middle, prime)
    if pivots:
        count = len(pivots)
        lower, right = work[row:, pivots], work[row:, middle:last]
        _solve_unit_lower(lower[:count], right[:count], prime)
        _subtract_product(right[count:], lower[count:], right[:count], prime)
    return pivots + _eliminate(work, row + len(pivots), middle, last, prime)


def _eliminate_columns(work: FloatArray, row: int, first: int, last: int, prime: int) -> list[int]:
    """The same for a few columns, one after another."""
    pivots: list[int] = []
    for column in range(first, last):
        place = row + len(pivots)
        candidates = np.flatnonzero(work[place:, column])
        if not len(candidates):
            continue
        chosen = place + int(candidates[0])
        if chosen != place:
            work[[place, chosen]] = work[[chosen, place]]
        inverted = pow(int(work[place, column]), -1, prime)
        factors = work[place + 1:, column]
        factors *= inverted - prime if inverted > prime // 2 else inverted
        _reduce(factors, prime)
        rest = work[place + 1:, column + 1:last]
        rest -= factors[:, None] * work[place, column + 1:last]
        _reduce(rest, prime)
        pivots.append(column)
        if place + 1 == len(work):
            break
    return pivots


def _solve_unit_lower(lower: FloatArray, right: FloatArray, prime: int) -> None:
    """Replace `right` by L^-1 right, L unit lower triangular; what is above its diagonal is not looked at."""
    count = len(lower)
    if count <= NARROW:
        for i in range(1, count):
            right[i] -= lower[i, :i] @ right[:i]
            _reduce(right[i], prime)
        return
    half = count // 2
    _solve_unit_lower(lower[:half, :half], right[:half], prime)
    _subtract_product(right[half:], lower[half:, :half], right[:half], prime)
    _solve_unit_lower(lower[half:, half:], right[half:], prime)


def _subtract_product(target: FloatArray, left: FloatArray, right: FloatArray, prime: int) -> None:
    """Target -= left @ right in place, in so many terms at once that sums are exact."""
    for start in range(0, left.shape[1], TERMS - 1):
        part = slice(start, start + TERMS - 1)
        target -= left[:, part] @ right[part]
        _reduce(target, prime)


def _reduce(sums: FloatArray, prime: int) -> None:
    """Integers of at most 2^53 in size, in place, as residues of at most (prime + 1) / 2 in size."""
    quotients = sums * (1.0 / prime)
    np.rint(quotients, out=quotients)
    quotients *= prime
    sums -= quotients


def kernel(matrix: IntArray, prime: int) -> IntArray:
    """A basis of the vectors that a matrix sends to zero, (n, n - rank): its columns."""
    found, nullity = _to_flint(matrix, prime).nullspace()
    return _to_array(found)[:, :nullity]


def independent_columns(matrix: IntArray, prime: int) -> npt.NDArray[np.int64]:
    """Numbers of the first columns that are independent of those before; as many as the rank."""
    return np.array(_eliminate(_centred(matrix, prime), 0, 0, matrix.shape[1], prime), dtype=np.int64)


def inverse(matrix: IntArray, prime: int) -> IntArray:
    """The inverse of a square matrix.

    Raises:
        ZeroDivisionError: it is singular.
    """
    return _to_array(_to_flint(matrix, prime).inv())


def _to_array(matrix: flint.nmod_mat) -> IntArray:
    shape = matrix.nrows(), matrix.ncols()
    return np.array([int(entry) for entry in matrix.entries()], dtype=np.int64).reshape(shape)


def require_flint() -> Any:
    """The module `flint`.

    Raises:
        UsageError: python-flint is not installed.
    """
    try:
        import flint  # an extra: settings, theory and figures work without it
    except ImportError:
        raise UsageError(NOT_INSTALLED) from None
    return flint


def _to_flint(matrix: IntArray, prime: int) -> flint.nmod_mat:
    made: flint.nmod_mat = require_flint().nmod_mat(matrix.shape[0], matrix.shape[1], matrix.ravel().tolist(), prime)
    return made
