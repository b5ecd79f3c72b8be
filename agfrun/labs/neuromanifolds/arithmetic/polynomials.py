"""The field of computations with unknowns: polynomials with rational coefficients, so that functions are expanded."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Objects
from agfrun.labs.neuromanifolds.arithmetic.prime_field import require_flint

Monomials = dict[tuple[int, ...], Fraction]

_LARGEST = 2**30


class Polynomials(Objects):
    """Polynomials in so many variables with rational coefficients (python-flint's), in arrays of objects."""

    def __init__(self, variables: int) -> None:
        flint = require_flint()
        self._number = flint.fmpq
        self._ring = flint.fmpq_mpoly_ctx.get([f"x{i}" for i in range(variables)], "degrevlex")
        self._kind = flint.fmpq_mpoly

    def variables(self) -> AnyArray:
        """All variables, in order."""
        generators = self._ring.gens()
        made = np.empty(len(generators), dtype=object)
        # One by one: NumPy takes a polynomial for a sequence.
        for place, variable in enumerate(generators):
            made[place] = variable
        return made

    def array(self, values: Any) -> AnyArray:
        """See `Field.array`."""
        given = np.asarray(values, dtype=object)
        made = np.empty(given.shape, dtype=object)
        for place, value in np.ndenumerate(given):
            made[place] = value if isinstance(value, self._kind) else self._constant(Fraction(value))
        return made

    def _constant(self, value: Fraction) -> Any:
        return self._ring.constant(self._number(value.numerator, value.denominator))

    def random(self, generator: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
        """See `Field.random`: positive integers."""
        return self.array(generator.integers(1, _LARGEST, shape, dtype=np.int64))

    @staticmethod
    def terms(polynomial: Any) -> Monomials:
        """Coefficients by the exponents of the variables."""
        return {tuple(map(int, exponents)): Fraction(int(value.p), int(value.q))
                for exponents, value in polynomial.to_dict().items()}
