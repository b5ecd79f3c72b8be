"""A network's function as a polynomial of its inputs, whose coefficients are polynomials of the free weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element, unrecorded
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.polynomials import Monomials, Polynomials
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig


@dataclass(frozen=True)
class Expansion:
    """The coefficients of a network's outputs, which are coordinates of its function.

    Attributes:
        network: whose function it is.
        chart: the weights by name: integers where they are fixed, None where they are free.
        free: name and place of each free weight; they are the variables of all polynomials.
        powers: the exponents of all monomials of the weights that occur, (M, free weights).
        coefficients: each coordinate as a combination of them, (n, M), exact.
        terms: of each coordinate the output and the exponents of the inputs, (n, 1 + inputs).
        degeneracies: polynomials of the free weights by kind, of which all of one kind vanish at smaller networks;
            with them whether critical points there come in families; None: nobody has named them.
    """

    network: NetworkConfig
    chart: Mapping[str, AnyArray]
    free: tuple[tuple[str, tuple[int, ...]], ...]
    powers: np.ndarray
    coefficients: FractionArray
    terms: np.ndarray
    degeneracies: tuple[tuple[str, tuple[Monomials, ...], bool], ...] | None

    @classmethod
    def of(cls, network: NetworkConfig, seed: int, charted: bool = True) -> Expansion:
        """Expand a network's function.

        Args:
            network: the architecture; the generic constants of its activation are drawn.
            seed: of these constants.
            charted: whether weights that symmetries can fix are fixed.
        """
        chart = _chart(network, charted)
        free = tuple((name, place) for name, entries in chart.items() for place, value in np.ndenumerate(entries)
                     if value is None)
        inputs = prod(network.input_shape())
        ring = Polynomials(len(free) + inputs)
        variables = ring.variables()
        generator = np.random.default_rng(seed)
        constants = {name: generator.integers(1, 10, shape) for name, shape in network.constant_shapes().items()}
        with unrecorded():
            weights = _elements(ring, chart, dict(zip(free, variables, strict=False)))
            given = weights | {name: Element(ring, ring.array(entries)[None]) for name, entries in constants.items()}
            outputs = network.value(given, Element(ring, variables[len(free):].reshape(1, *network.input_shape())))
            degenerate = network.degeneracies(weights)
        rows: dict[tuple[int, ...], Monomials] = {}
        for place, output in enumerate(outputs.data[0]):
            for exponents, value in ring.terms(output).items():
                rows.setdefault((place, *exponents[len(free):]), {})[exponents[:len(free)]] = value
        return cls(network, chart, free, *_tabled(rows, len(free)), None if degenerate is None else tuple(
            (one.kind, tuple({exponents[:len(free)]: value for exponents, value in ring.terms(entry).items()}
                             for entry in one.vanishes.data[0]), one.continuum) for one in degenerate))

    @property
    def names(self) -> list[str]:
        """The free weights, such as `filter_1[2]`, places counted from 1."""
        return [f"{name}[{','.join(str(i + 1) for i in place)}]" for name, place in self.free]

    def monomials(self, point: AnyArray) -> AnyArray:
        """All monomials at free weights, (M,); of any kind of numbers."""
        columns = [powers_of(value, int(self.powers[:, i].max(initial=0)))[self.powers[:, i]]
                   for i, value in enumerate(point)]
        return np.asarray(prod(columns[1:], start=columns[0]))

    def derivatives(self, point: AnyArray) -> AnyArray:
        """Derivatives of all monomials by each free weight, (M, free weights)."""
        table = [powers_of(value, int(self.powers[:, i].max(initial=0))) for i, value in enumerate(point)]
        parts = []
        for i in range(len(point)):
            column = [table[j][self.powers[:, j]] if j != i else
                      self.powers[:, j] * table[j][np.maximum(self.powers[:, j] - 1, 0)] for j in range(len(point))]
            parts.append(prod(column[1:], start=column[0]))
        return np.stack(parts, axis=1)

    def weights(self, point: Sequence[Fraction]) -> dict[str, FractionArray]:
        """All weights, exact, from the free ones."""
        made = {name: entries.copy() for name, entries in self.chart.items()}
        for (name, place), value in zip(self.free, point, strict=True):
            made[name][place] = Fraction(value)
        return {name: np.vectorize(Fraction, otypes=[object])(entries) for name, entries in made.items()}

    def bombieri(self) -> FractionArray:
        """One over the multinomial coefficient of each coordinate: the weights of Bombieri's inner product."""
        return np.array([Fraction(prod(map(factorial, powers[1:])), factorial(sum(powers[1:])))
                         for powers in self.terms.tolist()], dtype=object)


class FloatMonomials:
    """Monomials and their derivatives at many points at once, in floats.

    Args:
        powers: exponents, (M, V).
    """

    def __init__(self, powers: np.ndarray) -> None:
        self._powers = powers
        units = np.eye(powers.shape[1], dtype=np.int64)
        self._lowered = np.maximum(powers[None] - units[:, None], 0)
        self._exponents = np.arange(int(powers.max(initial=0)) + 1)
        self._places = np.arange(powers.shape[1])

    def values(self, points: np.ndarray) -> np.ndarray:
        """(..., M) at points (..., V)."""
        return np.asarray(self._table(points)[..., self._places, self._powers].prod(axis=-1))

    def derivatives(self, points: np.ndarray) -> np.ndarray:
        """(..., M, V) at points (..., V)."""
        lowered = self._table(points)[..., self._places, self._lowered].prod(axis=-1)
        return np.asarray(np.swapaxes(lowered, -1, -2) * self._powers)

    def _table(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(points[..., None] ** self._exponents)


def _chart(network: NetworkConfig, charted: bool) -> dict[str, AnyArray]:
    free = {name: np.full(shape, None, dtype=object) for name, shape in network.weight_shapes().items()}
    return free | (network.chart() if charted else {})


def _elements(ring: Polynomials, chart: Mapping[str, AnyArray], variables: Mapping[tuple[str, tuple[int, ...]], object]
              ) -> dict[str, Element]:
    made = {}
    for name, entries in chart.items():
        filled = ring.array(np.where(entries == None, 0, entries))  # noqa: E711 - of each entry
        for place, value in np.ndenumerate(entries):
            if value is None:
                filled[place] = variables[name, place]
        made[name] = Element(ring, filled[None])
    return made


def _tabled(rows: Mapping[tuple[int, ...], Monomials], variables: int) -> tuple[np.ndarray, FractionArray, np.ndarray]:
    monomials = sorted({exponents for row in rows.values() for exponents in row})
    place = {exponents: i for i, exponents in enumerate(monomials)}
    keys = sorted(rows)
    coefficients = np.full((len(keys), len(monomials)), Fraction(0), dtype=object)
    for i, key in enumerate(keys):
        for exponents, value in rows[key].items():
            coefficients[i, place[exponents]] = value
    return np.array(monomials, dtype=np.int64).reshape(-1, variables), coefficients, np.array(keys, dtype=np.int64)


def powers_of(value: Any, most: int) -> AnyArray:
    """1, x, ..., x^most, by products: intervals around zero have no power by logarithms."""
    found = [value * 0 + 1]
    for _ in range(most):
        found.append(found[-1] * value)
    return np.array(found) if isinstance(value, float) else np.array(found, dtype=object)
