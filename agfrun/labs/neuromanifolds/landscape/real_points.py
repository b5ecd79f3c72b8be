"""Real critical points, certified: a box around each, its index from intervals, and what kind of point it is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.polynomials import Monomials
from agfrun.labs.neuromanifolds.landscape.equations import EVERY, FAMILIES, NONE, Equations
from agfrun.labs.neuromanifolds.landscape.expansion import powers_of
from agfrun.labs.neuromanifolds.landscape.loss import Loss
from agfrun.labs.neuromanifolds.landscape.msolve import Box, Timer, real_solutions

if TYPE_CHECKING:
    import flint

BITS = 512
# An interval around zero counts as zero below this, in parts of the other numbers: boxes are some 1e-38 wide.
TINY = 1e-25
# Weights that do not matter are drawn so often.
DRAWS = 3
# Points of a box that belong to one orbit of permutations agree in so many bits.
_SAME = 80


@dataclass(frozen=True)
class RealPoint:
    """A real critical point in the chart.

    Attributes:
        index: negative eigenvalues of the Hessian in the chart; None: an eigenvalue could not be told from zero.
        loss: there.
        pure: whether the residual is orthogonal to all tangent vectors at all known weights of its function; otherwise
            it is spurious: a critical point of the weights, not of the function.
        at_zero: whether the function is 0.
        subnetwork: in what way it is the function of a smaller network, in a word; empty: it is none.
        weights: the free ones, the middle of the box.
    """

    index: int | None
    loss: float
    pure: bool
    at_zero: bool
    subnetwork: str
    weights: tuple[Fraction, ...]


def isolated(equations: Equations, loss: Loss, timer: Timer) -> tuple[str, int] | None:
    """Which degenerate weights have to be left out so that critical points are finite in number, and how many are left.

    Returns:
        One of `LEFT_OUT` and the number of complex solutions, the points of all permutations; None: infinitely many.
    """
    gradient = equations.gradient(loss)
    families = [continuum for _, _, continuum in equations.expansion.degeneracies or ()]
    for left_out in (NONE, FAMILIES, EVERY):
        if left_out == FAMILIES and all(families) == any(families):
            continue  # the same as another
        found = equations.solved(gradient, left_out, timer)
        if found is not None:
            return left_out, found
    return None


def real_points(equations: Equations, loss: Loss, left_out: str, timer: Timer) -> list[RealPoint] | None:
    """All real critical points, by their losses; of several weights that permutations make of each other one.

    Args:
        equations: of the network, without slices: real orbits may meet these in complex points alone.
        loss: exact, over the rationals.
        left_out: which degenerate weights are left out; one of `LEFT_OUT`.
        timer: what is left of it is the limit.

    Returns:
        None where they are not finite in number.
    """
    system = equations.system(equations.gradient(loss), left_out)
    boxes = real_solutions(system, len(next(iter(system[0]))), timer)
    if boxes is None:
        return None
    certifier = Certifier(equations, loss)
    points = {certifier.orbit(box): box for box in (one[-equations.variables:] for one in boxes)}
    return sorted((certifier.point(box) for box in points.values()), key=lambda one: (one.loss, one.weights))


class Certifier:
    """Labels real critical points of one loss, in intervals that contain all that is computed with.

    Args:
        equations: of the network.
        loss: exact.
    """

    def __init__(self, equations: Equations, loss: Loss) -> None:
        import flint  # an extra: settings and figures work without it

        flint.ctx.prec = BITS
        self.expansion, self.loss = equations.expansion, loss
        self._coefficients = _matrix(self.expansion.coefficients)
        self._form, self._linear = _matrix(loss.form), _matrix(loss.linear[:, None])
        self._generator = np.random.default_rng(equations.seed)

    def orbit(self, box: Box) -> tuple[int, ...]:
        """The same integers for all weights that permutations of neurons make of each other."""
        weights = self.expansion.weights(_middle(box))
        standard = self.expansion.network.canonical(weights) or weights
        return tuple(round(entry * 2**_SAME) for entries in standard.values() for entry in entries.ravel())

    def point(self, box: Box) -> RealPoint:
        """The critical point in a box."""
        point = _intervals(box)
        values, jacobian = self._function(point)
        residual = self._form * values - self._linear
        loss = (values.transpose() * (residual - self._linear))[0, 0] + _ball(self.loss.constant)
        scale = 1 + max(abs(float(entry)) for entry in point)
        return RealPoint(self._index(point, residual, jacobian), float(loss), self._pure(point, values, jacobian),
                         _vanishes(values.entries(), scale), self._subnetwork(point, scale), tuple(_middle(box)))

    def _function(self, point: AnyArray) -> tuple[flint.arb_mat, flint.arb_mat]:
        """The coordinates of the function, (n, 1), and their derivatives by the free weights, (n, free)."""
        monomials = _matrix(self.expansion.monomials(point)[:, None])
        return self._coefficients * monomials, self._coefficients * _matrix(self.expansion.derivatives(point))

    def _index(self, point: AnyArray, residual: flint.arb_mat, jacobian: flint.arb_mat) -> int | None:
        """Of the Hessian in the chart."""
        size = len(point)
        factors = self._coefficients.transpose() * residual
        hessian = jacobian.transpose() * self._form * jacobian
        for i in range(size):
            for j in range(i, size):
                curved = sum((factors[k, 0] * value for k, value in enumerate(self._second(point, i, j))), _ball(0))
                hessian[i, j] += curved
                hessian[j, i] = hessian[i, j]
        return negative_eigenvalues(hessian)

    def _second(self, point: AnyArray, i: int, j: int) -> list[Any]:
        """Second derivatives of all monomials by two free weights."""
        found, tables = [], _tables(point, self.expansion.powers)
        for row in self.expansion.powers.tolist():
            factor = row[i] * (row[j] - (i == j))
            lowered = [power - (place == i) - (place == j) for place, power in enumerate(row)]
            if factor:
                for table, power in zip(tables, lowered, strict=True):
                    factor = table[power] * factor
            found.append(factor)
        return found

    def _pure(self, point: AnyArray, values: flint.arb_mat, jacobian: flint.arb_mat) -> bool:
        residual = self._form * values - self._linear
        idle = [i for i in range(len(point)) if all(entry.contains(0) for entry in _column(jacobian, i))]
        if not idle:
            return True
        for _ in range(DRAWS):
            other = point.copy()
            for i in idle:
                other[i] = _ball(int(self._generator.integers(-20, 21)))
            moved, tangent = self._function(other)
            same = all(entry.contains(0) for entry in (moved - values).entries())
            if same and any(not entry.contains(0) for entry in (tangent.transpose() * residual).entries()):
                return False
        return True

    def _subnetwork(self, point: AnyArray, scale: float) -> str:
        for kind, vanishing, _ in self.expansion.degeneracies or ():
            if _vanishes([_value(terms, point) for terms in vanishing], scale):
                return kind
        return ""


def negative_eigenvalues(matrix: flint.arb_mat) -> int | None:
    """The number of negative eigenvalues of a symmetric matrix, by Descartes' rule: exact where all roots are real.

    Args:
        matrix: its entries are intervals.

    Returns:
        None where the intervals leave open whether one is zero.
    """
    size = matrix.nrows()
    unit = type(matrix)(size, size, [int(i == j) for i in range(size) for j in range(size)])
    # Faddeev and LeVerrier's recursion divides by integers alone, so that no interval around zero is divided by.
    coefficients, power = [_ball(1)], matrix
    for k in range(1, size + 1):
        coefficients.append(-sum((power[i, i] for i in range(size)), _ball(0)) / k)
        power = matrix * (power + unit * coefficients[-1])
    signs = [0 if one.contains(0) else 1 if one > 0 else -1 for one in coefficients]
    # A coefficient between two of opposite signs counts the same with either sign; else a root may be zero.
    open_ = [k for k, sign in enumerate(signs) if not sign]
    if signs[-1] == 0 or any(signs[k - 1] * signs[k + 1] != -1 for k in open_):
        return None
    certain = [sign for sign in signs if sign]
    positive = sum(a != b for a, b in pairwise(certain))
    return size - positive


def _value(terms: Monomials, point: AnyArray) -> Any:
    total, tables = _ball(0), _tables(point, np.array(list(terms)))
    for exponents, value in terms.items():
        total += prod((table[power] for table, power in zip(tables, exponents, strict=True)), start=_ball(value))
    return total


def _tables(point: AnyArray, powers: np.ndarray) -> list[AnyArray]:
    """The powers of each entry of a point, as far as monomials need them."""
    return [powers_of(value, int(most)) for value, most in zip(point, powers.max(axis=0), strict=True)]


def _vanishes(entries: list[Any], scale: float) -> bool:
    return all(entry.contains(0) and float(entry.rad()) < TINY * scale for entry in entries)


def _column(matrix: flint.arb_mat, place: int) -> list[Any]:
    return [matrix[row, place] for row in range(matrix.nrows())]


def _middle(box: Box) -> list[Fraction]:
    return [(low + high) / 2 for low, high in box]


def _intervals(box: Box) -> AnyArray:
    made = np.empty(len(box), dtype=object)
    for i, (low, high) in enumerate(box):
        made[i] = _ball(low).union(_ball(high))
    return made


def _ball(value: Any) -> flint.arb:
    import flint  # see above

    exact = Fraction(value)
    return flint.arb(exact.numerator) / exact.denominator


def _matrix(entries: AnyArray) -> flint.arb_mat:
    import flint  # see above

    flat = [entry if isinstance(entry, flint.arb) else _ball(entry) for entry in entries.ravel()]
    return flint.arb_mat(entries.shape[0], entries.shape[1], flat)
