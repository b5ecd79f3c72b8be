"""The settings of the studies of neuromanifolds: a polynomial network, and what every run has.

A further network is one class derived from `NetworkConfig`, registered for the slot `model`, and one file
`configs/model/NAME.yaml`; see docs/neuromanifolds.md. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

import numpy as np

from agfrun.labs.neuromanifolds.arithmetic.elements import Element
from agfrun.labs.neuromanifolds.arithmetic.fields import AnyArray
from agfrun.labs.neuromanifolds.arithmetic.prime_field import PRIMES
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray
from agfrun.labs.neuromanifolds.counts import ClosedForm, Counts, Invariants
from agfrun.labs.neuromanifolds.degeneracy import Degeneracy
from agfrun.labs.neuromanifolds.fibre import Identifiability
from agfrun.labs.neuromanifolds.stratum import Stratum
from agfrun.labs.neuromanifolds.symmetry import Symmetry
from agfrun.study import registry
from agfrun.study.checks import require, require_a_day
from agfrun.study.memory import largest_key, require_memory
from agfrun.study.settings import RunSettings, require_float64_on_cpu
from agfrun.study.study import Choice, Study

DEFAULT_STUDY = "dimension"
DEFAULT_MODEL = "monomial_mlp"


@dataclass
class NetworkConfig(Choice):
    """Which network: a function of weights and an input that is made by ring operations alone."""

    polynomial: ClassVar[bool] = True
    """Whether the function is a polynomial with integer coefficients, which has exact ranks modulo primes. One that is
    not is measured in floats of many digits."""

    def check(self) -> None:
        """Check the ranges of this network's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def architecture(self) -> str:
        """The sizes in short, such as `2-3-1`: how tables and figures call this one among others of its kind."""
        raise NotImplementedError

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The weights by name, with their shapes."""
        raise NotImplementedError

    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        raise NotImplementedError

    def value(self, weights: Mapping[str, Element], inputs: Element) -> Element:
        """The vector of outputs at one input.

        Args:
            weights: by name, of the shapes of `weight_shapes`, and the constants of `constant_shapes`.
            inputs: one input, of `input_shape`.
        """
        raise NotImplementedError

    def output_degree(self) -> int:
        """The largest degree of the outputs as polynomials in the inputs."""
        raise NotImplementedError

    def constant_shapes(self) -> dict[str, tuple[int, ...]]:
        """What is drawn once and is no weight, such as the coefficients of a generic activation."""
        return {}

    def activation_degree(self) -> int | None:
        """Degree of the activation; None for a network without one, or with several."""
        return None

    def ambient(self) -> int | None:
        """Dimension of the space of all functions of the outputs' form; None where nobody has counted it."""
        return None

    def proved_bound(self) -> int | None:
        """What the dimension is proved not to exceed; None where that is the expected dimension."""
        return None

    def symmetry_dimension(self) -> int:
        """Dimension of the known symmetries' orbit of generic weights."""
        return 0

    def gauge(self) -> dict[str, AnyArray]:
        """Flags of weights that symmetries can set to 1, by name: derivatives by them follow from those by others."""
        return {}

    def chart(self) -> dict[str, AnyArray]:
        """Weights that stand for nearly all others, by name: the integers that symmetries can set some of them to.

        Arrays of objects, None where a weight is free; a name may be left out if all of its weights are.
        """
        return {name: np.where(flags, 1, np.array(None, dtype=object)) for name, flags in self.gauge().items()}

    def degeneracies(self, weights: Mapping[str, Element]) -> tuple[Degeneracy, ...] | None:
        """What vanishes at weights whose function is that of a smaller network; None where nobody has named it.

        Args:
            weights: by name, in the chart.
        """
        return None

    def morse_sum(self) -> int | None:
        """The sum of (-1)^index over all real critical points in the chart, f = 0 included, of a generic loss.

        None where it is not an invariant, or nobody knows it.
        """
        return None

    def symmetries(self) -> tuple[Symmetry, ...]:
        """What is known to change weights and no function."""
        return ()

    def strata(self) -> tuple[Stratum, ...]:
        """Kinds of weights with the function of a smaller network; none where nobody has named them."""
        return ()

    def identifiability(self, weights: Mapping[str, FractionArray]) -> Identifiability | None:
        """Which other weights have the same function as given ones; None where nothing is known."""
        return None

    def canonical(self, weights: Mapping[str, FractionArray]) -> dict[str, FractionArray] | None:
        """The weights that stand for all that symmetries make of given ones; None where there is no such form."""
        return None

    def invariants(self) -> Invariants:
        """Degree and numbers of critical points, where closed forms are known."""
        return Invariants()

    def closed_form(self) -> ClosedForm | None:
        """What theory says the dimension is; None where no closed form is known."""
        return None

    def why_no_closed_form(self) -> str:
        """Why there is none, in a few words."""
        return "no closed form is known for this network"

    def parameters(self) -> int:
        """Number of weights."""
        return sum(prod(shape) for shape in self.weight_shapes().values())

    def counts(self) -> Counts:
        """Parameters, symmetries and spaces, without measuring anything."""
        return Counts(parameters=self.parameters(), symmetries=self.symmetry_dimension(),
                      output_degree=self.output_degree(), ambient=self.ambient(), proved_bound=self.proved_bound())


@dataclass
class NeuromanifoldConfig(RunSettings):
    """The settings of a study of one polynomial network; `seed` is that of the random weights and evaluations."""

    study: Study = field(default_factory=lambda: registry.default_choice("study", DEFAULT_STUDY, Study))
    model: NetworkConfig = field(default_factory=lambda: registry.default_choice("model", DEFAULT_MODEL, NetworkConfig))

    def check(self) -> None:
        """See `RunSettings.check`; also that the ranks can be taken in the memory there is, and in a day."""
        super().check()
        check_exact(self)
        self.model.check()
        counts = self.model.counts()
        require("model.name", self.model.name, counts.output_degree < min(PRIMES), "a network of smaller output "
                f"degree than {counts.output_degree}: ranks are taken modulo primes from {min(PRIMES)} on")
        require_memory(self, counts.memory)
        key, value = largest_key(self)
        require_a_day(key, value, counts.seconds, "the ranks")


def check_exact(config: RunSettings) -> None:
    """That nothing is asked for which arithmetic modulo primes has no use for.

    Raises:
        ConfigError: a device or a number type is.
    """
    require_float64_on_cpu(config, "it counts in integers modulo primes, on the CPU, and rounds nothing")
