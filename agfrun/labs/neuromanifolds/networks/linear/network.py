"""The two-layer linear network as a choice of `model`: matrices of bounded rank, where all is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import comb, prod

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray, echelon, random_invertible
from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.counts import ClosedForm, Invariants, Known
from agfrun.labs.neuromanifolds.degeneracy import LOW_RANK, Degeneracy, minors
from agfrun.labs.neuromanifolds.fibre import Identifiability
from agfrun.labs.neuromanifolds.networks import determinantal
from agfrun.labs.neuromanifolds.networks.mlp import neurons
from agfrun.labs.neuromanifolds.networks.mlp.network import LARGEST_WIDTH
from agfrun.labs.neuromanifolds.stratum import Stratum
from agfrun.labs.neuromanifolds.symmetry import Generator, Symmetry, Weights
from agfrun.study.checks import require
from agfrun.study.registry import register

MARCHETTI = "Marchetti et al., arXiv:2501.18915"
ELEMENTARY = "matrices of bounded rank"


@register("model")
@dataclass
class TwoLayerLinearConfig(NetworkConfig):
    """The network f(x) = W_2 W_1 x; `widths` are N_0, N_1, N_2: inputs, hidden neurons, outputs."""

    name: str = "two_layer_linear"
    widths: list[int] = field(default_factory=lambda: [3, 2, 3])

    def check(self) -> None:
        """See `NetworkConfig.check`."""
        require("model.widths", self.widths, len(self.widths) == 3, "three widths, inputs, hidden neurons and outputs")
        require("model.widths", self.widths, all(1 <= width <= LARGEST_WIDTH for width in self.widths),
                f"widths from 1 to {LARGEST_WIDTH}")

    def architecture(self) -> str:
        """See `NetworkConfig.architecture`."""
        return "-".join(map(str, self.widths))

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `NetworkConfig.weight_shapes`."""
        inputs, hidden, outputs = self.widths
        return {neurons.layer(1): (hidden, inputs), neurons.layer(2): (outputs, hidden)}

    def input_shape(self) -> tuple[int, ...]:
        """See `NetworkConfig.input_shape`."""
        return (self.widths[0],)

    def output_degree(self) -> int:
        """See `NetworkConfig.output_degree`."""
        return 1

    def value(self, weights: Mapping[str, Element], inputs: Element) -> Element:
        """See `NetworkConfig.value`."""
        return weights[neurons.layer(2)] @ (weights[neurons.layer(1)] @ inputs)

    def rank(self) -> int:
        """The largest rank of the matrices."""
        return min(self.widths)

    def ambient(self) -> int:
        """See `NetworkConfig.ambient`."""
        return self.widths[0] * self.widths[2]

    def symmetry_dimension(self) -> int:
        """See `NetworkConfig.symmetry_dimension`: GL(N_1), less the stabilizer of generic weights."""
        inputs, hidden, outputs = self.widths
        return hidden**2 - max(hidden - inputs, 0) * max(hidden - outputs, 0)

    def closed_form(self) -> ClosedForm:
        """See `NetworkConfig.closed_form`."""
        return ClosedForm(self.rank() * (self.widths[0] + self.widths[2] - self.rank()), True, ELEMENTARY)

    def chart(self) -> dict[str, AnyArray]:
        """See `NetworkConfig.chart`: W_1 = (I | *); what more than the rank's hidden neurons would add is 0."""
        rank = self.rank()
        into, out = (np.full(shape, None, dtype=object) for shape in self.weight_shapes().values())
        into[rank:], out[:, rank:] = 0, 0
        if rank < self.widths[2] or rank == self.widths[0]:
            into[:, :rank] = np.eye(len(into), rank, dtype=int)
        else:
            out[:, :rank] = np.eye(len(out), rank, dtype=int)
        return {neurons.layer(1): into, neurons.layer(2): out}

    def degeneracies(self, weights: Mapping[str, Element]) -> tuple[Degeneracy, ...]:
        """See `NetworkConfig.degeneracies`: matrices of a lower rank than the hidden layer allows."""
        if self.rank() == min(self.widths[0], self.widths[2]):
            return ()
        return (Degeneracy(LOW_RANK, minors(weights[neurons.layer(2)], self.rank())),)

    def morse_sum(self) -> int | None:
        """See `NetworkConfig.morse_sum`: the Euler characteristic of the Grassmannian of the kernels' complements."""
        rank, size = self.rank(), self.widths[0]
        if rank == min(size, self.widths[2]):
            return 1
        return 0 if rank % 2 and size % 2 == 0 else comb(size // 2, rank // 2)

    def symmetries(self) -> tuple[Symmetry, ...]:
        """See `NetworkConfig.symmetries`."""
        return (Symmetry("changes of the hidden basis", "W_1 -> G W_1, W_2 -> W_2 G^(-1)", self._changed, self._bases),)

    def _changed(self, weights: Weights, generator: np.random.Generator) -> dict[str, Element]:
        change, inverse = random_invertible(self.widths[1], generator)
        into, out = weights[neurons.layer(1)], weights[neurons.layer(2)]
        return {neurons.layer(1): into.constant(change) @ into, neurons.layer(2): out @ out.constant(inverse)}

    def _bases(self, weights: Weights) -> Iterator[Generator]:
        into, out = weights[neurons.layer(1)], weights[neurons.layer(2)]
        for row in range(self.widths[1]):
            for column in range(self.widths[1]):
                unit = np.zeros((self.widths[1],) * 2, dtype=np.int64)
                unit[row, column] = 1
                if row <= column:
                    unit[column, row] = 1  # symmetric: one of the conserved quantities
                words = f"(W_1 W_1^T - W_2^T W_2)[{row + 1},{column + 1}]" if row <= column else ""
                yield Generator(f"E[{row + 1},{column + 1}]", {neurons.layer(1): into.constant(unit) @ into,
                                                             neurons.layer(2): out @ out.constant(-unit)}, words)

    def strata(self) -> tuple[Stratum, ...]:
        """See `NetworkConfig.strata`: a neuron dead or proportional to another."""
        return neurons.strata(self.widths, (1,))

    def identifiability(self, weights: Mapping[str, FractionArray]) -> Identifiability:
        """See `NetworkConfig.identifiability`."""
        hidden = self.widths[1]
        ranks = [len(echelon(entries)[1]) for entries in weights.values()]
        if min(ranks) == hidden:
            return Identifiability("finite", 1, "both layers have full rank: only changes of the hidden basis keep the "
                                   "function", ELEMENTARY)
        return Identifiability("infinite", None, f"a layer has a rank below {hidden}: what the other sends to its "
                               "kernel is free", ELEMENTARY)

    def canonical(self, weights: Mapping[str, FractionArray]) -> dict[str, FractionArray] | None:
        """See `NetworkConfig.canonical`: W_1 in reduced echelon form; None where its rank is below N_1."""
        into, out = weights[neurons.layer(1)], weights[neurons.layer(2)]
        reduced, pivots = echelon(into)
        if len(pivots) < len(into):
            return None
        return {neurons.layer(1): reduced, neurons.layer(2): out.dot(into[:, pivots])}

    def invariants(self) -> Invariants:
        """See `NetworkConfig.invariants`."""
        small, large = sorted((self.widths[0], self.widths[2]))
        rank = self.rank()
        if rank == small:
            return Invariants(Known(1, ELEMENTARY), Known(1, ELEMENTARY), Known(1, ELEMENTARY))
        polar = determinantal.polar_degrees(small, large, rank)
        generic = None if polar is None else Known(sum(polar), f"{determinantal.POLAR}, matrices of rank {rank}")
        degree = Fraction(prod(comb(large + i, rank) for i in range(small - rank)),
                          prod(comb(rank + i, rank) for i in range(small - rank)))
        return Invariants(Known(int(degree), MARCHETTI), generic, Known(comb(small, rank), "Eckart & Young 1936"))
