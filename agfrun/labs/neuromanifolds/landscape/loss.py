"""Quadratic losses as polynomials of the free weights, and the equations of their critical points."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.polynomials import Monomials
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray, matrix_product
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
from agfrun.labs.neuromanifolds.landscape.msolve import PRIME


@dataclass(frozen=True)
class Loss:
    """c^T Q c - 2 v^T c + constant of the coordinates c of the function.

    Attributes:
        form: Q, (n, n), symmetric.
        linear: v, (n,).
        constant: what is left.
    """

    form: FractionArray
    linear: FractionArray
    constant: Any = 0

    @classmethod
    def generic(cls, size: int, generator: np.random.Generator) -> Loss:
        """A random inner product and random targets modulo `PRIME`."""
        half = _random(generator, (size, size))
        return cls(half + half.T, _random(generator, (size,)))

    @classmethod
    def diagonal(cls, weights: FractionArray, generator: np.random.Generator) -> Loss:
        """The sum of squares of the coordinates with weights, and random targets modulo `PRIME`."""
        form = np.full((len(weights),) * 2, 0, dtype=object)
        form[np.diag_indices(len(weights))] = weights
        return cls(form, _random(generator, (len(weights),)))

    @classmethod
    def of_samples(cls, expansion: Expansion, inputs: AnyArray, targets: AnyArray) -> Loss:
        """The sum of squared errors of all outputs at samples.

        Args:
            expansion: of the network.
            inputs: (samples, inputs), exact.
            targets: (samples, outputs), exact.
        """
        outputs, powers = expansion.terms[:, 0], expansion.terms[:, 1:]
        monomials = np.array([[prod(value ** power for value, power in zip(one, row, strict=True))
                               for row in powers.tolist()] for one in inputs], dtype=object)
        rows = [np.where(outputs == place, monomials, 0) for place in range(targets.shape[1])]
        design, wanted = np.concatenate(rows), np.concatenate(list(targets.T))
        return cls(matrix_product(design.T, design), design.T.dot(wanted), wanted.dot(wanted))

    @classmethod
    def of_random_samples(cls, expansion: Expansion, samples: int, generator: np.random.Generator) -> Loss:
        """So many random samples with random targets modulo `PRIME`."""
        outputs = int(expansion.terms[:, 0].max()) + 1
        return cls.of_samples(expansion, _random(generator, (samples, expansion.terms.shape[1] - 1)),
                              _random(generator, (samples, outputs)))

    def terms(self, expansion: Expansion) -> Monomials:
        """The loss as a polynomial of the free weights."""
        found: dict[tuple[int, ...], Any] = {(0,) * expansion.powers.shape[1]: self.constant}
        squares = matrix_product(expansion.coefficients.T, self.form, expansion.coefficients)
        linear = self.linear.dot(expansion.coefficients)
        powers = expansion.powers
        for i in range(len(powers)):
            first = tuple(powers[i].tolist())
            found[first] = found.get(first, 0) - 2 * linear[i]
            for j in range(i, len(powers)):
                both = tuple((powers[i] + powers[j]).tolist())
                found[both] = found.get(both, 0) + squares[i, j] * (1 + (i < j))
        return {exponents: Fraction(value) for exponents, value in found.items() if value}

    def gradient(self, expansion: Expansion) -> list[Monomials]:
        """Its derivatives by all free weights: they vanish at critical points."""
        terms = self.terms(expansion)
        return [derivative(terms, i) for i in range(len(expansion.free))]


def derivative(terms: Monomials, variable: int) -> Monomials:
    """Of a polynomial by a variable."""
    return {(*exponents[:variable], exponents[variable] - 1, *exponents[variable + 1:]): value * exponents[variable]
            for exponents, value in terms.items() if exponents[variable]}


def _random(generator: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
    return generator.integers(1, PRIME, shape, dtype=np.int64).astype(object)
