"""The monomial fully connected network as a choice of `model`, and its dimension for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.counts import ClosedForm, Counts
from agfrun.labs.neuromanifolds.measurement import measure
from agfrun.labs.neuromanifolds.networks.monomial_mlp import theory
from agfrun.labs.neuromanifolds.networks.monomial_mlp.jacobian import random_jacobian
from agfrun.labs.neuromanifolds.prime_field import PRIMES, IntArray
from agfrun.study.checks import require
from agfrun.study.registry import register

if TYPE_CHECKING:
    import numpy as np

# Beyond, the counts themselves are numbers of many pages.
LARGEST_WIDTH = 10_000


@register("model")
@dataclass
class MonomialMlpConfig(NetworkConfig):
    """The network f(x) = W_L s(W_{L-1} s(... s(W_1 x))), s(z) = z^degree.

    `widths` are d_0, ..., d_L, inputs and outputs included.
    """

    name: str = "monomial_mlp"
    widths: list[int] = field(default_factory=lambda: [2, 2, 1])
    degree: int = 2

    def check(self) -> None:
        """See `NetworkConfig.check`."""
        require("model.widths", self.widths, len(self.widths) >= 3,
                "at least three widths, input, hidden and output: a single layer of weights has no activation")
        require("model.widths", self.widths, all(1 <= width <= LARGEST_WIDTH for width in self.widths),
                f"widths from 1 to {LARGEST_WIDTH}")
        require("model.degree", self.degree, self.degree >= 2,
                "an integer of at least 2: of degree 1 the network is a product of matrices")
        largest = min(PRIMES) - 1
        # Not r^(L-1) itself, which can be a number without end.
        require("model.degree", self.degree, self.degree <= largest
                and theory.output_degree(self.widths[:27], self.degree) <= largest,
                f"smaller, or the network shallower: the outputs' degree, degree^{len(self.widths) - 2}, may be "
                f"{largest} at most, below the primes of the ranks")

    def architecture(self) -> str:
        """See `NetworkConfig.architecture`."""
        return "-".join(map(str, self.widths))

    def activation_degree(self) -> int:
        """See `NetworkConfig.activation_degree`."""
        return self.degree

    def counts(self) -> Counts:
        """See `NetworkConfig.counts`; the symmetries are the rescalings of hidden neurons."""
        return Counts(
            parameters=theory.parameter_count(self.widths), symmetries=theory.scaling_count(self.widths),
            output_degree=theory.output_degree(self.widths, self.degree),
            ambient=theory.ambient_dimension(self.widths, self.degree),
            proved_bound=theory.dimension_bound(self.widths, self.degree))

    def closed_form(self) -> ClosedForm | None:
        """See `NetworkConfig.closed_form`."""
        return theory.closed_form(self.widths, self.degree)

    def why_no_closed_form(self) -> str:
        """See `NetworkConfig.why_no_closed_form`."""
        enough = theory.sufficient_degree(self.widths)
        known = "" if enough is None else f"; from degree {enough} on theory says that the defect is 0"
        return f"no closed form is known for widths {self.architecture()} and degree {self.degree}{known}"

    def jacobian(self, prime: int, generator: np.random.Generator, evaluations: int) -> IntArray:
        """See `NetworkConfig.jacobian`."""
        return random_jacobian(self.widths, self.degree, prime, generator, evaluations)


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
