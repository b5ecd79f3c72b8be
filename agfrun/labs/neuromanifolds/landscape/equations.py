"""How many complex solutions the equations of critical points have: each function once, subnetworks left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.polynomials import Monomials
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
from agfrun.labs.neuromanifolds.landscape.loss import Loss, derivative
from agfrun.labs.neuromanifolds.landscape.msolve import PRIME, Timer, leading_monomials
from agfrun.labs.neuromanifolds.landscape.staircase import standard_monomials
from agfrun.study.errors import UsageError

EVERY, FAMILIES, NONE = LEFT_OUT = ("all", "families", "none")
"""Which degenerate weights are left out: all, those whose critical points come in families, or none."""

MOST_IN_MINORS = 7


@dataclass(frozen=True)
class Equations:
    """Equations of the free weights of a network, and what they say of one function.

    Attributes:
        expansion: of the network.
        slices: linear equations that cut the fibre of a generic function down to points.
        seed: of all that is random.
    """

    expansion: Expansion
    slices: tuple[Monomials, ...]
    seed: int

    @classmethod
    def of(cls, expansion: Expansion, dimension: int, seed: int) -> Equations:
        """The equations of a network whose functions have a dimension; a random linear one for each further weight."""
        generator = np.random.default_rng((seed, 1))
        free = len(expansion.free)
        return cls(expansion, tuple(_linear(generator, free) for _ in range(free - dimension)), seed)

    @property
    def variables(self) -> int:
        """The number of free weights."""
        return len(self.expansion.free)

    def solved(self, equations: Sequence[Monomials], left_out: str, timer: Timer) -> int | None:
        """Complex solutions of equations and slices, with multiplicity; None: infinitely many.

        Args:
            equations: polynomials of the free weights.
            left_out: one of `LEFT_OUT`.
            timer: what is left of it is the limit.
        """
        system = self.system(equations, left_out)
        if not system:
            return None
        return standard_monomials(leading_monomials(system, len(next(iter(system[0]))), timer))

    def system(self, equations: Sequence[Monomials], left_out: str) -> list[Monomials]:
        """Equations and slices, and t * (what must not vanish) = 1 with a further variable t in front.

        Equations 0 = 0 are left out, as of a loss that no weight changes.
        """
        together = [terms for terms in (*equations, *self.slices) if any(terms.values())]
        excluded = self._excluded(left_out)
        if excluded is None:
            return together
        forbidden = {(1, *exponents): value for exponents, value in excluded.items()} | {
            (0,) * (self.variables + 1): Fraction(-1)}
        return [*({(0, *exponents): value for exponents, value in terms.items()} for terms in together), forbidden]

    def _excluded(self, left_out: str) -> Monomials | None:
        """The product of a random combination of what vanishes for each kind of degenerate weights."""
        generator, total = np.random.default_rng((self.seed, 2)), None
        if self.expansion.degeneracies is None:
            return self._minor(generator) if left_out == EVERY else None
        for _, vanishing, continuum in self.expansion.degeneracies:
            factors = generator.integers(1, 100, len(vanishing)).tolist()
            if left_out == NONE or (left_out == FAMILIES and not continuum):
                continue
            combined = _combined(factors, vanishing)
            total = combined if total is None else _product(total, combined)
        return total

    def _minor(self, generator: np.random.Generator) -> Monomials:
        """A random combination of the largest minors of the Jacobian: where no one has named what is degenerate.

        Raises:
            UsageError: the dimension is too large for that.
        """
        size, network = self.variables - len(self.slices), self.expansion.network
        if size > MOST_IN_MINORS:
            raise UsageError(f"model={network.name}: its functions have {size} dimensions and its class no method "
                             f"`degeneracies`, without which {MOST_IN_MINORS} are the most")
        rows = generator.integers(1, 100, (size, len(self.expansion.coefficients))).astype(object).dot(
            self.expansion.coefficients)
        mixed = generator.integers(1, 100, (self.variables, size)).tolist()
        places = [tuple(row) for row in self.expansion.powers.tolist()]
        # Determinants of the first rows and any columns, from those of one row less.
        found: dict[tuple[int, ...], Monomials] = {(): {(0,) * self.variables: Fraction(1)}}
        for depth, row in enumerate(rows):
            terms = dict(zip(places, row, strict=True))
            slopes = [derivative(terms, i) for i in range(self.variables)]
            entries = [_combined([factors[column] for factors in mixed], slopes) for column in range(size)]
            found = {columns: _combined([(-1) ** (depth + i) for i in range(depth + 1)],
                                        [_product(entries[column], found[columns[:i] + columns[i + 1:]])
                                         for i, column in enumerate(columns)])
                     for columns in combinations(range(size), depth + 1)}
        return found[tuple(range(size))]

    def gradient(self, loss: Loss) -> list[Monomials]:
        """The equations of critical points.

        Orbits of symmetries consist of critical points, and slices meet all nearby ones: the derivatives by all free
        weights stay equations.
        """
        return loss.gradient(self.expansion)

    def points_of_one_function(self, timer: Timer) -> int | None:
        """How many weights in the chart and the slices have the function of random ones."""
        generator = np.random.default_rng((self.seed, 3))
        point = generator.integers(1, 2**20, self.variables).astype(object)
        # Random weights that lie on the slices: a shift of each makes it pass through them.
        slices = tuple(_through(terms, point) for terms in self.slices)
        values = self.expansion.coefficients.dot(self.expansion.monomials(point))
        same = [_difference(row, value) for row, value in zip(self._coordinates(), values, strict=True)]
        return Equations(self.expansion, slices, self.seed).solved(same, EVERY, timer)

    def on_a_linear_space(self, dimension: int, timer: Timer) -> int | None:
        """Weights whose functions lie in a random affine space of complementary dimension."""
        generator = np.random.default_rng((self.seed, 4))
        mixed = generator.integers(1, PRIME, (dimension, len(self.expansion.coefficients)), dtype=np.int64)
        rows = mixed.astype(object).dot(self.expansion.coefficients)
        places = [tuple(row) for row in self.expansion.powers.tolist()]
        equations = [_difference(dict(zip(places, row, strict=True)), int(generator.integers(1, PRIME)))
                     for row in rows]
        return self.solved(equations, EVERY, timer)

    def _coordinates(self) -> list[Monomials]:
        places = [tuple(row) for row in self.expansion.powers.tolist()]
        return [{place: value for place, value in zip(places, row, strict=True) if value}
                for row in self.expansion.coefficients]


def _linear(generator: np.random.Generator, variables: int) -> Monomials:
    values = generator.integers(1, 100, variables + 1).tolist()
    units = np.eye(variables + 1, dtype=int)[:, :variables].tolist()
    return {tuple(unit): Fraction(value) for unit, value in zip(units, values, strict=True)}


def _through(terms: Monomials, point: np.ndarray) -> Monomials:
    constant = (0,) * len(point)
    value = sum(value * point[exponents.index(1)] for exponents, value in terms.items() if exponents != constant)
    return {**terms, constant: -value}


def _difference(terms: Monomials, value: Fraction | int) -> Monomials:
    constant = (0,) * len(next(iter(terms)))
    return {**terms, constant: terms.get(constant, Fraction(0)) - value}


def _combined(factors: Sequence[int], polynomials: Sequence[Monomials]) -> Monomials:
    found: dict[tuple[int, ...], Fraction] = {}
    for factor, terms in zip(factors, polynomials, strict=True):
        for exponents, value in terms.items():
            found[exponents] = found.get(exponents, Fraction(0)) + factor * value
    return found


def _product(first: Monomials, second: Monomials) -> Monomials:
    found: dict[tuple[int, ...], Fraction] = {}
    for a, x in first.items():
        for b, y in second.items():
            both = tuple(i + j for i, j in zip(a, b, strict=True))
            found[both] = found.get(both, Fraction(0)) + x * y
    return found
