"""Fully connected networks as choices of `model`: monomial activations, generic polynomials, and their dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import comb, prod

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element, without_constant
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray
from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.counts import ClosedForm, Invariants, Known
from agfrun.labs.neuromanifolds.degeneracy import Degeneracy
from agfrun.labs.neuromanifolds.fibre import Identifiability
from agfrun.labs.neuromanifolds.measurement import measure
from agfrun.labs.neuromanifolds.networks import determinantal, segre_veronese
from agfrun.labs.neuromanifolds.networks.mlp import neurons, theory
from agfrun.labs.neuromanifolds.stratum import Stratum
from agfrun.labs.neuromanifolds.symmetry import Symmetry
from agfrun.study.checks import require
from agfrun.study.registry import register

# Beyond, the counts themselves are numbers of many pages.
LARGEST_WIDTH = 10_000
LARGEST_DEGREE = min(PRIMES) - 1


@dataclass
class Mlp(NetworkConfig):
    """The network f(x) = W_L s(W_{L-1} s(... s(W_1 x))); `widths` are d_0, ..., d_L, inputs and outputs included.

    `degree` is that of the activation of all hidden layers, `degrees` one for each hidden layer in its place.
    """

    widths: list[int] = field(default_factory=lambda: [2, 2, 1])
    degree: int = 2
    degrees: list[int] | None = None

    def check(self) -> None:
        """See `NetworkConfig.check`."""
        require("model.widths", self.widths, len(self.widths) >= 3,
                "at least three widths, input, hidden and output: a single layer of weights has no activation")
        require("model.widths", self.widths, all(1 <= width <= LARGEST_WIDTH for width in self.widths),
                f"widths from 1 to {LARGEST_WIDTH}")
        if self.degrees is not None:
            require("model.degrees", self.degrees, len(self.degrees) == len(self.widths) - 2
                    and min(self.degrees) >= 2, f"a degree of at least 2 for each of the {len(self.widths) - 2} hidden "
                    "layers, or null: `model.degree` for all")
        require("model.degree", self.degree, self.degree >= 2,
                "an integer of at least 2: of degree 1 the network is a product of matrices (model=two_layer_linear)")
        key = "model.degree" if self.degrees is None else "model.degrees"
        given = self.degree if self.degrees is None else self.degrees
        # Not the whole product, which can be a number without end.
        require(key, given, prod(self.layer_degrees()[:27]) <= LARGEST_DEGREE,
                "smaller, or the network shallower: the outputs' degree, the product of those of "
                f"{len(self.widths) - 2} hidden layers, may be {LARGEST_DEGREE} at most, below the primes of the ranks")

    def layer_degrees(self) -> tuple[int, ...]:
        """The degree of each hidden layer."""
        return (self.degree,) * (len(self.widths) - 2) if self.degrees is None else tuple(self.degrees)

    def architecture(self) -> str:
        """See `NetworkConfig.architecture`; degrees that differ stand behind."""
        sizes = "-".join(map(str, self.widths))
        return sizes if self.degrees is None else f"{sizes} ({','.join(map(str, self.degrees))})"

    def activation_degree(self) -> int | None:
        """See `NetworkConfig.activation_degree`."""
        return self.layer_degrees()[0] if len(set(self.layer_degrees())) == 1 else None

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `NetworkConfig.weight_shapes`: `layer_1`, ..., `layer_L`, of shapes (d_l, d_{l-1})."""
        return {neurons.layer(i): (outputs, inputs) for i, (inputs, outputs) in enumerate(pairwise(self.widths), 1)}

    def input_shape(self) -> tuple[int, ...]:
        """See `NetworkConfig.input_shape`."""
        return (self.widths[0],)

    def output_degree(self) -> int:
        """See `NetworkConfig.output_degree`."""
        return prod(self.layer_degrees())

    def value(self, weights: Mapping[str, Element], inputs: Element) -> Element:
        """See `NetworkConfig.value`."""
        signals = weights[neurons.layer(1)] @ inputs
        for i in range(2, len(self.widths)):
            signals = weights[neurons.layer(i)] @ self.activation(i - 1, signals, weights)
        return signals

    def activation(self, layer: int, preactivations: Element, weights: Mapping[str, Element]) -> Element:
        """The activation of a hidden layer, from 1 on."""
        raise NotImplementedError

    def neuron_weight(self) -> tuple[int, ...] | None:
        """For each hidden layer the degree by which a neuron's scale moves through it; None: it does not."""
        raise NotImplementedError

    def gauge(self) -> dict[str, AnyArray]:
        """See `NetworkConfig.gauge`: the first incoming weight of each hidden neuron, where scales are free.

        The derivative along a neuron's rescaling vanishes. It moves the neuron's first incoming weight, and of the
        other neurons' first incoming weights only some of the next layer's. So, from the last layer to the first, the
        derivatives by these weights follow from all others.
        """
        if self.neuron_weight() is None:
            return {}
        hidden = list(self.weight_shapes().items())[:-1]
        return {name: np.arange(shape[1])[None] + np.zeros((shape[0], 1)) == 0 for name, shape in hidden}

    def degeneracies(self, weights: Mapping[str, Element]) -> tuple[Degeneracy, ...]:
        """See `NetworkConfig.degeneracies`: neurons that are dead, or proportional to another one (equal)."""
        return neurons.degeneracies(self.widths, self.neuron_weight(), weights)

    def morse_sum(self) -> int | None:
        """See `NetworkConfig.morse_sum`: of one neuron in all, which its direction and its outgoing weights make."""
        alone = len(self.widths) == 3 and self.widths[1] == 1 and self.neuron_weight() is not None
        return self.widths[0] % 2 if alone else None

    def symmetries(self) -> tuple[Symmetry, ...]:
        """See `NetworkConfig.symmetries`."""
        return neurons.symmetries(self.widths, self.neuron_weight())

    def strata(self) -> tuple[Stratum, ...]:
        """See `NetworkConfig.strata`: the last neuron of each hidden layer dead or duplicated."""
        return neurons.strata(self.widths, self.neuron_weight())

    def canonical(self, weights: Mapping[str, FractionArray]) -> dict[str, FractionArray]:
        """See `NetworkConfig.canonical`: first incoming weights of 1 where scales are free, neurons in order."""
        return neurons.canonical(weights, self.neuron_weight())

    def identifiability(self, weights: Mapping[str, FractionArray]) -> Identifiability:
        """See `NetworkConfig.identifiability`."""
        return neurons.identifiability(weights, self.neuron_weight())

    def without_neuron(self, layer: int) -> Mlp | None:
        """The network with a neuron less in a hidden layer; None where it was the last."""
        widths = [width - (i == layer) for i, width in enumerate(self.widths)]
        return None if 0 in widths else type(self)(**(vars(self) | {"widths": widths}))


@register("model")
@dataclass
class MonomialMlpConfig(Mlp):
    """The activation s(z) = z^degree."""

    name: str = "monomial_mlp"

    def activation(self, layer: int, preactivations: Element, weights: Mapping[str, Element]) -> Element:
        """See `Mlp.activation`."""
        return preactivations ** self.layer_degrees()[layer - 1]

    def neuron_weight(self) -> tuple[int, ...]:
        """See `Mlp.neuron_weight`: incoming weights times c and outgoing ones times c^-r change nothing."""
        return self.layer_degrees()

    def ambient(self) -> int:
        """See `NetworkConfig.ambient`."""
        return theory.ambient_dimension(self.widths, self.layer_degrees())

    def proved_bound(self) -> int:
        """See `NetworkConfig.proved_bound`."""
        return theory.dimension_bound(self.widths, self.layer_degrees())

    def symmetry_dimension(self) -> int:
        """See `NetworkConfig.symmetry_dimension`: the rescalings of hidden neurons."""
        return theory.scaling_count(self.widths)

    def closed_form(self) -> ClosedForm | None:
        """See `NetworkConfig.closed_form`."""
        return theory.closed_form(self.widths, self.layer_degrees())

    def invariants(self) -> Invariants:
        """See `NetworkConfig.invariants`: of networks that fill their space, of one neuron, of quadratic forms."""
        inputs, hidden, outputs = self.widths[0], self.widths[1], self.widths[-1]
        known, degrees = self.closed_form(), self.layer_degrees()
        if known is not None and known.proved and known.dimension == self.ambient():
            return Invariants(Known(1, known.source), Known(1, known.source))
        if len(self.widths) > 3:
            return Invariants()
        if hidden == 1:
            pair, powers = (inputs, outputs), (degrees[0], 1)
            return Invariants(Known(segre_veronese.degree(pair, powers), segre_veronese.SOURCE),
                              Known(segre_veronese.critical_points(pair, powers), segre_veronese.SOURCE))
        polar = determinantal.symmetric_polar_degrees(inputs, hidden) if outputs == 1 and degrees == (2,) else None
        if polar is None:
            return Invariants()
        words = f"{determinantal.POLAR}, symmetric matrices of rank {hidden}"
        return Invariants(Known(polar[0], words), Known(sum(polar), words))

    def why_no_closed_form(self) -> str:
        """See `NetworkConfig.why_no_closed_form`."""
        enough = theory.sufficient_degree(self.widths)
        known = "" if enough is None else f"; from degree {enough} on theory says that the defect is 0"
        degrees = ", ".join(map(str, self.degrees or [self.degree]))
        return f"no closed form is known for widths {'-'.join(map(str, self.widths))} and degree {degrees}{known}"


@register("model")
@dataclass
class PolynomialMlpConfig(Mlp):
    """The activation s(z) = c_1 z + ... + c_r z^r with s(0) = 0, the same in all hidden layers of its degree.

    `coefficients` are c_1, ..., c_r; null draws generic ones, for each prime anew.
    """

    name: str = "polynomial_mlp"
    degree: int = 3
    coefficients: list[int] | None = None

    def check(self) -> None:
        """See `NetworkConfig.check`."""
        super().check()
        if self.coefficients is not None:
            require("model.coefficients", self.coefficients,
                    len(self.coefficients) == max(self.layer_degrees()) and self.coefficients[-1] != 0,
                    f"{max(self.layer_degrees())} integers, of z to the highest power, of which the last is not 0, or "
                    "null for generic ones")

    def constant_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `NetworkConfig.constant_shapes`: generic coefficients."""
        return {} if self.coefficients is not None else {"coefficients": (max(self.layer_degrees()),)}

    def activation(self, layer: int, preactivations: Element, weights: Mapping[str, Element]) -> Element:
        """See `Mlp.activation`."""
        given: Sequence[int] | Element = weights["coefficients"] if self.coefficients is None else self.coefficients
        return without_constant(given[:self.layer_degrees()[layer - 1]], preactivations)

    def neuron_weight(self) -> tuple[int, ...] | None:
        """See `Mlp.neuron_weight`: none, but for an activation that is a single power."""
        alone = self.coefficients is not None and not any(self.coefficients[:-1]) and self.degrees is None
        return self.layer_degrees() if alone else None

    def ambient(self) -> int:
        """See `NetworkConfig.ambient`: polynomials without a constant term."""
        return self.widths[-1] * (comb(self.output_degree() + self.widths[0], self.widths[0]) - 1)

    def symmetry_dimension(self) -> int:
        """See `NetworkConfig.symmetry_dimension`."""
        return 0 if self.neuron_weight() is None else theory.scaling_count(self.widths)

    def closed_form(self) -> ClosedForm | None:
        """See `NetworkConfig.closed_form`."""
        if self.coefficients is not None:
            return None
        return theory.generic_closed_form(self.widths, self.layer_degrees())

    def why_no_closed_form(self) -> str:
        """See `NetworkConfig.why_no_closed_form`."""
        if self.coefficients is not None:
            return "closed forms are for generic coefficients"
        return ("for a large degree the dimension is the number of parameters (arXiv:2505.11846, Theorem 4.1); nobody "
                f"has proved that {max(self.layer_degrees())} is large enough")


def dimension(widths: Sequence[int], degree: int, seed: int = 0) -> int:
    """Dimension of the functions that a monomial network parametrizes; `measure` says what it rests on.

    Args:
        widths: d_0, ..., d_L, at least two.
        degree: r of the activation z^r, at least 1.
        seed: of the random weights and inputs.

    Raises:
        ValueError: for what is no network, or outputs whose degree r^(L-1) reaches the primes used.
        UsageError: python-flint is not installed.
    """
    return measure(MonomialMlpConfig(widths=list(widths), degree=degree), seed).dimension

