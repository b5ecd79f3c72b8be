"""What numbers are computed with: residues modulo a prime, floats of many digits, or ordinary floats.

A field holds its elements in NumPy arrays and says how sums of products become elements again. Everything above it,
`elements.Element` and the networks, is written once for all three.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from agfrun.labs.neuromanifolds.arithmetic.prime_field import IntArray, product, require_flint

AnyArray = npt.NDArray[Any]

# Numerators of random elements of the real fields: tenths from -3 to 3, of ordinary size and never 0.
_TENTHS = np.array([*range(-30, 0), *range(1, 31)])


class Field(ABC):
    """The numbers of a computation."""

    @abstractmethod
    def array(self, values: Any) -> AnyArray:
        """Integers, fractions or elements, in any nesting, as an array of elements."""

    @abstractmethod
    def random(self, generator: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
        """Independent elements that are not zero."""

    def reduced(self, sums: AnyArray) -> AnyArray:
        """Sums of products of elements as elements."""
        return sums

    def contract(self, left: str, right: str, out: str, first: AnyArray, second: AnyArray) -> AnyArray:
        """The sum of products of two arrays over the letters that `out` lacks, as `numpy.einsum` writes it.

        Args:
            left, right, out: letters of the axes; a letter may not occur twice in one of them.
            first, second: the arrays; axes of one letter have one length, or 1.
        """
        return self.reduced(np.einsum(f"{left},{right}->{out}", first, second))


class PrimeField(Field):
    """Residues 0, ..., p-1 in int64 arrays, p below 2^23."""

    def __init__(self, prime: int) -> None:
        self.prime = prime

    def array(self, values: Any) -> IntArray:
        """See `Field.array`; a fraction is its numerator times the inverse of its denominator."""
        given = np.asarray(values)
        if given.dtype.kind in "iu":
            return given.astype(np.int64) % self.prime
        return np.array([self._residue(value) for value in given.ravel()], dtype=np.int64).reshape(given.shape)

    def _residue(self, value: Any) -> int:
        exact = Fraction(value)
        return exact.numerator * pow(exact.denominator, -1, self.prime) % self.prime

    def random(self, generator: np.random.Generator, shape: tuple[int, ...]) -> IntArray:
        """See `Field.random`: uniform among the p - 1 elements."""
        return generator.integers(1, self.prime, shape, dtype=np.int64)

    def reduced(self, sums: AnyArray) -> IntArray:
        """See `Field.reduced`."""
        return np.asarray(sums % self.prime)

    def contract(self, left: str, right: str, out: str, first: AnyArray, second: AnyArray) -> IntArray:
        """See `Field.contract`; a product of matrices where it is one, which runs through BLAS without rounding."""
        summed = [letter for letter in left if letter in right and letter not in out]
        if not summed or set(left) & set(right) & set(out) or len(set(left + right)) != len(summed) + len(out):
            # Products of two residues are below 2^46: 2^17 of them fit into an int64.
            return self.reduced(np.einsum(f"{left},{right}->{out}", first, second))
        mine, its = [c for c in left if c not in summed], [c for c in right if c not in summed]
        rows = first.transpose([left.index(c) for c in [*mine, *summed]])
        columns = second.transpose([right.index(c) for c in [*summed, *its]])
        inner = int(np.prod(columns.shape[:len(summed)]))
        result = product(rows.reshape(-1, inner), columns.reshape(inner, -1), self.prime)
        shaped = result.reshape(rows.shape[:len(mine)] + columns.shape[len(summed):])
        return shaped.transpose([[*mine, *its].index(c) for c in out])


class Floats(Field):
    """Ordinary floats, for figures and for confirming what is settled exactly."""

    def array(self, values: Any) -> AnyArray:
        """See `Field.array`."""
        return np.asarray(values).astype(np.float64)

    def random(self, generator: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
        """See `Field.random`: standard normal."""
        return generator.standard_normal(shape)


class Objects(Field):
    """Numbers that NumPy knows nothing of, in arrays of objects."""

    def contract(self, left: str, right: str, out: str, first: AnyArray, second: AnyArray) -> AnyArray:
        """See `Field.contract`: by products and sums, since not every NumPy contracts arrays of objects."""
        summed = [letter for letter in dict.fromkeys(left + right) if letter not in out]
        order = [*out, *summed]
        terms = _spread(first, left, order) * _spread(second, right, order)
        for _ in summed:
            terms = terms.sum(axis=-1)
        return np.asarray(terms, dtype=object)


class Multiprecision(Objects):
    """Real numbers of many digits, with error bounds (Arb, by python-flint), in arrays of objects.

    They have an exponential function and a division, which the ring operations of the other fields lack.
    """

    def __init__(self, digits: int) -> None:
        self.digits = digits
        flint = require_flint()
        flint.ctx.dps = digits
        self._number = flint.arb

    def array(self, values: Any) -> AnyArray:
        """See `Field.array`."""
        given = np.asarray(values, dtype=object)
        made = np.empty(given.shape, dtype=object)
        for place, value in np.ndenumerate(given):
            made[place] = self._number(value) if isinstance(value, int | self._number) else (
                self._number(Fraction(value).numerator) / Fraction(value).denominator)
        return made

    def random(self, generator: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
        """See `Field.random`: tenths and hundredths, so that they are the same numbers at any precision."""
        whole = generator.choice(_TENTHS, shape) * 10 + generator.integers(0, 10, shape)
        return self.array(whole.astype(object)) / self.array(100)


def _spread(array: AnyArray, letters: str, order: list[str]) -> AnyArray:
    """The array with an axis for each letter of `order`, of length 1 where it has none."""
    array = np.asarray(array, dtype=object)  # one entry of an array of objects comes as that object
    present = [letter for letter in order if letter in letters]
    moved = array.transpose([letters.index(letter) for letter in present])
    sizes = iter(moved.shape)
    return moved.reshape([next(sizes) if letter in letters else 1 for letter in order])
