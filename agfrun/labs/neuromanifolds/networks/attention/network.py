"""Stacks of self-attention layers as choices of `model`: without normalization (lightning), and with softmax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from agfrun.labs.neuromanifolds.arithmetic.elements import Element
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray
from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.counts import ClosedForm, Invariants
from agfrun.labs.neuromanifolds.degeneracy import Degeneracy
from agfrun.labs.neuromanifolds.fibre import Identifiability
from agfrun.labs.neuromanifolds.networks.attention import heads, single_layer, theory
from agfrun.labs.neuromanifolds.stratum import Stratum
from agfrun.labs.neuromanifolds.symmetry import Symmetry
from agfrun.study.checks import require
from agfrun.study.registry import register

# Beyond, the counts themselves are numbers of many pages.
LARGEST_SIZE = 10_000
# 3^L has to stay below the primes that ranks are taken modulo.
MOST_LAYERS = 14
assert 3**MOST_LAYERS < min(PRIMES) <= 3**(MOST_LAYERS + 1)


@dataclass
class Attention(NetworkConfig):
    """Layers of one head without residuals; X of shape (d_0, tokens) goes in, all entries of the last layer come out.

    `widths` are d_0, ..., d_L, the entries of a token before and after each layer, and `ranks` the rows a_1, ..., a_L
    of queries and keys; one rank alone is that of every layer. A rank above the width of its layer's tokens is allowed
    and adds no functions: what counts is the smaller of both, the rank of K^T Q.
    """

    widths: list[int] = field(default_factory=lambda: [3, 2])
    ranks: list[int] = field(default_factory=lambda: [1])
    tokens: int = 2

    def check(self) -> None:
        """See `NetworkConfig.check`."""
        require("model.widths", self.widths, len(self.widths) >= 2,
                "at least two widths, those of a token before and after a layer")
        require("model.widths", self.widths, all(1 <= width <= LARGEST_SIZE for width in self.widths),
                f"widths from 1 to {LARGEST_SIZE}")
        require("model.ranks", self.ranks, len(self.ranks) in (1, len(self.widths) - 1),
                f"a number of rows for each of the layers, {len(self.widths) - 1} with widths "
                f"{'-'.join(map(str, self.widths))}, or one for all")
        require("model.ranks", self.ranks, all(1 <= rank <= LARGEST_SIZE for rank in self.ranks),
                f"numbers of rows from 1 to {LARGEST_SIZE}")
        most = LARGEST_SIZE // self.widths[0]
        require("model.tokens", self.tokens, 1 <= self.tokens <= most,
                f"an integer from 1 to {most}: an input may have {LARGEST_SIZE} entries")

    @property
    def sizes(self) -> heads.Sizes:
        """The sizes in one value."""
        return heads.Sizes(tuple(self.widths), self.layer_ranks(), self.tokens)

    def layer_ranks(self) -> tuple[int, ...]:
        """Rows of queries and keys of each layer."""
        return tuple(self.ranks) * (len(self.widths) - 1) if len(self.ranks) == 1 else tuple(self.ranks)

    def architecture(self) -> str:
        """See `NetworkConfig.architecture`."""
        return f"{'-'.join(map(str, self.widths))} a={','.join(map(str, self.layer_ranks()))} t={self.tokens}"

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `NetworkConfig.weight_shapes`: `query_i` and `key_i` of (a_i, d_{i-1}), `value_i` of (d_i, d_{i-1})."""
        return self.sizes.shapes()

    def input_shape(self) -> tuple[int, ...]:
        """See `NetworkConfig.input_shape`: tokens are columns."""
        return (self.widths[0], self.tokens)

    def value(self, weights: Mapping[str, Element], inputs: Element) -> Element:
        """See `NetworkConfig.value`."""
        for layer in range(1, len(self.widths)):
            inputs = self.attend(weights, layer, inputs)
        return inputs.reshape(-1)

    def attend(self, weights: Mapping[str, Element], layer: int, tokens: Element) -> Element:
        """The tokens after a layer, from 1 on."""
        raise NotImplementedError


@register("model")
@dataclass
class LightningAttentionConfig(Attention):
    """Layers X -> V X X^T K^T Q X, without normalization (arXiv:2408.17221)."""

    name: str = "lightning_attention"

    def check(self) -> None:
        """See `NetworkConfig.check`."""
        super().check()
        require("model.widths", self.widths, len(self.widths) <= MOST_LAYERS + 1,
                f"at most {MOST_LAYERS + 1} widths: each layer triples the outputs' degree, which has to stay below "
                f"the primes of the ranks, from {min(PRIMES)} on")

    def attend(self, weights: Mapping[str, Element], layer: int, tokens: Element) -> Element:
        """See `Attention.attend`."""
        return heads.lightning(weights, layer, tokens)

    def output_degree(self) -> int:
        """See `NetworkConfig.output_degree`."""
        return theory.output_degree(self.sizes)

    def ambient(self) -> int:
        """See `NetworkConfig.ambient`."""
        return theory.ambient_dimension(self.sizes)

    def symmetry_dimension(self) -> int:
        """See `NetworkConfig.symmetry_dimension`."""
        return theory.orbit_dimension(self.sizes, scaled=True)

    def symmetries(self) -> tuple[Symmetry, ...]:
        """See `NetworkConfig.symmetries`."""
        return heads.symmetries(self.sizes, scaled=True)

    def closed_form(self) -> ClosedForm | None:
        """See `NetworkConfig.closed_form`."""
        return theory.lightning_closed_form(self.sizes)

    def why_no_closed_form(self) -> str:
        """See `NetworkConfig.why_no_closed_form`."""
        return theory.why_no_closed_form(self.sizes)

    def strata(self) -> tuple[Stratum, ...]:
        """See `NetworkConfig.strata`: of one layer that sees two tokens or more."""
        return single_layer.strata(self.sizes)

    def identifiability(self, weights: Mapping[str, FractionArray]) -> Identifiability | None:
        """See `NetworkConfig.identifiability`: of one layer, and of any stack with the function 0."""
        return single_layer.identifiability(self.sizes, weights)

    def canonical(self, weights: Mapping[str, FractionArray]) -> dict[str, FractionArray] | None:
        """See `NetworkConfig.canonical`: of one layer."""
        return single_layer.canonical(self.sizes, weights)

    def chart(self) -> dict[str, AnyArray]:
        """See `NetworkConfig.chart`: of one layer."""
        return single_layer.chart(self.sizes) if self.sizes.depth == 1 else {}

    def degeneracies(self, weights: Mapping[str, Element]) -> tuple[Degeneracy, ...] | None:
        """See `NetworkConfig.degeneracies`: of one layer."""
        return single_layer.degeneracies(self.sizes, weights) if self.sizes.depth == 1 else None

    def morse_sum(self) -> int | None:
        """See `NetworkConfig.morse_sum`: of one layer."""
        return single_layer.morse_sum(self.sizes) if self.sizes.depth == 1 else None

    def invariants(self) -> Invariants:
        """See `NetworkConfig.invariants`."""
        return single_layer.invariants(self.sizes)


@register("model")
@dataclass
class SoftmaxAttentionConfig(Attention):
    """Layers X -> V X S, S the softmax of X^T K^T Q X over the tokens that are looked at: columns of S sum to 1."""

    name: str = "softmax_attention"
    polynomial: ClassVar[bool] = False

    def attend(self, weights: Mapping[str, Element], layer: int, tokens: Element) -> Element:
        """See `Attention.attend`."""
        return heads.softmax(weights, layer, tokens)

    def output_degree(self) -> int:
        """0: the outputs are no polynomials."""
        return 0

    def symmetry_dimension(self) -> int:
        """See `NetworkConfig.symmetry_dimension`."""
        return theory.orbit_dimension(self.sizes, scaled=False)

    def symmetries(self) -> tuple[Symmetry, ...]:
        """See `NetworkConfig.symmetries`."""
        return heads.symmetries(self.sizes, scaled=False)

    def closed_form(self) -> ClosedForm | None:
        """See `NetworkConfig.closed_form`."""
        return theory.softmax_closed_form(self.sizes)

    def why_no_closed_form(self) -> str:
        """See `NetworkConfig.why_no_closed_form`."""
        return theory.why_no_closed_form(self.sizes)
