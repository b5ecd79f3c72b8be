"""What a network is measured by: values of random combinations of its outputs at random inputs.

As many of them as there are dimensions tell all functions, and all tangent vectors, apart: no coefficient of a
function is ever expanded. One evaluation is one input and one combination, so that outputs of unequal use are met
often enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic import derivatives
from agfrun.labs.neuromanifolds.arithmetic.elements import Element, einsum, unrecorded
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray, Field
from agfrun.study.errors import UsageError

if TYPE_CHECKING:
    from agfrun.labs.neuromanifolds.config import NetworkConfig

Arrays = dict[str, AnyArray]


@dataclass(frozen=True)
class Evaluations:
    """Evaluations of one network.

    Attributes:
        network: whose function is evaluated.
        field: of all numbers.
        constants: what the network draws once and is no weight, by name.
        inputs: (S, *input shape).
        outputs: (S, number of outputs), the combinations.
    """

    network: NetworkConfig
    field: Field
    constants: Mapping[str, AnyArray]
    inputs: AnyArray
    outputs: AnyArray

    @classmethod
    def draw(cls, network: NetworkConfig, field: Field, generator: np.random.Generator, count: int) -> Evaluations:
        """Random constants, inputs and combinations."""
        constants = {name: field.random(generator, shape) for name, shape in network.constant_shapes().items()}
        inputs = field.random(generator, (count, *network.input_shape()))
        return cls(network, field, constants, inputs,
                   field.random(generator, (count, number_of_outputs(network, field))))

    def __len__(self) -> int:
        return len(self.inputs)

    def chosen(self, places: AnyArray) -> Evaluations:
        """Some of them."""
        return Evaluations(self.network, self.field, self.constants, self.inputs[places], self.outputs[places])

    def function(self, weights: Mapping[str, Element]) -> Element:
        """The evaluations as a function of weights, of shape () each."""
        given = dict(weights) | {name: Element(self.field, entries[None]) for name, entries in self.constants.items()}
        found = checked_outputs(self.network, self.network.value(given, Element(self.field, self.inputs)))
        return einsum("o,o->", found, Element(self.field, self.outputs))

    def values(self, weights: Mapping[str, AnyArray]) -> AnyArray:
        """Of the function with these weights, (S,)."""
        with unrecorded():
            found = derivatives.values(self.function, weights, self.field)
        return np.broadcast_to(found, (len(self),))

    def jacobian(self, weights: Mapping[str, AnyArray]) -> AnyArray:
        """Derivatives of the evaluations by all weights, (P, S)."""
        return derivatives.jacobian(self.function, weights, self.field, len(self))

    def hessian_product(self, weights: Mapping[str, AnyArray], factors: AnyArray, directions: AnyArray) -> AnyArray:
        """The Hessian of the sum of evaluations times factors, times directions: (P, K)."""
        return derivatives.hessian_product(self.function, weights, self.field, len(self), factors, directions)


def random_weights(network: NetworkConfig, field: Field, generator: np.random.Generator) -> Arrays:
    """Generic weights."""
    return {name: field.random(generator, shape) for name, shape in network.weight_shapes().items()}


def number_of_outputs(network: NetworkConfig, field: Field) -> int:
    """How many outputs the network's function has."""
    generator = np.random.default_rng(0)
    shapes = network.weight_shapes() | network.constant_shapes()
    with unrecorded():
        given = {name: Element(field, field.random(generator, shape)[None]) for name, shape in shapes.items()}
        inputs = Element(field, field.random(generator, (1, *network.input_shape())))
        return len(checked_outputs(network, network.value(given, inputs)))


def checked_outputs(network: NetworkConfig, found: object) -> Element:
    """The outputs, if they are what a network's function has to return.

    Raises:
        UsageError: they are not.
    """
    if not isinstance(found, Element) or found.ndim != 1:
        shape = f"of shape {found.shape}" if isinstance(found, Element) else f"a {type(found).__name__}"
        raise UsageError(f"model={network.name}: its function `value` returns {shape}: it must return a vector of "
                         "outputs, made of the weights and the input (`reshape(-1)` of an array)")
    return found
