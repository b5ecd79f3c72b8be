"""The settings of the studies of neuromanifolds: a polynomial network, and what every run has.

A further network is one class derived from `NetworkConfig`, registered for the slot `model`, and one file
`configs/model/NAME.yaml`; see docs/neuromanifolds.md. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agfrun.labs.neuromanifolds.counts import ClosedForm, Counts
from agfrun.labs.neuromanifolds.prime_field import PRIMES
from agfrun.study import registry
from agfrun.study.checks import require
from agfrun.study.memory import require_memory
from agfrun.study.settings import RunSettings
from agfrun.study.study import Choice, Study

if TYPE_CHECKING:
    import numpy as np

    from agfrun.labs.neuromanifolds.prime_field import IntArray

DEFAULT_STUDY = "dimension"
DEFAULT_MODEL = "monomial_mlp"


@dataclass
class NetworkConfig(Choice):
    """Which network: polynomial in its weights and inputs, with integer coefficients."""

    def check(self) -> None:
        """Check the ranges of this network's own keys.

        Raises:
            ConfigError: a value is not allowed.
        """

    def architecture(self) -> str:
        """The sizes in short, such as `2-3-1`: how tables and figures call this one among others of its kind."""
        raise NotImplementedError

    def activation_degree(self) -> int | None:
        """Degree of the activation; None for a network without one."""
        return None

    def counts(self) -> Counts:
        """Parameters, symmetries and spaces, without measuring anything."""
        raise NotImplementedError

    def closed_form(self) -> ClosedForm | None:
        """What theory says the dimension is; None where no closed form is known."""
        return None

    def why_no_closed_form(self) -> str:
        """Why there is none, in a few words."""
        return "no closed form is known for this network"

    def jacobian(self, prime: int, generator: np.random.Generator, evaluations: int) -> IntArray:
        """Derivatives of the network's values by its weights, at random weights.

        Args:
            prime: everything is computed modulo it, in int64 arrays of residues 0..prime-1.
            generator: draws the weights, and for each evaluation an input and a combination of the outputs.
            evaluations: S.

        Returns:
            (P, S): entry [i, s] is the derivative by weight i of evaluation s. A weight whose derivatives follow
            from those of the others may be left out.
        """
        raise NotImplementedError


@dataclass
class NeuromanifoldConfig(RunSettings):
    """The settings of a study of one polynomial network; `seed` is that of the random weights and evaluations."""

    study: Study = field(default_factory=lambda: _default_study())
    model: NetworkConfig = field(default_factory=lambda: _default_network())

    def check(self) -> None:
        """See `RunSettings.check`; also that the ranks can be taken in the memory there is."""
        super().check()
        for key, exact in (("device", ("auto", "cpu")), ("dtype", ("float64",))):
            value = getattr(self, key)
            require(key, value, value in exact, f"{' or '.join(exact)} with study={self.study.name}: it counts in "
                    "integers modulo primes, on the CPU, and rounds nothing")
        self.model.check()
        counts = self.model.counts()
        require("model.name", self.model.name, counts.output_degree < min(PRIMES), "a network of smaller output "
                f"degree than {counts.output_degree}: ranks are taken modulo primes from {min(PRIMES)} on")
        require_memory(self, counts.memory)


def _default_study() -> Study:
    kind = registry.study_type(DEFAULT_STUDY)
    assert kind is not None
    return kind()  # type: ignore[no-any-return]


def _default_network() -> NetworkConfig:
    made: NetworkConfig = registry.choices("model", NetworkConfig)[DEFAULT_MODEL]()
    return made
