"""A trained network's counterpart over finite fields: generic ranks on its data, and exposedness of its subnetworks.

A trained point is algebraic and never generic modulo a prime: what is taken here are the integers of the *generic*
point of the stratum that it belongs to, with the same neurons active and all others zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isqrt, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element, einsum
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, PrimeField
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES, independent_columns, rank
from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.counts import SPARE_ROWS
from agfrun.labs.neuromanifolds.evaluation import Evaluations, number_of_outputs, random_weights
from agfrun.labs.neuromanifolds.geometry.span import spanning_evaluations
from agfrun.labs.neuromanifolds.geometry.strata import StratumRanks, agreed_strata, ranks_at
from agfrun.labs.neuromanifolds.networks.linear.network import TwoLayerLinearConfig
from agfrun.labs.neuromanifolds.networks.mlp.network import MonomialMlpConfig
from agfrun.labs.neuromanifolds.stratum import Stratum, coordinate_tangent

if TYPE_CHECKING:
    from agfrun.labs.staircases import Architecture

# Weights and evaluations beyond which the Hessians of exposedness would take minutes.
MOST_WEIGHTS, MOST_EVALUATIONS = 80, 200
# Primes are looked for from here downwards.
BELOW = 2**23

Inputs = Callable[[PrimeField], AnyArray]


@dataclass
class DiagonalNetwork(NetworkConfig):
    """The diagonal network f(x) = sum_i u_i^(1) ... u_i^(L) x_i; without signs the layers are one."""

    name: str = "diagonal"
    dimension: int = 2
    depth: int = 2
    signed: bool = True

    def architecture(self) -> str:
        """See `NetworkConfig.architecture`."""
        return f"{self.dimension} (depth {self.depth})"

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `NetworkConfig.weight_shapes`."""
        return {f"layer_{i}": (self.dimension,) for i in range(1, (self.depth if self.signed else 1) + 1)}

    def input_shape(self) -> tuple[int, ...]:
        """See `NetworkConfig.input_shape`."""
        return (self.dimension,)

    def value(self, weights: Mapping[str, Element], inputs: Element) -> Element:
        """See `NetworkConfig.value`."""
        layers = [weights[name] for name in self.weight_shapes()]
        coefficients = prod(layers[1:], start=layers[0]) if self.signed else layers[0] ** self.depth
        return einsum("i,i->", coefficients, inputs).reshape(1)

    def output_degree(self) -> int:
        """See `NetworkConfig.output_degree`."""
        return 1


@dataclass(frozen=True)
class Counterpart:
    """A network with a trained network's functions, for exact ranks.

    Attributes:
        network: of so many neurons.
        neurons: their number in the trained network.
        inputs: those of its data in a field, (S, *input shape); None: they tell as much as all inputs do.
        own_inputs: whether each neuron sees an input of its own, so that it matters which are active.
        primes: moduli in which there are such inputs.
    """

    network: Callable[[int], NetworkConfig]
    neurons: int
    inputs: Inputs | None = None
    own_inputs: bool = False
    primes: Sequence[int] = field(default=PRIMES)

    def generic_rank(self, active: Sequence[int]) -> int:
        """The generic rank of the derivative of the network that has only some of the neurons; over two primes."""
        if not active:
            return 0
        kept = list(active) if self.own_inputs else list(range(len(active)))
        network = self.network(self.neurons if self.own_inputs else len(kept))
        return max(self._rank(network, kept, prime) for prime in self.primes[:2])

    def exposure(self, active: Sequence[int]) -> StratumRanks | None:
        """Integers of the stratum on which all other neurons are dead on both sides; None where that takes long.

        Raises:
            UsageError: no two primes agree.
        """
        network = self.network(self.neurons)
        kept = list(active) if self.own_inputs else list(range(len(active)))
        if network.parameters() > MOST_WEIGHTS or not 0 < len(kept) < self.neurons:
            return None
        count = None if self.inputs is None else len(self.inputs(PrimeField(self.primes[0])))
        if count is not None and count * number_of_outputs(network, PrimeField(self.primes[0])) > MOST_EVALUATIONS:
            return None
        return agreed_strata(lambda prime: [self._exposure(network, kept, prime)], self.primes)[0]

    def _rank(self, network: NetworkConfig, kept: Sequence[int], prime: int) -> int:
        prime_field, generator = PrimeField(prime), np.random.default_rng(prime)
        evaluations = self._evaluations(network, prime_field, generator, network.parameters() + SPARE_ROWS)
        weights = random_weights(network, prime_field, generator)
        live = np.concatenate([flags.reshape(-1) for flags in alive(network, kept).values()])
        return rank(evaluations.jacobian(weights)[live], prime)

    def _exposure(self, network: NetworkConfig, kept: Sequence[int], prime: int) -> StratumRanks:
        prime_field, generator = PrimeField(prime), np.random.default_rng(prime)
        if self.inputs is None:
            evaluations = spanning_evaluations(network, prime_field, generator)
        else:
            drawn = self._evaluations(network, prime_field, generator, 0)
            table = np.stack([drawn.values(random_weights(network, prime_field, generator))
                              for _ in range(len(drawn) + SPARE_ROWS)])
            evaluations = drawn.chosen(independent_columns(table, prime))
        return ranks_at(dead_stratum(network, kept), evaluations, generator, "exposed")

    def _evaluations(self, network: NetworkConfig, prime_field: PrimeField, generator: np.random.Generator, count: int
                     ) -> Evaluations:
        """All outputs at all inputs of the data; or so many random ones where any inputs do."""
        if self.inputs is None:
            return Evaluations.draw(network, prime_field, generator, count)
        inputs = self.inputs(prime_field)
        outputs = number_of_outputs(network, prime_field)
        units = np.tile(np.eye(outputs, dtype=np.int64), (len(inputs), 1))
        return Evaluations(network, prime_field, {}, np.repeat(inputs, outputs, axis=0), units)


def alive(network: NetworkConfig, kept: Sequence[int]) -> dict[str, AnyArray]:
    """Flags of the weights of some hidden neurons, by name; of a two-layer network or a diagonal one."""
    flags = {}
    for place, (name, shape) in enumerate(network.weight_shapes().items()):
        flags[name] = np.zeros(shape, dtype=bool)
        flags[name][(slice(None), kept) if place and len(shape) > 1 else (kept,)] = True
    return flags


def dead_stratum(network: NetworkConfig, kept: Sequence[int]) -> Stratum:
    """The weights with all hidden neurons but some dead on both sides."""
    flags = alive(network, kept)

    def point(chosen: object, generator: np.random.Generator) -> dict[str, AnyArray]:
        assert isinstance(chosen, PrimeField)
        return {name: np.where(flags[name], entries, 0) for name, entries in
                random_weights(network, chosen, generator).items()}

    return Stratum(1, "in&out", f"all hidden neurons but {len(kept)}: all weights vanish", point,
                   coordinate_tangent(flags), lambda *_: iter(()), strict=True)


def counterpart(architecture: Architecture) -> Counterpart | None:
    """That of a network of the staircases; None where there is none, as for one with a kink.

    A form on an orthonormal basis, and a linear map of inputs of full rank, are told by their data as by all inputs.
    Samples are taken as the dyadic fractions that floats are. Modular addition is done over primes p' = 1 modulo p,
    in which there are p-th roots of unity: inputs are the waves that a template consists of, whatever their sizes.
    """
    data: Any = getattr(architecture, "data", None)
    outputs, neurons = architecture.output_dimension, architecture.width
    if architecture.name == "quadratic_form":
        return Counterpart(partial(_monomial, isqrt(data.inputs.shape[1]), outputs, 2), neurons)
    if architecture.name == "monomial":
        degree = architecture.homogeneity_degree - 1
        return Counterpart(partial(_monomial, data.inputs.shape[1], outputs, degree), neurons,
                           _fixed(data.inputs.cpu().double().numpy()))
    if architecture.name == "fully_connected_linear":
        return Counterpart(partial(_monomial, data.factor.shape[1], outputs, 1), neurons)
    if architecture.name == "diagonal_linear":
        depth, signed = architecture.depth, architecture.signed  # type: ignore[attr-defined]
        return Counterpart(lambda count: DiagonalNetwork(dimension=count, depth=depth, signed=signed), neurons,
                           _fixed(data.inputs.cpu().double().numpy()), own_inputs=True)
    if architecture.name == "quadratic_modadd":
        waves = [sign * wave for wave in data.frequencies for sign in ((1,) if 2 * wave == data.p else (1, -1))]
        return Counterpart(partial(_monomial, 2 * len(waves), outputs, 2), neurons, partial(_roots, data.p, waves),
                           primes=primes_with_roots(data.p))
    return None


def _monomial(inputs: int, outputs: int, degree: int, width: int) -> NetworkConfig:
    widths = [inputs, width, outputs]
    return TwoLayerLinearConfig(widths=widths) if degree == 1 else MonomialMlpConfig(widths=widths, degree=degree)


def _fixed(inputs: AnyArray) -> Inputs:
    return lambda prime_field: prime_field.array(inputs)


def _roots(p: int, waves: Sequence[int], prime_field: PrimeField) -> AnyArray:
    """The waves at all pairs (a, b): powers of a p-th root of unity, (p^2, 2 waves)."""
    prime = prime_field.prime
    root = next(found for found in (pow(base, (prime - 1) // p, prime) for base in range(2, prime))
                if all(pow(found, p // q, prime) != 1 for q in range(2, p + 1) if p % q == 0))
    powers = np.array([[pow(root, wave * place % p, prime) for wave in waves] for place in range(p)])
    first, second = np.divmod(np.arange(p * p), p)
    return np.concatenate([powers[first], powers[second]], axis=1)


def primes_with_roots(p: int, count: int = 4) -> list[int]:
    """The largest primes below 2^23 that are 1 modulo p."""
    found: list[int] = []
    for candidate in range((BELOW - 2) // p * p + 1, 1, -p):
        if all(candidate % divisor for divisor in range(2, isqrt(candidate) + 1)):
            found.append(candidate)
            if len(found) == count:
                break
    return found
