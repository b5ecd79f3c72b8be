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
from typing import TYPE_CHECKING

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

# Rows that one step of `rank` eliminates: large enough for BLAS, small enough for flint's inverse to cost little.
BLOCK = 192


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


def power(elements: IntArray, exponent: int, prime: int) -> IntArray:
    """Each element to a power of at least 0, by repeated squaring."""
    result = np.ones_like(elements)
    for bit in f"{exponent:b}":
        result = result * result % prime
        if bit == "1":
            result = result * elements % prime
    return result


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

    Blocks are eliminated by their Schur complement, rank [[A, B], [C, D]] = rank A + rank (D - C A^-1 B), as long as
    the leading one is invertible, which it is for a generic matrix of full rank; flint finishes what is left.
    """
    found = 0
    while min(matrix.shape) > 2 * BLOCK:
        inverse = _inverse(matrix[:BLOCK, :BLOCK], prime)
        if inverse is None:
            break
        eliminated = product(matrix[BLOCK:, :BLOCK], product(inverse, matrix[:BLOCK, BLOCK:], prime), prime)
        matrix = (matrix[BLOCK:, BLOCK:] - eliminated) % prime
        found += BLOCK
    return found + _to_flint(matrix, prime).rank()


def _inverse(matrix: IntArray, prime: int) -> IntArray | None:
    """The inverse of a square matrix, or None if it is singular."""
    try:
        entries = _to_flint(matrix, prime).inv().entries()
    except ZeroDivisionError:
        return None
    return np.array([int(entry) for entry in entries], dtype=np.int64).reshape(matrix.shape)


def _to_flint(matrix: IntArray, prime: int) -> flint.nmod_mat:
    try:
        import flint  # an extra: settings, theory and figures work without it
    except ImportError:
        raise UsageError(NOT_INSTALLED) from None
    return flint.nmod_mat(matrix.shape[0], matrix.shape[1], matrix.ravel().tolist(), prime)
