"""The convolutional network as a choice of `model`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import comb, prod

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element, without_constant
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray
from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.counts import ClosedForm, Invariants, Known
from agfrun.labs.neuromanifolds.degeneracy import ZERO, Degeneracy
from agfrun.labs.neuromanifolds.fibre import Identifiability
from agfrun.labs.neuromanifolds.networks import segre_veronese
from agfrun.labs.neuromanifolds.networks.cnn import shifts
from agfrun.labs.neuromanifolds.networks.cnn.shifts import name_of
from agfrun.labs.neuromanifolds.stratum import Stratum
from agfrun.labs.neuromanifolds.symmetry import Generator, Symmetry, Weights
from agfrun.study.checks import one_of, require
from agfrun.study.registry import register

SHAHVERDI = "Shahverdi, Marchetti & Kohn, arXiv:2410.00722"
MONOMIAL, POLYNOMIAL = ACTIVATIONS = ("monomial", "polynomial")
LARGEST_INPUT = 100_000
LARGEST_DEGREE = min(PRIMES) - 1


@register("model")
@dataclass
class PolynomialCnnConfig(NetworkConfig):
    """Convolutions (C_w x)_i = sum_j w_j x_(s i + j) with an activation between them, down to one output.

    `filters` are the sizes k_0, ..., k_(L-1), `strides` s_0, ..., s_(L-1) (null: all 1). The activation is z^degree, or
    with `activation=polynomial` c_1 z + ... + c_degree z^degree with the `coefficients` (null: generic ones).
    """

    name: str = "polynomial_cnn"
    filters: list[int] = field(default_factory=lambda: [2, 2])
    strides: list[int] | None = None
    degree: int = 2
    activation: str = MONOMIAL
    coefficients: list[int] | None = None

    def check(self) -> None:
        """See `NetworkConfig.check`."""
        require("model.filters", self.filters, bool(self.filters) and min(self.filters) >= 1,
                "at least one filter size, each at least 1")
        if self.strides is not None:
            require("model.strides", self.strides, len(self.strides) == len(self.filters) and min(self.strides) >= 1,
                    f"a stride of at least 1 for each of the {len(self.filters)} filters, or null: all 1")
        require("model.degree", self.degree, self.degree >= 2 or len(self.filters) == 1,
                "an integer of at least 2: of degree 1 the layers are one convolution")
        require("model.degree", self.degree, self.degree ** (min(len(self.filters), 27) - 1) <= LARGEST_DEGREE,
                f"smaller, or the network shallower: the outputs' degree, degree^{len(self.filters) - 1}, may be "
                f"{LARGEST_DEGREE} at most, below the primes of the ranks")
        one_of("model.activation", self.activation, ACTIVATIONS)
        require("model.coefficients", self.coefficients, self.coefficients is None or self.activation == POLYNOMIAL,
                "null with model.activation=monomial")
        if self.coefficients is not None:
            require("model.coefficients", self.coefficients,
                    len(self.coefficients) == self.degree and self.coefficients[-1] != 0,
                    f"{self.degree} integers, of z to z^{self.degree}, of which the last is not 0, or null for generic "
                    "ones")
        largest = max(self.lengths()[0], *self.filters)
        require("model.filters", self.filters, largest <= LARGEST_INPUT,
                f"smaller: the network would have {largest} inputs, and {LARGEST_INPUT} are allowed")

    def layer_strides(self) -> tuple[int, ...]:
        """The stride of each filter."""
        return (1,) * len(self.filters) if self.strides is None else tuple(self.strides)

    def lengths(self) -> list[int]:
        """Lengths of the signals, from the input to the single output: d_i = s_i (d_(i+1) - 1) + k_i."""
        found = [1]
        for size, stride in zip(reversed(self.filters), reversed(self.layer_strides()), strict=True):
            found.insert(0, stride * (found[0] - 1) + size)
        return found

    def architecture(self) -> str:
        """See `NetworkConfig.architecture`; strides stand behind where one is not 1."""
        sizes, strides = "-".join(map(str, self.filters)), self.layer_strides()
        return sizes if max(strides) == 1 else f"{sizes} (stride {','.join(map(str, strides))})"

    def activation_degree(self) -> int:
        """See `NetworkConfig.activation_degree`."""
        return self.degree

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `NetworkConfig.weight_shapes`: `filter_1`, ..., `filter_L`."""
        return {name_of(i): (size,) for i, size in enumerate(self.filters, 1)}

    def input_shape(self) -> tuple[int, ...]:
        """See `NetworkConfig.input_shape`."""
        return (self.lengths()[0],)

    def output_degree(self) -> int:
        """See `NetworkConfig.output_degree`."""
        return int(self.degree ** (len(self.filters) - 1))

    def constant_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `NetworkConfig.constant_shapes`: generic coefficients."""
        generic = self.activation == POLYNOMIAL and self.coefficients is None
        return {"coefficients": (self.degree,)} if generic else {}

    def value(self, weights: Mapping[str, Element], inputs: Element) -> Element:
        """See `NetworkConfig.value`."""
        signal, lengths = inputs, self.lengths()
        for i, (size, stride) in enumerate(zip(self.filters, self.layer_strides(), strict=True)):
            if i:
                signal = self._activated(signal, weights)
            places = stride * np.arange(lengths[i + 1])[:, None] + np.arange(size)
            signal = signal[places] @ weights[name_of(i + 1)]
        return signal

    def _activated(self, signal: Element, weights: Mapping[str, Element]) -> Element:
        if self.activation == MONOMIAL:
            return signal**self.degree
        given: Sequence[int] | Element = weights["coefficients"] if self.coefficients is None else self.coefficients
        return without_constant(given, signal)

    def scales(self) -> tuple[int, ...] | None:
        """The power of each filter's scale in the function, r^(L-1), ..., r, 1; None: scales are fixed."""
        if self.activation != MONOMIAL and len(self.filters) > 1:
            return None
        return tuple(self.degree**i for i in reversed(range(len(self.filters))))

    def ambient(self) -> int:
        """See `NetworkConfig.ambient`."""
        inputs, order = self.lengths()[0], self.output_degree()
        if self.activation == MONOMIAL:
            return comb(order + inputs - 1, inputs - 1)
        return comb(order + inputs, inputs) - 1

    def symmetry_dimension(self) -> int:
        """See `NetworkConfig.symmetry_dimension`: rescalings of filters."""
        return 0 if self.scales() is None else len(self.filters) - 1

    def chart(self) -> dict[str, AnyArray]:
        """See `NetworkConfig.chart`: all filters but the last begin with 1, where scales are free."""
        hidden = self.filters[:-1] if self.scales() is not None else []
        return {name_of(i): np.array([1] + [None] * (size - 1), dtype=object) for i, size in enumerate(hidden, 1)}

    def degeneracies(self, weights: Mapping[str, Element]) -> tuple[Degeneracy, ...]:
        """See `NetworkConfig.degeneracies`: filters that vanish."""
        fixed = self.chart()
        return tuple(Degeneracy(ZERO, filter_) for name, filter_ in weights.items() if name not in fixed)

    def morse_sum(self) -> int | None:
        """See `NetworkConfig.morse_sum`: the Euler characteristic of the projective spaces of filters but the last."""
        return None if self.scales() is None else prod(size % 2 for size in self.filters[:-1])

    def symmetries(self) -> tuple[Symmetry, ...]:
        """See `NetworkConfig.symmetries`."""
        if self.scales() is None or len(self.filters) == 1:
            return ()
        return (Symmetry("rescalings of filters", "w_i -> l_i w_i, prod_i l_i^(r^(L-1-i)) = 1", self._rescaled,
                         self._scalings),)

    def _rescaled(self, weights: Weights, generator: np.random.Generator) -> dict[str, Element]:
        scales = self.scales()
        assert scales is not None
        factors = [Fraction(2) ** int(e) for e in generator.integers(-2, 3, len(scales) - 1)]
        last = 1 / prod((factor**power for factor, power in zip(factors, scales, strict=False)), start=Fraction(1))
        return {name: weights[name] * factor for name, factor in zip(weights, [*factors, last], strict=True)}

    def _scalings(self, weights: Weights) -> Iterator[Generator]:
        scales = self.scales()
        assert scales is not None
        last = name_of(len(scales))
        for i, power in enumerate(scales[:-1], 1):
            yield Generator(f"filter {i} against the last", {name_of(i): weights[name_of(i)],
                                                             last: weights[last] * -power},
                            f"|w_{i}|^2 - {power} |w_{len(scales)}|^2")

    def strata(self) -> tuple[Stratum, ...]:
        """See `NetworkConfig.strata`: nodes and zero filters."""
        return shifts.strata(self.filters, self.layer_strides())

    def identifiability(self, weights: Mapping[str, FractionArray]) -> Identifiability:
        """See `NetworkConfig.identifiability`: the number of shift tuples."""
        if any(not entries.any() for entries in weights.values()):
            return Identifiability("infinite", None, "a filter vanishes, and with it the function: the others are free",
                                   SHAHVERDI)
        found = len(shifts.shift_tuples(list(weights.values()), self.layer_strides()))
        up_to = "" if self.scales() is None else ", up to rescalings"
        if found == 1:
            return Identifiability("finite", 1, f"no other filters have this function{up_to}", SHAHVERDI)
        return Identifiability(f"{found} preimages", found, f"zeros at the ends of filters let {found} tuples of "
                               f"shifts keep the function{up_to}: a singular point", SHAHVERDI)

    def canonical(self, weights: Mapping[str, FractionArray]) -> dict[str, FractionArray]:
        """See `NetworkConfig.canonical`: all filters but the last begin with 1."""
        scales = self.scales()
        if scales is None or any(not entries.any() for entries in weights.values()):
            return dict(weights)
        fixed, factor = dict(weights), Fraction(1)
        for i, power in enumerate(scales[:-1], 1):
            entries = weights[name_of(i)]
            lead = next(entry for entry in entries if entry)
            fixed[name_of(i)] = entries / lead
            factor *= lead**power
        fixed[name_of(len(scales))] = weights[name_of(len(scales))] * factor
        return fixed

    def invariants(self) -> Invariants:
        """See `NetworkConfig.invariants`."""
        scales = self.scales()
        if scales is None:
            return Invariants()
        return Invariants(Known(segre_veronese.degree(self.filters, scales), SHAHVERDI),
                          Known(segre_veronese.critical_points(self.filters, scales), SHAHVERDI))

    def closed_form(self) -> ClosedForm | None:
        """See `NetworkConfig.closed_form`."""
        if self.scales() is not None:
            return ClosedForm(sum(self.filters) - len(self.filters) + 1, True, SHAHVERDI)
        if self.coefficients is None:
            return ClosedForm(sum(self.filters), True,
                              "Shahverdi, Marchetti & Kohn, arXiv:2505.11846, Theorem 4.4")
        return None

    def why_no_closed_form(self) -> str:
        """See `NetworkConfig.why_no_closed_form`."""
        return "closed forms are for monomial activations and for generic coefficients"
